"""Files as the journal needs them: space taken before it is needed, mapped writes, and what a sync does and does not do.

Theory of operation. A write, mapped or not, is visible to every reader at once and survives the death of the process.
It survives the loss of power only after a `sync` of the file that returned; until then any subset of its 512-byte
sectors may be there afterwards. A name (created, renamed, removed) survives the loss of power only after `sync_folder`.
After a `sync` that failed nothing is known about what was written since the last good one, and asking again proves
nothing: Linux marks the pages clean all the same (Rebello et al., USENIX ATC 2020).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
from pathlib import Path
from typing import Protocol

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""
ZEROS = bytes(1 << 20)
_IS_LINUX = hasattr(mmap, "MAP_POPULATE")
_libc = ctypes.CDLL(None) if _IS_LINUX else None
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux 5.14; an older kernel says EINVAL, and the pages stay cold."""


class MappedBytes(Protocol):
    """The content of a file as memory. A slice is replaced by bytes of the same length, which writes it."""

    def __getitem__(self, where: slice) -> bytes | bytearray: ...
    def __setitem__(self, where: slice, content: bytes) -> None: ...


class StoredFile(Protocol):
    """An open file. Every method raises OSError where the disk refuses, ENOSPC and EIO above all."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read_at(self, offset: int, length: int) -> bytes:
        """What is there, which is less than `length` at the end of the file."""

    def write_at(self, offset: int, content: bytes) -> None:
        """All of it, or OSError; then any part of it may have been written."""

    def map(self) -> MappedBytes:
        """The whole file as memory, once; ends with `close`. A file with space taken ahead never fails a mapped write."""

    def warm(self, start: int, end: int) -> None:
        """Have the first write to these mapped bytes cost no more than any other. Changes nothing, and never raises."""

    def sync(self) -> None:
        """Make everything written so far, and the length, survive the loss of power."""

    def truncate(self, size: int) -> None:
        """Cut it to `size`; not while it is mapped."""

    def close(self) -> None:
        """Idempotent. Syncs nothing."""


class Lock(Protocol):
    """Held until it is released, or the process ends in whatever way."""

    def release(self) -> None: ...


class Disk(Protocol):
    """The way out to files. Methods raise OSError; FileExistsError, FileNotFoundError and BlockingIOError are of it."""

    def make_folder(self, folder: Path) -> None:
        """With its parents; one that is there is left as it is."""

    def create(self, path: Path, *, size: int = 0) -> StoredFile:
        """A new file of `size` zero bytes whose blocks are allocated and written. FileExistsError where it exists.

        A file that could not be made whole is removed again.
        """

    def open(self, path: Path) -> StoredFile:
        """A file that exists, for reading and writing. FileNotFoundError where it does not."""

    def open_to_read(self, path: Path) -> StoredFile:
        """A file that exists; whatever writes raises."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted; none where there is no such folder."""

    def rename(self, old: Path, new: Path) -> None:
        """At once for every reader; a file that had the new name is gone."""

    def remove(self, path: Path) -> None:
        """FileNotFoundError where it does not exist."""

    def sync_folder(self, folder: Path) -> None:
        """Make names created, renamed and removed in it survive the loss of power."""

    def free_bytes(self, folder: Path) -> int:
        """What an ordinary user may still write there."""

    def lock(self, path: Path) -> Lock:
        """BlockingIOError where another holder lives. The file is made where it is missing, and stays."""


class SystemFile:
    """A file of the machine."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        parts = []
        while length > 0 and (part := os.pread(self._descriptor, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def write_at(self, offset: int, content: bytes) -> None:
        left = memoryview(content)
        while left:  # a disk that fills up writes a part first, and says so only the next time
            written = os.pwrite(self._descriptor, left, offset)
            offset += written
            left = left[written:]

    def map(self) -> MappedBytes:
        if self._map is None:
            # Populated, so that the first write to a page finds its content in memory.
            flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if _IS_LINUX else 0)
            self._map = mmap.mmap(self._descriptor, self.size, flags=flags)
        return self._map

    def warm(self, start: int, end: int) -> None:
        # Each first write to a page after a sync is a fault of some microseconds. Here the kernel has them all at
        # once, and other threads run meanwhile, as ctypes lets go of the interpreter.
        if self._map is None or _libc is None:
            return
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        start -= start % mmap.PAGESIZE
        _libc.madvise(ctypes.c_void_p(address + start), ctypes.c_size_t(min(end, self.size) - start), _POPULATE_WRITE)

    def sync(self) -> None:
        if self._map is not None and not _IS_LINUX:
            self._map.flush()  # elsewhere than on Linux fsync need not cover what was written through a map
        os.fdatasync(self._descriptor) if _IS_LINUX else os.fsync(self._descriptor)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class SystemLock:
    """An flock: the kernel drops it with the last descriptor, so no stale one outlives its process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class SystemDisk:
    """The machine's own file systems."""

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path, *, size: int = 0) -> StoredFile:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        file = SystemFile(descriptor)
        try:
            if size:
                _allocate(descriptor, size)
                # Written through as well: an allocated block that was never written is turned into a written one
                # only at the first sync, and that costs a transaction of the file system.
                for offset in range(0, size, len(ZEROS)):
                    file.write_at(offset, ZEROS[: min(len(ZEROS), size - offset)])
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        return file

    def open(self, path: Path) -> StoredFile:
        return SystemFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def open_to_read(self, path: Path) -> StoredFile:
        return SystemFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def names(self, folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(folder).free

    def lock(self, path: Path) -> Lock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return SystemLock(descriptor)


def _allocate(descriptor: int, size: int) -> None:
    """Take the blocks. Where the file system cannot, the zeros that follow take them."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


SYSTEM_DISK = SystemDisk()
"""For whoever is told of no other; it has no state."""
