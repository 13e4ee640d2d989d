"""The process to be stopped, held by a descriptor, so that its number can never come to mean another one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from pathlib import Path

from agent.guard.network import Connection, Cutter

CUT_WAIT_S = 0.1


class Target:
    """One process. Closing the descriptor does nothing to it."""

    cutter: Cutter | None = None
    """Destroys its connections before it is killed; None where that cannot be done here."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError where no such process is alive."""
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self.start_ticks = start_ticks(pid)
        self.connections: list[Connection] = []
        """Those it had when it was killed first."""
        self.cut_fault = ""
        self._is_cut = False
        self._cutting = threading.Lock()
        """Several rungs kill at once, and who kills first must not take the look-up from who is at it."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, by the kernel's word."""
        poll = select.poll()  # a new one: several threads ask, and one object is not for two
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self) -> None:
        """Stop it, cut its connections where that can be done, and end it. Takes a few milliseconds at most."""
        with contextlib.suppress(ProcessLookupError):
            try:
                self._cut()
            finally:
                signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    def _cut(self) -> None:
        """Once: a process that is killed has no files to know its connections by."""
        if self.cutter is None or not self._cutting.acquire(timeout=CUT_WAIT_S):
            return
        try:
            if not self._is_cut:
                self._is_cut = True
                self._cut_once(self.cutter)
        finally:
            self._cutting.release()

    def _cut_once(self, cutter: Cutter) -> None:
        # A stopped process sends nothing more of its own, so the look-up costs no order.
        signal.pidfd_send_signal(self.descriptor, signal.SIGSTOP)
        try:
            self.connections = cutter.connections_of(self.pid)
            cutter.destroy(self.connections)
        except OSError as error:
            self.cut_fault = os.strerror(error.errno) if error.errno else type(error).__name__

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
