"""A disk in memory that can fill up, fail, lose power, and say afterwards what survived.

The simulated form of `agent.ports.disk.Disk`; tests/ports/ runs it and the real one through the same cases.

Theory of operation. A file has one content, which every reader sees at once; that is the page cache. Before a 512-byte
sector is changed for the first time since the last sync, its old bytes are put aside; a sync forgets them. So the loss
of power is: of each sector put aside, keep the new bytes or bring back the old ones, by lot. Names are kept apart in the
same way, for each folder as of its last `sync_folder`. After a sync that failed nothing is known: by lot, sectors are
taken as written or not, and the next sync does not ask again.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

from agent.devnet.virtual.faults import Faults
from agent.ports.disk import SECTOR_BYTES, MappedBytes


class Inode:
    """A file's content, under whatever name."""

    __slots__ = ("_forgotten", "_put_aside", "content", "durable_size")

    def __init__(self, size: int) -> None:
        self.content = bytearray(size)
        self.durable_size = 0
        self._put_aside: dict[int, bytes] = {}
        """Old bytes of each sector that was changed since the last sync."""
        self._forgotten: dict[int, bytes] = {}
        """Old bytes of sectors that a failed sync marked clean without writing them."""

    def write(self, offset: int, data: bytes) -> None:
        content = self.content
        end = offset + len(data)
        if end > len(content):
            content.extend(bytes(end - len(content)))
        put_aside = self._put_aside
        for sector in range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            if sector not in put_aside:
                start = sector * SECTOR_BYTES
                old = self._forgotten.pop(sector, None) if self._forgotten else None
                put_aside[sector] = bytes(content[start : start + SECTOR_BYTES]) if old is None else old
        content[offset:end] = data

    def cut(self, size: int) -> None:
        self.write(size, bytes(len(self.content) - size))
        del self.content[size:]

    def sync(self) -> None:
        self._put_aside.clear()
        self.durable_size = len(self.content)

    def fail_to_sync(self, stream: random.Random) -> None:
        """Write any subset of the sectors, and take the others for written as well."""
        for sector in sorted(self._put_aside):
            if stream.random() < 0.5:
                self._forgotten[sector] = self._put_aside[sector]
        self._put_aside.clear()

    def lose_power(self, stream: random.Random) -> None:
        """Keep any subset of what no sync covered; by lot all of it, none of it, or each sector for itself."""
        manner = stream.randrange(4)
        if manner != 0 and len(self.content) < self.durable_size:
            self.content.extend(bytes(self.durable_size - len(self.content)))
        for sector in sorted(self._put_aside):
            if manner == 0 or (manner > 1 and stream.random() < 0.5):
                continue
            self._bring_back(sector, self._put_aside[sector])
        for sector, old in sorted(self._forgotten.items()):
            self._bring_back(sector, old)
        if manner != 0 and len(self.content) > self.durable_size:
            del self.content[self.durable_size :]
        self._forgotten.clear()
        self.sync()

    def _bring_back(self, sector: int, old: bytes) -> None:
        start = sector * SECTOR_BYTES
        if start < len(self.content):
            self.content[start : start + len(old)] = old[: len(self.content) - start]


class VirtualMap:
    """The content as memory; a write that would change the length is refused, as an mmap refuses it."""

    __slots__ = ("_file",)

    def __init__(self, file: VirtualFile) -> None:
        self._file = file

    def __getitem__(self, where: slice) -> bytes:
        return bytes(self._file.inode().content[where])

    def __setitem__(self, where: slice, content: bytes) -> None:
        inode = self._file.inode()
        start, stop, step = where.indices(len(inode.content))
        if step != 1 or stop - start != len(content):
            raise IndexError("mmap slice assignment is wrong size")
        self._file.passes("before", "store in")
        inode.write(start, content)
        self._file.passes("behind", "store in")


class VirtualFile:
    """An open file."""

    def __init__(self, disk: VirtualDisk, path: Path, inode: Inode, *, is_writable: bool) -> None:
        self._disk = disk
        self._path = path
        self._inode: Inode | None = inode
        self._is_writable = is_writable

    def passes(self, where: str, call: str) -> None:
        self._disk.passes(where, call, self._path)

    def inode(self) -> Inode:
        if self._inode is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._inode

    @property
    def size(self) -> int:
        return len(self.inode().content)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self.inode().content[offset : offset + length])

    def write_at(self, offset: int, content: bytes) -> None:
        inode = self._writable()
        self.passes("before", "write to")
        if self._disk.faults.strikes("disk.write_fails"):
            part = self._disk.faults.choose("disk.write_fails", len(content) + 1)
            inode.write(offset, content[:part])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        grows = offset + len(content) - len(inode.content)
        if grows > 0 and (lacks := grows - self._disk.free()) > 0:
            inode.write(offset, content[: max(0, len(content) - lacks)])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        inode.write(offset, content)
        self.passes("behind", "write to")

    def map(self) -> MappedBytes:
        self._writable()
        return VirtualMap(self)

    def warm(self, start: int, end: int) -> None:
        """There is nothing to gain."""

    def sync(self) -> None:
        inode = self._writable()
        self._disk.syncs += 1
        self.passes("before", "sync of")
        if self._disk.faults.strikes("disk.sync_fails"):
            inode.fail_to_sync(self._disk.stream)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        inode.sync()
        self.passes("behind", "sync of")

    def truncate(self, size: int) -> None:
        inode = self._writable()
        self.passes("before", "cut of")
        if size > len(inode.content):
            inode.write(len(inode.content), bytes(size - len(inode.content)))
        elif size < len(inode.content):
            inode.cut(size)
        self.passes("behind", "cut of")

    def close(self) -> None:
        self._inode = None

    def _writable(self) -> Inode:
        inode = self.inode()
        if not self._is_writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return inode


