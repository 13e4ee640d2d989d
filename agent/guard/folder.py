"""The guard's folder: who owns it, the lock on it, and the record of an arming that was not ended."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

ARMED = "armed.json"
VERIFIED = "verified.json"
CONFIGURED = "configured.json"
_RESERVE = "verified.reserve"
_RESERVE_BYTES = 4096
_LOCK = "guard.lock"


class FolderFault(Exception):
    """The folder cannot be used: not ours alone, or another guard holds it."""


class Arming(NamedTuple):
    """An agent that was armed, by names that outlive the guard's process."""

    pid: int
    start_ticks: int
    run: str
    run_epoch: int


class Folder:
    """Holds the lock for the life of the process."""

    def __init__(self, path: Path) -> None:
        """Makes the folder where it is missing. Raises FolderFault."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = path.stat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise FolderFault(f"{path.name} must be a folder of the guard's user that nobody else can write")
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderFault(f"{path.name}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise FolderFault("another guard watches over this folder") from None

    def note_arming(self, arming: Arming) -> None:
        """Written and synced before the agent is let go. Raises OSError."""
        write_synced(self.path / ARMED, arming._asdict())

    def arming(self) -> Arming | None:
        """The arming that nobody ended: the guard or the machine died over it."""
        kept = read_object(self.path / ARMED)
        try:
            return None if kept is None else Arming(**kept)
        except TypeError:
            return Arming(pid=0, start_ticks=0, run="unreadable", run_epoch=0)

    def end_arming(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path / ARMED)

    def take_reserve(self) -> None:
        """Take the space of the last record while there is some. Raises OSError."""
        write_padded(self.path / _RESERVE, b"", _RESERVE_BYTES)

    def note_verified(self, evidence: str, rungs: Any) -> None:
        """That everything the latch of this evidence stands for has stopped, by reads. Raises OSError."""
        record = {"evidence": evidence, "rungs": rungs}
        try:
            write_synced(self.path / VERIFIED, record)
        except OSError:
            # A full disk: the space that was taken ahead is written over, and renaming needs none.
            write_padded(self.path / _RESERVE, json.dumps(record).encode()[:_RESERVE_BYTES], _RESERVE_BYTES)
            os.rename(self.path / _RESERVE, self.path / VERIFIED)

    def is_verified(self, evidence: str) -> bool:
        return is_verified(self.path, evidence)

    def note_configuration(self, path: Path) -> None:
        """Where this guard's configuration is: a reset asks whether what it names is so. Raises OSError."""
        write_synced(self.path / CONFIGURED, {"path": str(path.resolve())})

    def close(self) -> None:
        os.close(self._lock)


def configuration_path(path: Path) -> Path | None:
    """Where the configuration of the last guard of this folder is; None where none said so."""
    named = (read_object(path / CONFIGURED) or {}).get("path")
    return Path(named) if isinstance(named, str) else None


def is_verified(path: Path, evidence: str) -> bool:
    """Whether the ladder of this latch was climbed to its end."""
    kept = read_object(path / VERIFIED)
    return kept is not None and kept.get("evidence") == evidence


def read_object(path: Path) -> dict[str, Any] | None:
    """None where there is none; an empty object where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_padded(path: Path, record: bytes, size: int) -> None:
    """The record and spaces, over what the file has already: where it has that size, nothing new is needed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, record.ljust(size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: Any) -> None:
    """The whole record or the one before it, whatever happens. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(content).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
