"""Read a journal back, record by record over all its segments, checked while read.

A tail that the loss of power tore is told, in `torn`; anything else that does not chain is corruption and raises. The
reader changes nothing: cutting a tail off is what a start does (`agent.journal.recovery`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.errors import SetupError
from agent.journal.errors import CorruptJournal, UnknownFormat
from agent.journal.records import RUN, Record, Run, decode_run
from agent.journal.scan import SegmentScan, synced_behind
from agent.journal.segments import (
    FOLDER_NAME,
    NO_DIGEST,
    OLD_FILE_NAME,
    OLD_MAGIC,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    decode_header,
    segment_name,
    segment_numbers,
)
from agent.journal.snapshots import newest_snapshots
from agent.ports.disk import SYSTEM_DISK, Disk


class Torn(msgspec.Struct, frozen=True, kw_only=True):
    """A tail that cannot be read: it begins in `segment` at `offset`, and no record of it was known to be synced."""

    segment: int
    offset: int
    byte_count: int
    later_segments: tuple[int, ...] = ()
    """Segments behind it, which are part of the tail."""


class JournalReader:
    """All records of a journal, in order. What a finished `records` came to stands in the attributes."""

    def __init__(self, folder: Path, *, disk: Disk = SYSTEM_DISK) -> None:
        """`folder` is a run's, or the journal's in it. Raises SetupError where there is none, UnknownFormat."""
        self._disk = disk
        self.path = folder if folder.name == FOLDER_NAME else folder / FOLDER_NAME
        self.numbers = segment_numbers(self.path, disk)
        if not self.numbers:
            _refuse_old(folder, disk)
            raise SetupError(
                "no journal: No such file or directory", where=str(folder), hint="name a folder under runs/"
            )
        self.torn: Torn | None = None
        self.header: SegmentHeader | None = None
        """Of the segment that is being read; at the end, of the last one that holds anything."""
        self.sequence = 0
        self.crc = 0
        self.digest = NO_DIGEST
        self.end = 0
        """Where the last segment that holds anything ends."""

    @property
    def is_torn(self) -> bool:
        return self.torn is not None

    def records(self, *, above: int = 0) -> Iterator[Record]:
        """Each record with a sequence above `above`; whole segments below it are not even read. Raises CorruptJournal."""
        self.torn = self.header = None
        numbers = self._numbers_from(above)
        for index, number in enumerate(numbers):
            data = self._read(number)
            header = decode_header(data[:SEGMENT_HEADER_BYTES], path=self.path / segment_name(number))
            if header is None and not data.strip(b"\0"):
                if index == len(numbers) - 1:
                    return  # made ahead, and never used
                self._end_here(numbers[index - 1 :] if index else numbers[:1], "", is_proved=index == 0)
                return
            if header is None or header.segment != number or not self._is_next(header):
                self._end_here(numbers[max(0, index - 1) :], "", is_proved=index == 0 and header is not None)
                return
            self.header = header
            scan = SegmentScan(data, header)
            for record in scan.records():
                if record.sequence > above:
                    yield record
            self.sequence, self.crc, self.digest, self.end = scan.sequence, scan.crc, scan.digest, scan.end
            if scan.problem:
                self._end_here(numbers[index:], scan.problem, is_proved=scan.is_proved)
                return

    def run(self) -> Run:
        """The first record."""
        for record in self.records():
            if record.type != RUN:
                break
            return decode_run(record.payload)
        raise CorruptJournal("the first record is missing", path=str(self.path), sequence=1)

    def last_header(self) -> SegmentHeader | None:
        """Of the last segment that has a whole one."""
        for number in reversed(self.numbers):
            sector = self._read(number, SEGMENT_HEADER_BYTES)
            if (header := decode_header(sector, path=self.path / segment_name(number))) is not None:
                return header
        return None

    def _numbers_from(self, above: int) -> list[int]:
        """Segments from the last one that begins at or below `above` + 1."""
        start = 0
        for index, number in enumerate(self.numbers if above else ()):
            header = decode_header(self._read(number, SEGMENT_HEADER_BYTES), path=self.path / segment_name(number))
            if header is not None and header.first_sequence <= above + 1:
                start = index
        return self.numbers[start:]

    def _is_next(self, header: SegmentHeader) -> bool:
        """The first that is read is taken at its word: what came before it was removed, or was not asked for."""
        if self.header is None:
            return True
        return (
            header.first_sequence == self.sequence + 1
            and header.previous_crc == self.crc
            and header.previous_digest == self.digest
            and header.run_epoch >= self.header.run_epoch
        )

    def _end_here(self, numbers: list[int], problem: str, *, is_proved: bool) -> None:
        """The chain ends in `numbers[0]`: a torn tail, or CorruptJournal where something behind proves more."""
        first, later = numbers[0], numbers[1:]
        expected = self.sequence + 1
        offset = self.end
        synced = max((snapshot.sequence for snapshot in newest_snapshots(self.path, self._disk)), default=0)
        data = self._read(first)
        synced = max(synced, synced_behind(data, offset, above=self.sequence))
        byte_count = len(data[offset:].rstrip(b"\0"))
        epoch = self.header.run_epoch if self.header else 0
        for number in later:
            data = self._read(number)
            header = decode_header(data[:SEGMENT_HEADER_BYTES], path=self.path)
            if header is not None and header.run_epoch > epoch and self.header is not None:
                synced = max(synced, header.first_sequence - 1)  # a new run settles and syncs what it continues
            synced = max(synced, synced_behind(data, 0, above=self.sequence))
            byte_count += len(data.rstrip(b"\0"))
        if is_proved or synced >= expected:
            raise CorruptJournal(
                problem or f"record {expected} is missing",
                path=str(self.path / segment_name(first)),
                sequence=expected,
            )
        self.torn = Torn(segment=first, offset=offset, byte_count=byte_count, later_segments=tuple(later))

    def _read(self, number: int, length: int | None = None) -> bytes:
        path = self.path / segment_name(number)
        try:
            file = self._disk.open_to_read(path)
            try:
                return file.read_at(0, file.size if length is None else length)
            finally:
                file.close()
        except OSError as error:
            raise SetupError(f"cannot read the journal: {error.strerror or error}", where=str(path)) from error


def _refuse_old(folder: Path, disk: Disk) -> None:
    """Say so where a journal of the first format lies."""
    path = folder if folder.suffix == Path(OLD_FILE_NAME).suffix else folder / OLD_FILE_NAME
    if path.name not in disk.names(path.parent):
        return
    file = disk.open_to_read(path)
    try:
        is_old = file.read_at(0, len(OLD_MAGIC)) == OLD_MAGIC
    finally:
        file.close()
    if is_old:
        raise UnknownFormat(
            "a journal of format 1 (one file); this code reads format 2 (segments)",
            path=str(path),
            version=1,
            hint="read it with mev-agent before journals had segments, or run again",
        )
