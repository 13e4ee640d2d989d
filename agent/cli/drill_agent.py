"""The agent of a drill: the command line as it is, whose core can be made to hang from outside.

On SIGUSR1 the thread that steps the core spins for ever, while another thread lives: the hardest way to hang, because
the process is busy, its sockets are open, and nothing of it has ended.
"""

from __future__ import annotations

import signal
import sys
import threading
import time

from agent.cli import main

_IDLE_S = 0.05


def _live_on() -> None:
    while True:
        time.sleep(_IDLE_S)


def _hang(*_: object) -> None:
    while True:
        pass


if __name__ == "__main__":
    threading.Thread(target=_live_on, daemon=True).start()
    signal.signal(signal.SIGUSR1, _hang)
    sys.exit(main(sys.argv[1:]))
