"""A disk in memory that knows what is durable, and gives every state in which a loss of power can leave it.

It can be told to fail or to stop at any one of its operations. Nothing here is random unless a test asks for a sample.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from agent.ports.disk import SECTOR_BYTES, MappedBytes

SECTORS_MAX = 7
"""Up to here every subset of what is not durable is an image; above, a sample."""
SAMPLE = 40


class PowerLost(BaseException):
    """The machine is gone in the middle of an operation; nothing may catch it."""


class Content:
    """A file: as everyone sees it, and as the disk holds it."""

    def __init__(self, seen: bytes = b"", durable: bytes = b"") -> None:
        self.seen = bytearray(seen)
        self.durable = durable

    def unsynced(self) -> list[int]:
        """Sectors that differ, and -1 where the length does."""
        length = max(len(self.seen), len(self.durable))
        sectors = [
            number
            for number in range(-(-length // SECTOR_BYTES))
            if self.sector(self.seen, number) != self.sector(self.durable, number)
        ]
        return sectors + ([-1] if len(self.seen) != len(self.durable) else [])

    @staticmethod
    def sector(content: bytes | bytearray, number: int) -> bytes:
        part = bytes(content[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES])
        return part.ljust(SECTOR_BYTES, b"\0")


class MemoryMap:
    def __init__(self, file: MemoryFile) -> None:
        self._file = file

    def __getitem__(self, where: slice) -> bytes:
        return bytes(self._file.content.seen[where])

    def __setitem__(self, where: slice, content: bytes) -> None:
        if len(self._file.content.seen[where]) != len(content):
            raise IndexError("wrong size")
        self._file.disk.operation("map")
        self._file.content.seen[where] = content


class MemoryFile:
    def __init__(self, disk: MemoryDisk, content: Content) -> None:
        self.disk = disk
        self.content = content

    @property
    def size(self) -> int:
        return len(self.content.seen)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self.content.seen[offset : offset + length])

    def write_at(self, offset: int, content: bytes) -> None:
        self.disk.operation("write")
        seen = self.content.seen
        seen.extend(bytes(max(0, offset + len(content) - len(seen))))
        seen[offset : offset + len(content)] = content

    def map(self) -> MappedBytes:
        return MemoryMap(self)

    def warm(self, start: int, end: int) -> None:
        """There is nothing to gain."""

    def sync(self) -> None:
        self.disk.operation("sync")
        self.content.durable = bytes(self.content.seen)

    def truncate(self, size: int) -> None:
        self.disk.operation("truncate")
        del self.content.seen[size:]

    def close(self) -> None:
        """Nothing is held."""


class MemoryLock:
    def __init__(self, disk: MemoryDisk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locked.discard(self._path)


class MemoryDisk:
    """`seen` and `durable` are the names, each with its file."""

    def __init__(self, seen: dict[Path, Content] | None = None) -> None:
        self.seen: dict[Path, Content] = seen or {}
        self.durable: dict[Path, Content] = dict(self.seen)
        self.locked: set[Path] = set()
        self.before: Callable[[str], None] = lambda name: None
        """Called before each operation that changes anything, with its name; may raise OSError or PowerLost."""

    def operation(self, name: str) -> None:
        self.before(name)

    def make_folder(self, folder: Path) -> None:
        """Folders are there."""

    def create(self, path: Path, *, size: int = 0) -> MemoryFile:
        self.operation("create")
        if path in self.seen:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.seen[path] = Content(bytes(size))
        return MemoryFile(self, self.seen[path])

    def open(self, path: Path) -> MemoryFile:
        if path not in self.seen:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return MemoryFile(self, self.seen[path])

    open_to_read = open

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self.seen if path.parent == folder)

    def rename(self, old: Path, new: Path) -> None:
        self.operation("rename")
        self.seen[new] = self.seen.pop(old)

    def remove(self, path: Path) -> None:
        self.operation("remove")
        if path not in self.seen:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        del self.seen[path]

    def sync_folder(self, folder: Path) -> None:
        self.operation("sync_folder")
        for path in [path for path in self.durable if path.parent == folder]:
            del self.durable[path]
        self.durable.update({path: content for path, content in self.seen.items() if path.parent == folder})

    def free_bytes(self, folder: Path) -> int:
        return 1 << 40

    def lock(self, path: Path) -> MemoryLock:
        if path in self.locked:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
        self.locked.add(path)
        return MemoryLock(self, path)

    def after_kill(self) -> MemoryDisk:
        """What another process finds when this one is gone: everything, as it is seen."""
        return MemoryDisk({path: Content(content.seen, content.durable) for path, content in self.seen.items()})

    def images(self, rng: random.Random) -> Iterator[MemoryDisk]:
        """The disks a loss of power now can leave: every subset of what is not durable, where that is not too many.

        A sector is written whole or not at all: what is not kept is what was there before. In the last image, sectors
        that held nothing hold what was on the disk once.
        """
        names = sorted(
            path for path in {*self.seen, *self.durable} if self.seen.get(path) is not self.durable.get(path)
        )
        files = list({id(content): content for content in (*self.seen.values(), *self.durable.values())}.values())
        loose: list[tuple[Content | Path, int]] = [(path, 0) for path in names]
        loose += [(content, number) for content in files for number in content.unsynced()]
        for choice in self._choices(len(loose), rng):
            kept = {(id(one), number) for (one, number), is_kept in zip(loose, choice, strict=True) if is_kept}
            yield self._image(kept, garbage=None)
        yield self._image(set(), garbage=rng.randbytes(SECTOR_BYTES))

    @staticmethod
    def _choices(count: int, rng: random.Random) -> Iterator[tuple[bool, ...]]:
        if count <= SECTORS_MAX:
            yield from product((False, True), repeat=count)
            return
        yield (False,) * count
        yield (True,) * count
        for _ in range(SAMPLE):
            share = rng.random()
            yield tuple(rng.random() < share for _ in range(count))

    def _image(self, kept: set[tuple[int, int]], *, garbage: bytes | None) -> MemoryDisk:
        copies: dict[int, Content] = {}

        def copy(content: Content) -> Content:
            if id(content) not in copies:
                unsynced = content.unsynced()
                length = len(content.seen if -1 not in unsynced or (id(content), -1) in kept else content.durable)
                result = bytearray(content.durable[:length].ljust(length, b"\0"))
                for number in unsynced:
                    start = number * SECTOR_BYTES
                    if number < 0 or start >= length:
                        continue
                    if (id(content), number) in kept:
                        sector = content.sector(content.seen, number)
                    elif garbage is not None and not any(content.sector(content.durable, number)):
                        sector = garbage
                    else:
                        continue
                    result[start : start + SECTOR_BYTES] = sector[: length - start]
                copies[id(content)] = Content(result, bytes(result))
            return copies[id(content)]

        paths = {*self.seen, *self.durable}
        found = {path: (self.seen if (id(path), 0) in kept else self.durable).get(path) for path in paths}
        return MemoryDisk({path: copy(content) for path, content in found.items() if content is not None})
