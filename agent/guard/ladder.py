"""What is done about a trip: every rung at once, each repeated until a read confirms it.

The rungs do not wait for each other, for each is there for the case that another fails. A rung is an act and a
confirmation. The act's own answer is no evidence; only a read is. Between two attempts the pause doubles from 0.2 to
5 s, for ever: a venue that keeps a deleted key alive for a minute is asked for a minute. Each rung has a thread of its
own, started when the agent is armed, so that a trip needs no new thread and no new connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from agent.guard.peer import PeerFault

PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 5.0
READ_PAUSE_S = 0.2


class Rung(Protocol):
    """One way to stop the agent. Both methods may raise PeerFault or OSError: that attempt is then no success."""

    name: str

    def act(self, attempt: int) -> None: ...
    def is_confirmed(self) -> bool: ...


class RungReport(NamedTuple):
    """How far a rung has come; times on the monotonic clock, None where it has not happened."""

    name: str
    attempts: int
    first_act_ns: int | None
    first_answer_ns: int | None
    confirmed_ns: int | None
    last_fault: str


class Climber(threading.Thread):
    """The thread of one rung."""

    def __init__(self, rung: Rung, begin: threading.Event, cancel: threading.Event) -> None:
        super().__init__(name=f"rung {rung.name}", daemon=True)
        self.rung = rung
        self._begin = begin
        self._cancel = cancel
        self._attempts = 0
        self._first_act_ns: int | None = None
        self._first_answer_ns: int | None = None
        self._confirmed_ns: int | None = None
        self._last_fault = ""

    @property
    def is_confirmed(self) -> bool:
        return self._confirmed_ns is not None

    def report(self) -> RungReport:
        return RungReport(
            self.rung.name,
            self._attempts,
            self._first_act_ns,
            self._first_answer_ns,
            self._confirmed_ns,
            self._last_fault,
        )

    def run(self) -> None:
        self._begin.wait()
        pause_s = PAUSE_FIRST_S
        while not self._cancel.is_set() and not self.is_confirmed:
            if self._try_once():
                self._confirmed_ns = time.monotonic_ns()
                return
            until = time.monotonic() + pause_s
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            # Reading costs nobody anything: confirm as soon as it is true, act again only after the pause.
            while (left_s := until - time.monotonic()) > 0 and not self._cancel.wait(min(left_s, READ_PAUSE_S)):
                if self._attempt(self.rung.is_confirmed):
                    self._confirmed_ns = time.monotonic_ns()
                    return

    def _try_once(self) -> bool:
        self._attempts += 1
        if self._first_act_ns is None:
            self._first_act_ns = time.monotonic_ns()

        def act() -> bool:
            self.rung.act(self._attempts)
            if self._first_answer_ns is None:
                self._first_answer_ns = time.monotonic_ns()
            return True

        self._attempt(act)
        return self._attempt(self.rung.is_confirmed)

    def _attempt(self, what: Callable[[], bool]) -> bool:
        try:
            return what()
        except (PeerFault, OSError) as fault:
            self._last_fault = str(fault)[:200]
        except Exception as fault:  # noqa: BLE001 - a defect of ours in one attempt must not end the attempts
            self._last_fault = f"defect: {type(fault).__name__}"
        return False


class Ladder:
    """All rungs of one arming. `climb` returns at once; `is_verified` turns true when every rung was confirmed."""

    def __init__(self, rungs: Sequence[Rung]) -> None:
        self._begin = threading.Event()
        self._cancel = threading.Event()
        self._climbers = [Climber(rung, self._begin, self._cancel) for rung in rungs]
        for climber in self._climbers:
            climber.start()

    def climb(self) -> None:
        self._begin.set()

    @property
    def is_climbing(self) -> bool:
        return self._begin.is_set()

    @property
    def is_verified(self) -> bool:
        return self.is_climbing and all(climber.is_confirmed for climber in self._climbers)

    def reports(self) -> list[RungReport]:
        return [climber.report() for climber in self._climbers]

    def dismantle(self) -> None:
        """The threads end; for a run that ended in order."""
        self._cancel.set()
        self._begin.set()
