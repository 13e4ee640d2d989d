"""The process to be stopped, held by a descriptor, so that its number can never come to mean another one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path


class Target:
    """One process. Closing the descriptor does nothing to it."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError where no such process is alive."""
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self.start_ticks = start_ticks(pid)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, by the kernel's word."""
        poll = select.poll()  # a new one: several threads ask, and one object is not for two
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.descriptor)


def start_ticks(pid: int) -> int:
    """When the process began, in ticks since boot: with its number, its name for ever. Raises ProcessLookupError."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    # The command in brackets may hold anything, brackets too; field 22 of proc(5) is the 20th behind it.
    return int(text.rpartition(")")[2].split()[19])


def find(pid: int, began_ticks: int) -> Target | None:
    """That very process, if it still lives."""
    try:
        target = Target(pid)
    except (ProcessLookupError, OSError):
        return None
    if target.start_ticks != began_ticks or target.is_gone:
        target.close()
        return None
    return target
