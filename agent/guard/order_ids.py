"""Whether the agent can have issued an order id: a range test, for ids are a run's epoch and a counter.

`base32(run_epoch 32 bit | counter 48 bit | check 8 bit)` in lower-case RFC 4648 letters without padding, 18 of them; the
check is CRC-8/SMBUS over the ten bytes before it.
"""

from __future__ import annotations

import base64
import binascii

ID_LETTERS = 18
_POLYNOMIAL = 0x07


class IssuedIds:
    """The ids of one run below a counter, and of every run before it: what those left open is theirs to answer for."""

    def __init__(self, run_epoch: int, next_counter: int) -> None:
        self._run_epoch = run_epoch
        self._next_counter = next_counter

    def __contains__(self, name: str) -> bool:
        parts = parse(name)
        if parts is None:
            return False
        run_epoch, counter = parts
        return run_epoch < self._run_epoch or (run_epoch == self._run_epoch and counter < self._next_counter)


def parse(name: str) -> tuple[int, int] | None:
    """Epoch and counter; None for an id that no run of ours can have made."""
    if len(name) != ID_LETTERS:
        return None
    try:
        raw = base64.b32decode(name.upper() + "=" * (-len(name) % 8))
    except (binascii.Error, ValueError):
        return None
    is_canonical = base64.b32encode(raw).decode().rstrip("=").lower() == name
    if not is_canonical or crc8(raw[:10]) != raw[10]:
        return None
    return int.from_bytes(raw[:4]), int.from_bytes(raw[4:10])


def crc8(octets: bytes) -> int:
    """CRC-8/SMBUS: polynomial 0x07, nothing reflected, start and end 0."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x80 else crc << 1) & 0xFF
    return crc
