"""Snapshots of the core's state, so that a start reads the end of a journal and not the whole of it.

A file names the sequence behind which its state stands, and holds its own hash: one that was not written whole is not
one. It is made beside the old ones, synced, and only then gets its name. Two are kept.
"""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path

import msgspec

from agent.journal.records import Run, decode_run, encode_payload
from agent.journal.segments import HASH_BYTES
from agent.ports.disk import Disk

MAGIC = b"MEVJSNP\n"
FORMAT = 1
KEPT = 2
_LAYOUT = struct.Struct("<8sHIIQQ32s")
_NAME = re.compile(r"(\d{20})\.mvs")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The core's state behind record `sequence`, whose check sum is `crc`, and the run it was taken in."""

    sequence: int
    crc: int
    run_epoch: int
    code_hash: bytes
    run: Run
    state: bytes

    @property
    def state_hash(self) -> str:
        return hash_state(self.state)


def hash_state(state: bytes) -> str:
    """BLAKE2b-128 in hexadecimal, as it stands in the journal."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


def snapshot_name(sequence: int) -> str:
    return f"{sequence:020}.mvs"


def snapshot_sequences(folder: Path, disk: Disk) -> list[int]:
    """Of all that are there, in order."""
    return sorted(int(found[1]) for name in disk.names(folder) if (found := _NAME.fullmatch(name)))


def write_snapshot(folder: Path, disk: Disk, snapshot: Snapshot) -> Path:
    """Write it so that it is whole or not there, then drop all but the newest two. Raises OSError."""
    run = encode_payload(snapshot.run)
    body = _LAYOUT.pack(
        MAGIC, FORMAT, len(run), snapshot.crc, snapshot.sequence, snapshot.run_epoch, snapshot.code_hash
    ) + run + snapshot.state  # fmt: skip
    path = folder / snapshot_name(snapshot.sequence)
    temporary = path.with_suffix(".partial")
    if temporary.name in disk.names(folder):
        disk.remove(temporary)
    file = disk.create(temporary)
    try:
        file.write_at(0, body + hashlib.blake2b(body, digest_size=HASH_BYTES).digest())
        file.sync()
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_folder(folder)
    for old in snapshot_sequences(folder, disk)[:-KEPT]:
        disk.remove(folder / snapshot_name(old))
    return path


def read_snapshot(path: Path, disk: Disk) -> Snapshot | None:
    """None for a file that is not a whole snapshot of this format."""
    file = disk.open_to_read(path)
    try:
        content = file.read_at(0, file.size)
    finally:
        file.close()
    body, found = content[:-HASH_BYTES], content[-HASH_BYTES:]
    if len(body) < _LAYOUT.size or hashlib.blake2b(body, digest_size=HASH_BYTES).digest() != found:
        return None
    magic, version, run_bytes, crc, sequence, epoch, code = _LAYOUT.unpack_from(body)
    if magic != MAGIC or version != FORMAT or snapshot_name(sequence) != path.name:
        return None
    run, state = body[_LAYOUT.size : _LAYOUT.size + run_bytes], body[_LAYOUT.size + run_bytes :]
    return Snapshot(sequence=sequence, crc=crc, run_epoch=epoch, code_hash=code, run=decode_run(run), state=state)


def newest_snapshots(folder: Path, disk: Disk) -> list[Snapshot]:
    """The valid ones, newest first."""
    found = [read_snapshot(folder / snapshot_name(number), disk) for number in snapshot_sequences(folder, disk)]
    return [one for one in reversed(found) if one is not None]
