"""Client order ids: functions of the run and a counter, so that none is ever used twice.

base32 (RFC 4648, lower case, no padding) of run epoch (32 bit), counter (48 bit) and CRC-8/SMBUS (8 bit) over both: 18
characters. The run epoch rises by one at each start, so ids cannot repeat even when the tail of a journal was lost, and
"was this id ever ours" is a comparison of two numbers instead of a set that grows for ever. The check keeps an id that
merely looks like ours from passing.
"""

from __future__ import annotations

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
LENGTH = 18
_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_LOW_BITS = 10
"""Of the counter: they, the check and two bits of padding are the last four characters."""
_LOW_MASK = (1 << _LOW_BITS) - 1
MAX_COUNTER = (1 << 48) - 1
MAX_RUN_EPOCH = (1 << 32) - 1


def _crc_table() -> bytes:
    table = bytearray()
    for byte in range(256):
        for _ in range(8):
            byte = (byte << 1) ^ (0x107 if byte & 0x80 else 0)
        table.append(byte & 0xFF)
    return bytes(table)


_CRC = _crc_table()


def crc8(data: bytes, start: int = 0) -> int:
    """CRC-8/SMBUS: polynomial 0x07, nothing reflected, no final xor."""
    crc = start
    for byte in data:
        crc = _CRC[crc ^ byte]
    return crc


def encoded(run_epoch: int, counter: int) -> str:
    """The id of a run's nth order. Raises ValueError out of range."""
    if not (0 <= run_epoch <= MAX_RUN_EPOCH and 0 <= counter <= MAX_COUNTER):
        raise ValueError(f"no id for run {run_epoch}, counter {counter}")
    number = run_epoch << 48 | counter
    bits = (number << 8 | crc8(number.to_bytes(10, "big"))) << 2
    return "".join(_PAIRS[bits >> shift & 1023] for shift in range(80, -1, -10))


def decoded(client_order_id: str) -> tuple[int, int] | None:
    """Run epoch and counter; None where it is no id of this form."""
    if len(client_order_id) != LENGTH:
        return None
    bits = 0
    for letter in client_order_id:
        value = _VALUES.get(letter)
        if value is None:
            return None
        bits = bits << 5 | value
    number, check = bits >> 10, bits >> 2 & 0xFF
    if bits & 3 or crc8(number.to_bytes(10, "big")) != check:
        return None
    return number >> 48, number & MAX_COUNTER


class IdSource:
    """Ids of one run, in order. The upper fourteen characters change every 1024 orders and are kept."""

    __slots__ = ("_block", "_crc", "_prefix", "next_counter", "run_epoch")

    def __init__(self, run_epoch: int, next_counter: int = 0) -> None:
        encoded(run_epoch, next_counter)
        self.run_epoch = run_epoch
        self.next_counter = next_counter
        self._block = -1
        self._prefix = ""
        self._crc = 0

    def take(self) -> str:
        """A new id. Raises ValueError when a run has issued 2^48."""
        counter = self.next_counter
        if counter >> _LOW_BITS != self._block:
            self._enter_block(counter)
        self.next_counter = counter + 1
        crc = _CRC[_CRC[self._crc ^ (counter >> 8 & 0xFF)] ^ (counter & 0xFF)]
        bits = ((counter & _LOW_MASK) << 8 | crc) << 2
        return self._prefix + _PAIRS[bits >> 10] + _PAIRS[bits & 1023]

    def was_issued(self, client_order_id: str) -> bool:
        """Whether this run, or an earlier one, can have sent it.

        Of earlier runs every counter counts: the tail of their journal may be lost.
        """
        found = decoded(client_order_id)
        if found is None:
            return False
        run_epoch, counter = found
        return run_epoch < self.run_epoch or (run_epoch == self.run_epoch and counter < self.next_counter)

    def _enter_block(self, counter: int) -> None:
        self._prefix = encoded(self.run_epoch, counter)[:-4]
        self._crc = crc8((self.run_epoch << 48 | counter).to_bytes(10, "big")[:8])
        self._block = counter >> _LOW_BITS
