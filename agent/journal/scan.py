"""One segment's bytes: its records as far as they chain, and what the bytes behind them prove.

Theory of operation. Before the loss of power only what was synced is sure to be there afterwards; of the rest any
subset of sectors may be. So a bad record says nothing by itself, and a good one behind it neither. But every record
names the highest sequence that was known to be on the disk when it was written. A record at or below the highest such
number that is found anywhere behind was durable once: if it is bad now, the disk or a hand changed it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from agent.journal.records import (
    DIGEST,
    DIGEST_BYTES,
    HEADER,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    TYPES,
    Record,
    check,
)
from agent.journal.segments import SEGMENT_HEADER_BYTES, SegmentHeader

_CANDIDATE = re.compile(rb"(?=[" + bytes(TYPES) + rb"][\x01-\xff]\x00\x00.{8})", re.DOTALL)
"""Type, schema and flags of a record header, with something behind."""
_TYPE_OFFSET = 4


class SegmentScan:
    """Where the chain of a segment has come to. After `records` is exhausted it stands at the end of what is sound."""

    def __init__(self, data: bytes, header: SegmentHeader) -> None:
        self._data = data
        self.header = header
        self.end = SEGMENT_HEADER_BYTES
        self.crc = header.crc
        self.sequence = header.first_sequence - 1
        self.digest = header.previous_digest
        self.synced = 0
        """The highest sequence that any record so far knew to be on the disk."""
        self.problem = ""
        """What is wrong at `end`; empty where nothing but zeros follows."""
        self.is_proved = False
        """The problem cannot be a torn tail, whatever follows."""

    def records(self) -> Iterator[Record]:
        data, size = self._data, len(self._data)
        hashed = 0
        while True:
            start = self.end
            body = start + HEADER_BYTES
            if body > size:
                break
            length, kind, schema, flags, sequence, synced, monotonic_ns, wall_ns, previous, crc = HEADER.unpack_from(
                data, start
            )
            end = body + length
            if kind not in TYPES or not schema or flags or sequence != self.sequence + 1 or end > size:
                break
            if previous != self.crc or check(data, start, end, previous) != crc:
                break
            payload = data[body:end]
            if kind == DIGEST:
                found = hashlib.blake2b(self.digest + data[hashed:start], digest_size=DIGEST_BYTES).digest()
                if found != payload:
                    self.problem, self.is_proved = f"the digest at record {sequence} is of other bytes", True
                    return
                self.digest, hashed = payload, end
            self.end, self.crc, self.sequence = end, crc, sequence
            if synced > self.synced:
                self.synced = synced
            yield Record(kind, sequence, monotonic_ns, wall_ns, payload, crc, schema, synced)
        if data[self.end :].strip(b"\0"):
            self.problem = f"record {self.sequence + 1} is not what was written"


def synced_behind(data: bytes, offset: int, *, above: int) -> int:
    """The highest synced sequence that any whole record with a sequence above `above` names in `data[offset:]`."""
    best = 0
    data = data.rstrip(b"\0") + bytes(HEADER_BYTES)  # a payload may end in zeros, a header of ours does not begin so
    for found in _CANDIDATE.finditer(data, offset + _TYPE_OFFSET):
        start = found.start() - _TYPE_OFFSET
        if start + HEADER_BYTES > len(data):
            break
        length, _, _, _, sequence, synced, _, _, previous, crc = HEADER.unpack_from(data, start)
        end = start + HEADER_BYTES + length
        if not above < sequence <= above + len(data) or synced >= sequence or length > PAYLOAD_BYTES_MAX:
            continue
        if end <= len(data) and synced > best and check(data, start, end, previous) == crc:
            best = synced
    return best
