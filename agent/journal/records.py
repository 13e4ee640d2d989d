"""The journal's record: what is written for one step, and the frame around it.

A record is a fixed header, then the payload: the msgspec JSON encoding of the event or of the list of effects of one
step. The CRC covers header (without the CRC) and payload and is seeded with the previous record's, so that records
chain: cutting, swapping or changing one breaks every later one.
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

from agent.core.effects import Effect
from agent.core.events import Event
from agent.errors import SetupError

MAGIC = b"MEVJ"
VERSION = 1
HEADER = struct.Struct("<IBBHQQqI")
"""length of the payload, type, version, flags, sequence, monotonic ns, wall ns, crc32."""
_COVERED = struct.Struct("<IBBHQQq")

RUN = 0
EVENT = 1
EFFECTS = 2


class Run(msgspec.Struct, frozen=True):
    """First record of a journal: what was started, so that a replay starts the same."""

    run: str
    version: str
    settings: dict[str, str]


class Record(msgspec.Struct, frozen=True):
    """One record read back."""

    type: int
    sequence: int
    monotonic_ns: int
    wall_ns: int
    payload: bytes
    crc: int


_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_effects_decoder = msgspec.json.Decoder(list[Effect])
_run_decoder = msgspec.json.Decoder(Run)
_encoder = msgspec.json.Encoder()


def encode_payload(value: Event | tuple[Effect, ...] | Run) -> bytes:
    return _encoder.encode(value)


def decode_event(payload: bytes) -> Event:
    return _event_decoder.decode(payload)


def decode_effects(payload: bytes) -> tuple[Effect, ...]:
    return tuple(_effects_decoder.decode(payload))


def decode_run(payload: bytes) -> Run:
    return _run_decoder.decode(payload)


def frame(
    record_type: int, sequence: int, monotonic_ns: int, wall_ns: int, payload: bytes, previous_crc: int
) -> tuple[bytes, int]:
    """The record's bytes and its CRC."""
    covered = _COVERED.pack(len(payload), record_type, VERSION, 0, sequence, monotonic_ns, wall_ns)
    crc = crc32(payload, crc32(covered, previous_crc))
    return covered + crc.to_bytes(4, "little") + payload, crc


def check(data: bytes, offset: int, end: int, previous_crc: int) -> int:
    """CRC of the record at offset..end of `data` as it lies there."""
    covered = data[offset : offset + _COVERED.size]
    return crc32(data[offset + HEADER.size : end], crc32(covered, previous_crc))


class CorruptJournal(SetupError):
    """A record that cannot be what was written; `sequence` is the first bad one."""

    code = "E_JOURNAL_CORRUPT"

    def __init__(self, message: str, *, path: str, sequence: int) -> None:
        super().__init__(
            message, where=path, hint="keep the file; `mev-agent journal verify` tells how much of it is whole"
        )
        self.sequence = sequence