class VirtualLock:
    def __init__(self, disk: VirtualDisk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locked.discard(self._path)


class VirtualDisk:
    """One machine's disk, as its one process sees it."""

    def __init__(self, faults: Faults, stream: random.Random, *, capacity_bytes: int = 1 << 40) -> None:
        self.faults = faults
        self.stream = stream
        self.capacity_bytes = capacity_bytes
        self.locked: set[Path] = set()
        self.syncs = 0
        self.on_passed: Callable[[str], None] | None = None
        """Told of each point at which a process can die: before and behind each call that changes something."""
        self._files: dict[Path, Inode] = {}
        self._durable_names: dict[Path, Inode] = {}
        self._folders: set[Path] = set()
        self._open: list[VirtualFile] = []

    def passes(self, where: str, call: str, path: Path) -> None:
        if self.on_passed is not None:
            self.on_passed(f"{where} disk {call} {path.suffix[1:] or path.name}")

    def kill_process(self) -> None:
        """The process is gone: its files are closed and its locks dropped; what it wrote is there."""
        for file in self._open:
            file.close()
        self._open.clear()
        self.locked.clear()

    def lose_power(self) -> None:
        """The machine is gone: of what no sync covered any part may be there afterwards."""
        self.kill_process()
        names = self._durable_names
        # A name that was changed and not synced is by lot the old or the new one.
        for path in sorted(set(self._files) | set(names)):
            if self._files.get(path) is not names.get(path) and self.stream.random() < 0.5:
                if path in self._files:
                    names[path] = self._files[path]
                else:
                    del names[path]
        self._files = dict(names)
        for path in sorted(self._files):
            self._files[path].lose_power(self.stream)

    def free(self) -> int:
        return max(0, self.capacity_bytes - sum(len(inode.content) for inode in self._files.values()))

    def make_folder(self, folder: Path) -> None:
        self._folders.update((folder, *folder.parents))

    def create(self, path: Path, *, size: int = 0) -> VirtualFile:
        self._folder_of(path)
        if path in self._files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if size > self.free() or (size and self.faults.strikes("disk.full")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self.passes("before", "creation of", path)
        self._files[path] = inode = Inode(0)
        inode.content = bytearray(size)
        self.passes("behind", "creation of", path)
        return self._opened(path, inode, is_writable=True)

    def open(self, path: Path) -> VirtualFile:
        return self._opened(path, self._inode(path), is_writable=True)

    def open_to_read(self, path: Path) -> VirtualFile:
        return self._opened(path, self._inode(path), is_writable=False)

    def names(self, folder: Path) -> list[str]:
        inside = {path.name for path in (*self._files, *self._folders) if path.parent == folder and path != folder}
        return sorted(inside)

    def rename(self, old: Path, new: Path) -> None:
        inode = self._inode(old)
        self._folder_of(new)
        self.passes("before", "renaming to", new)
        del self._files[old]
        self._files[new] = inode
        self.passes("behind", "renaming to", new)

    def remove(self, path: Path) -> None:
        self._inode(path)
        self.passes("before", "removal of", path)
        del self._files[path]
        self.passes("behind", "removal of", path)

    def sync_folder(self, folder: Path) -> None:
        self._folder_of(folder / "x")
        self.passes("before", "sync of folder", folder)
        for path in [path for path in self._durable_names if path.parent == folder]:
            del self._durable_names[path]
        self._durable_names.update({path: inode for path, inode in self._files.items() if path.parent == folder})
        self.passes("behind", "sync of folder", folder)

    def free_bytes(self, folder: Path) -> int:
        self._folder_of(folder / "x")
        return self.free()

    def lock(self, path: Path) -> VirtualLock:
        self._folder_of(path)
        if path not in self._files:
            self._files[path] = Inode(0)
        if path in self.locked:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path))
        self.locked.add(path)
        return VirtualLock(self, path)

    def _opened(self, path: Path, inode: Inode, *, is_writable: bool) -> VirtualFile:
        file = VirtualFile(self, path, inode, is_writable=is_writable)
        self._open.append(file)
        return file

    def _inode(self, path: Path) -> Inode:
        inode = self._files.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return inode

    def _folder_of(self, path: Path) -> None:
        if path.parent not in self._folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
