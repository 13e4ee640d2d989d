"""The installed command as a stranger starts it, and what it leaves behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

BINARY = Path(sys.executable).with_name("mev-agent")
TIMEOUT_S = 240
POLL_S = 0.05
MARK = "E2E_MARK"


class Started:
    """A running command, marked so that whatever it starts can be told from everything else."""

    def __init__(self, *arguments: str, cwd: Path, file_size_bytes: int | None = None) -> None:
        self.mark = uuid.uuid4().hex

        def limited() -> None:
            if file_size_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_bytes, file_size_bytes))

        self.process = subprocess.Popen(
            [str(BINARY), *arguments],
            cwd=cwd,
            env=os.environ | {MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=limited,
        )

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for it."""
        stdout, stderr = self.process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, stdout, stderr)

    def wait_for_a_child(self) -> None:
        """Until it has started a process of its own; AssertionError if it ends first."""
        while len(self.left_behind()) < 2:
            assert self.process.poll() is None, "it ended before it started anything"
            time.sleep(POLL_S)

    def is_alone_within(self, seconds: float) -> bool:
        """Whether everything it started ends in that time."""
        deadline = time.monotonic() + seconds
        while self.left_behind() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return not self.left_behind()

    def left_behind(self) -> dict[int, str]:
        """Processes with our mark that still live, by id."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if f"{MARK}={self.mark}".encode() in environment and command:
                found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found


def mev_agent(*arguments: str, cwd: Path, file_size_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run it to its end; nothing it started may live on."""
    started = Started(*arguments, cwd=cwd, file_size_bytes=file_size_bytes)
    completed = started.end()
    assert not started.left_behind()
    return completed


def assert_one_clear_message(completed: subprocess.CompletedProcess[str], *, exit_code: int, says: str) -> None:
    """The exit code, a message that says so and what to do, no traceback, and nothing on stdout."""
    assert completed.returncode == exit_code, completed.stderr
    assert "Traceback" not in completed.stderr + completed.stdout
    assert says in completed.stderr, completed.stderr
    assert completed.stderr.count("error") == 1, completed.stderr


def files_of(folder: Path) -> Mapping[str, int]:
    """Every file below a folder with its size."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
