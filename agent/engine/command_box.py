"""How a person's commands reach a running agent: files in a folder of the run, taken up within a second.

Theory of operation. No socket listens and nothing is parsed that comes from elsewhere: whoever may write into the run's
folder is the user that the agent runs as, who could as well read its keys. A command is one small file of JSON, written
beside and renamed, so that it is whole; it is taken once, in the order of its name, and renamed behind that to what
became of it. What it asks for goes through the journal and the core like any other event.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec

from agent.core.events.control import Action, OperatorCommand

FOLDER_NAME = "commands"
SUFFIX, DONE, REFUSED = ".json", ".done", ".refused"
BYTES_MAX = 4_096
ACTIONS: tuple[str, ...] = get_args(Action)


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in the file."""

    action: str
    reason: str
    target: str = ""
    symbol: str = ""


class CommandBox:
    """The agent's end."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder / FOLDER_NAME
        self._say = say
        with contextlib.suppress(OSError):  # without it no command comes, and the guard still stops everything
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self) -> list[OperatorCommand]:
        """The commands that lie there now, oldest name first."""
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and name[0] != ".")
        except OSError:
            return []
        found: list[OperatorCommand] = []
        for name in names:
            path = self.folder / name
            try:
                command = _read(path)
            except (OSError, ValueError) as error:
                self._say(f"command {name} is refused: {error}")
                self._mark(path, REFUSED)
                continue
            # A command whose file stays would be carried out again and again.
            if self._mark(path, DONE):
                self._say(f"command {command.action} {command.target} {command.symbol}: {command.reason}")
                found.append(command)
        return found

    def _mark(self, path: Path, suffix: str) -> bool:
        try:
            os.replace(path, path.with_suffix(suffix))
        except OSError as error:
            self._say(f"command {path.name} cannot be put away: {error.strerror}")
            return False
        return True


def leave_command(folder: Path, command: Asked, *, wall_ns: int) -> Path:
    """Put a command where the agent of this run's folder finds it. Raises OSError where there is no such folder."""
    path = folder / FOLDER_NAME / f"{wall_ns:020d}{SUFFIX}"
    beside = path.with_name(f".{path.name}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(command))
    os.replace(beside, path)
    return path


def _read(path: Path) -> OperatorCommand:
    """Raises OSError and ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            raise ValueError("not a file that this user alone may write")
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise ValueError(f"longer than {BYTES_MAX} bytes")
    asked = msgspec.json.decode(data, type=Asked)
    if asked.action not in ACTIONS:
        raise ValueError(f"{asked.action[:40]!r} is none of {', '.join(ACTIONS)}")
    if not asked.reason.strip():
        raise ValueError("it gives no reason")
    return OperatorCommand(
        action=asked.action,  # type: ignore[arg-type] # one of them, as was just seen
        reason=asked.reason,
        target=asked.target,
        symbol=asked.symbol,
    )
