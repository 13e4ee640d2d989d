"""Copying records into the present segment: the part of the journal that lies on the way of every order.

Theory of operation. A segment is a file of fixed size whose blocks are on the disk before its first record, mapped into
memory: to append is to copy some 300 bytes, and they are the kernel's before the call returns. The limit of a segment
leaves a reserve: digest, closing record, or the record that says why the writer stopped, always fit. After any error
the limit is -1, so that the one comparison on the way refuses everything from then on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from zlib import crc32

from agent.journal.errors import RecordTooLong
from agent.journal.keeper import Keeper
from agent.journal.records import (
    COVERED,
    CRC,
    DIGEST,
    DIGEST_BYTES,
    HALT,
    HEADER,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    Halt,
    encode_payload,
)
from agent.journal.schema import SCHEMA
from agent.journal.segments import SEGMENT_HEADER_BYTES, SegmentHeader, segment_name
from agent.journal.settings import MILLISECOND_NS, JournalSettings
from agent.ports.disk import MappedBytes, StoredFile

RESERVE_BYTES = 2048
HALT_REASON_MAX = 512
DIGEST_EVERY = 256
DIGEST_EVERY_NS = 100 * MILLISECOND_NS
HASH_STEP_BYTES = 2048
"""Hashed in steps of this size, so that no single append pays for a whole digest."""

_pack = COVERED.pack
_pack_crc = CRC.pack


class Appender:
    """The chain of records as it grows. Its heir opens the first segment, and says what is written."""

    folder: Path
    settings: JournalSettings
    run_epoch: int
    """Rises with each run of this journal and never repeats: ids are made of it."""
    digest: bytes
    """Of everything up to the last digest record; who knows it can tell whether the past was rewritten."""
    _keeper: Keeper
    _file: StoredFile
    _map: MappedBytes
    _number: int
    _sequence: int
    _crc: int
    _config_hash: bytes
    _code_hash: bytes
    _is_open: bool
    _unsynced_since_ns: int
    _limit: int
    _end: int
    _last: int
    """Where the last record begins."""

    @property
    def path(self) -> Path:
        """The present segment."""
        return self.folder / segment_name(self._number)

    @property
    def sequence(self) -> int:
        """Of the last record."""
        return self._sequence

    @property
    def crc(self) -> int:
        """Of the last record; it covers every one before."""
        return self._crc

    def _open_segment(self, monotonic_ns: int, wall_ns: int) -> None:
        header = SegmentHeader(
            run_epoch=self.run_epoch,
            segment=self._number,
            first_sequence=self._sequence + 1,
            wall_ns=wall_ns,
            config_hash=self._config_hash,
            code_hash=self._code_hash,
            previous_crc=self._crc,
            previous_digest=self.digest,
        )
        self._map[0:SEGMENT_HEADER_BYTES] = header.encode()
        self._crc = header.crc
        self._end = SEGMENT_HEADER_BYTES
        self._start_digest(0)
        self._digest_due_ns = monotonic_ns + DIGEST_EVERY_NS
        self._limit = self.settings.segment_bytes - RESERVE_BYTES
        if self._keeper.failure is not None:
            self._limit = -1

    def _last_times(self) -> tuple[int, int]:
        """Monotonic and wall time of the last record."""
        header = HEADER.unpack(self._map[self._last : self._last + HEADER_BYTES])
        return header[6], header[7]

    def _append(self, kind: int, payload: bytes, monotonic_ns: int, wall_ns: int) -> int:
        start = self._end
        length = len(payload)
        end = start + HEADER_BYTES + length
        if end > self._limit or length > PAYLOAD_BYTES_MAX:
            self._make_room(length, monotonic_ns, wall_ns)
            start = self._end
            end = start + HEADER_BYTES + length
        sequence = self._sequence
        synced = self._keeper.synced
        if synced == sequence:
            self._unsynced_since_ns = monotonic_ns
        sequence += 1
        previous = self._crc
        covered = _pack(length, kind, SCHEMA, 0, sequence, synced, monotonic_ns, wall_ns, previous)
        crc = crc32(payload, crc32(covered, previous))
        self._map[start:end] = covered + _pack_crc(crc) + payload
        self._crc = crc
        self._end = end
        self._sequence = sequence
        self._last = start
        if end > self._hash_due:
            self._hash_written()
        if sequence >= self._digest_due or monotonic_ns >= self._digest_due_ns:
            self._write_digest(monotonic_ns, wall_ns)
        return sequence

    def _append_reserved(self, kind: int, payload: bytes, monotonic_ns: int, wall_ns: int) -> None:
        """Into the reserve, if need be."""
        limit, self._limit = self._limit, self.settings.segment_bytes
        self._append(kind, payload, monotonic_ns, wall_ns)
        self._limit = limit
        if self._keeper.failure is not None:
            self._limit = -1

    def _make_room(self, length: int, monotonic_ns: int, wall_ns: int) -> None:
        """Go on in the next segment. Raises JournalFailed where there is none, and RecordTooLong."""
        if self._keeper.failure is not None or not self._is_open:
            raise self._keeper.error()
        longest = min(
            PAYLOAD_BYTES_MAX, self.settings.segment_bytes - RESERVE_BYTES - SEGMENT_HEADER_BYTES - HEADER_BYTES
        )
        if length > longest:
            raise RecordTooLong(length=length, length_max=longest, path=str(self.path))
        self._write_digest(monotonic_ns, wall_ns)
        taken = self._keeper.roll()
        if taken is None:
            reason = self._keeper.shortage or self._keeper.failure or "no room"
            self._append_reserved(
                HALT, encode_payload(Halt(reason.encode()[:HALT_REASON_MAX].decode(errors="ignore"))),
                monotonic_ns, wall_ns,
            )  # fmt: skip
            self._keeper.sync()
            self._keeper.fail(reason)
            raise self._keeper.error(is_first=True)
        self._file, self._map = taken
        self._number += 1
        self._open_segment(monotonic_ns, wall_ns)

    def _start_digest(self, offset: int) -> None:
        self._hash = hashlib.blake2b(self.digest, digest_size=DIGEST_BYTES)
        self._hashed = offset
        self._hash_due = offset + HASH_STEP_BYTES
        self._digest_due = self._sequence + DIGEST_EVERY

    def _hash_written(self) -> None:
        self._hash.update(self._map[self._hashed : self._end])
        self._hashed = self._end
        self._hash_due = self._end + HASH_STEP_BYTES

    def _write_digest(self, monotonic_ns: int, wall_ns: int) -> None:
        self._hash_written()
        digest = self._hash.digest()
        self._digest_due = self._sequence + DIGEST_EVERY
        self._digest_due_ns = monotonic_ns + DIGEST_EVERY_NS
        self._append_reserved(DIGEST, digest, monotonic_ns, wall_ns)
        self.digest = digest
        self._start_digest(self._end)

    def _written(self) -> tuple[int, int]:
        return self._sequence, self._end

    def _refuse(self) -> None:
        self._limit = -1
