"""Child processes that never outlive this one, whatever kills it.

Three nets, each for another way to die: `stop` and an atexit hook for an orderly end and for signals that Python
turns into exceptions; PR_SET_PDEATHSIG (Linux) for kill -9 and crashes. The child leads a process group of its own,
so Ctrl-C at the terminal reaches only us, and we end it in order. The signal at death is armed by a few lines of
Python that then become the program (`exec`): a preexec function would run between fork and exec of a process that
has threads, which may deadlock.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from agent.errors import SetupError

_ARM = (
    "import ctypes,os,signal,sys\n"
    "if sys.platform.startswith('linux'):\n"
    " ctypes.CDLL(None).prctl(1,signal.SIGKILL,0,0,0)\n"
    "if os.getppid()!=int(sys.argv[1]):os._exit(1)\n"  # the parent died before the signal was armed
    "try:os.execv(sys.argv[2],sys.argv[2:])\n"
    "except OSError as error:sys.exit(f'{sys.argv[2]}: {error.strerror}')\n"
)
_STOP_GRACE_S = 2.0
_STDERR_SHOWN_BYTES = 2_000

_living: set[BoundProcess] = set()
_living_lock = threading.Lock()


class BoundProcess:
    """A child bound to the life of this process. Its output goes to a file without a name, for messages.

    Linux binds the child to the *thread* that starts it: start it from one that lives as long as the child should.
    """

    def __init__(self, command: list[str], *, environment: dict[str, str] | None = None) -> None:
        self.command = command
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        arm = [sys.executable, "-I", "-S", "-c", _ARM, str(os.getpid()), *command]
        try:
            self._child = subprocess.Popen(
                arm,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )
        except OSError as error:
            self._output.close()
            name = Path(command[0]).name
            raise SetupError(f"cannot start {name}: {error.strerror or error}", where=command[0]) from None
        with _living_lock:
            _living.add(self)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._child.poll()

    def output_tail(self) -> str:
        """The last words it said, for error messages."""
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(self._output.fileno()).st_size
            return os.pread(self._output.fileno(), _STDERR_SHOWN_BYTES, max(0, size - _STDERR_SHOWN_BYTES)).decode(
                errors="replace"
            )
        return ""

    def stop(self) -> None:
        """End the whole group and wait until it is gone. Safe to call again. Blocks for 2 s at worst."""
        with _living_lock:
            _living.discard(self)
        if self._child.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._child.wait()
        self._output.close()

    def kill(self) -> None:
        """End it at once, for children that keep nothing worth saving."""
        if self._child.poll() is None:
            self._signal(signal.SIGKILL)
        self.stop()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


@atexit.register
def _stop_all() -> None:
    with _living_lock:
        remaining = tuple(_living)
    for process in remaining:
        process.kill()
