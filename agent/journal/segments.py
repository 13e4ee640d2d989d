"""Segments: their names, and the header that binds each to the one before.

The header fills one sector, which a disk writes whole or not at all. It is synced before anything leaves that stands
behind it, so the `run_epoch` of a run whose orders went out is on the disk, and the next start takes another.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import msgspec

from agent.journal.errors import CorruptJournal, UnknownFormat
from agent.journal.records import DIGEST_BYTES
from agent.ports.disk import SECTOR_BYTES, Disk

FOLDER_NAME = "journal"
SUFFIX = ".mvj"
OLD_FILE_NAME = "journal.mevj"
"""Where format 1 kept a whole run in one file."""
OLD_MAGIC = b"MEVJ"
MAGIC = b"MEVJSEG\n"
FORMAT = 2
SEGMENT_HEADER_BYTES = SECTOR_BYTES
HASH_BYTES = 32
_LAYOUT = struct.Struct("<8sHHIQQQq32s32sI16s")
_NAME = re.compile(r"(\d{10})\.mvj")


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first sector of a segment."""

    run_epoch: int
    segment: int
    first_sequence: int
    wall_ns: int
    config_hash: bytes
    code_hash: bytes
    previous_crc: int
    """Of the last record of the segment before; 0 in the first."""
    previous_digest: bytes
    """The last digest before; zeros in the first."""

    def encode(self) -> bytes:
        """The whole sector."""
        body = _LAYOUT.pack(
            MAGIC, FORMAT, SEGMENT_HEADER_BYTES, 0, self.run_epoch, self.segment, self.first_sequence, self.wall_ns,
            self.config_hash, self.code_hash, self.previous_crc, self.previous_digest,
        )  # fmt: skip
        return (body + crc32(body).to_bytes(4, "little")).ljust(SEGMENT_HEADER_BYTES, b"\0")

    @property
    def crc(self) -> int:
        """What seeds the first record."""
        return crc_of(self.encode())


def crc_of(sector: bytes) -> int:
    return int.from_bytes(sector[_LAYOUT.size : _LAYOUT.size + 4], "little")


def decode_header(sector: bytes, *, path: Path) -> SegmentHeader | None:
    """None for a sector that is no header. Raises UnknownFormat for a whole one of another format."""
    if len(sector) != SEGMENT_HEADER_BYTES or sector[: len(MAGIC)] != MAGIC:
        return None
    if crc32(sector[: _LAYOUT.size]) != crc_of(sector) or any(sector[_LAYOUT.size + 4 :]):
        return None
    _, version, _, flags, epoch, number, first, wall_ns, config_hash, code_hash, crc, digest = _LAYOUT.unpack_from(
        sector
    )
    if version != FORMAT or flags:
        raise UnknownFormat(
            f"a journal of format {version}; this code reads format {FORMAT}",
            path=str(path),
            version=version,
            hint="read it with the version of mev-agent that wrote it",
        )
    return SegmentHeader(
        run_epoch=epoch, segment=number, first_sequence=first, wall_ns=wall_ns, config_hash=config_hash,
        code_hash=code_hash, previous_crc=crc, previous_digest=digest,
    )  # fmt: skip


def segment_name(number: int) -> str:
    return f"{number:010}{SUFFIX}"


def segment_numbers(folder: Path, disk: Disk) -> list[int]:
    """Of all segments in the folder, in order. Raises CorruptJournal where one in the middle is missing."""
    numbers = sorted(int(found[1]) for name in disk.names(folder) if (found := _NAME.fullmatch(name)))
    for before, number in pairwise(numbers):
        if number != before + 1:
            raise CorruptJournal(f"segment {before + 1} is missing", path=str(folder), sequence=0)
    return numbers


NO_DIGEST = bytes(DIGEST_BYTES)
NO_HASH = bytes(HASH_BYTES)
