"""What stands above both venues: the halt, the guard, the journal, the clock.

Theory of operation. A halt is for good: only a person takes it back, with a reason, through the guard or at a start. The
guard shows that it lives by pulses; one that is late lets only reducing orders out, one that is later still, or a guard
that is gone, halts. How old a pulse is is asked at each order, and at every beat, so that a silent guard stops an idle
agent as well.
"""

from __future__ import annotations

import msgspec

from agent.core.effects.control import Alarm, Stop
from agent.core.events.control import (
    ClockAgreed,
    ClockStepped,
    ControlEvent,
    JournalHealth,
)
from agent.core.risk.modes import ACTIVE, REDUCE_ONLY, Mode

PULSE_LOST_NS = 500_000_000
"""Silence after which the agent stops by itself: twice the age from which on only reducing orders go out."""
BEAT_NS = 50_000_000


class Standing(msgspec.Struct):
    """The state itself; `needs_guard` is False only where no order can leave (a replay, a survey)."""

    needs_guard: bool = False
    halted_by: str = ""
    halt_reason: str = ""
    pulse_ns: int | None = None
    """Monotonic time of the last pulse of an armed guard."""
    heard_ns: int | None = None
    """Monotonic time of the last pulse, armed or not; of the run's start before there was one."""
    journal_problem: str = ""
    clock_problem: str = ""

    def begin(self, now_ns: int, *, is_reset: bool) -> None:
        """A new run: pulse, journal and clock are its own. A halt stays, unless a person reset it."""
        self.pulse_ns = None
        self.heard_ns = now_ns
        self.journal_problem = self.clock_problem = ""
        if is_reset:
            self.reset()

    @property
    def is_halted(self) -> bool:
        return bool(self.halted_by)

    def halt(self, by: str, reason: str) -> tuple[Stop, ...]:
        """The first halt counts; a later one changes nothing and says nothing."""
        if self.halted_by:
            return ()
        self.halted_by, self.halt_reason = by, reason
        return (Stop(by, reason),)

    def reset(self) -> None:
        """A person has said that it may go on."""
        self.halted_by = self.halt_reason = ""

    def on_event(self, event: ControlEvent) -> tuple[Alarm, ...]:
        """What the event changes of journal and clock."""
        match event:
            case JournalHealth():
                self.journal_problem = "" if event.is_healthy else event.detail or "not healthy"
                if event.detail:
                    return (Alarm("notice" if event.is_healthy else "critical", "JOURNAL", "journal", event.detail),)
            case ClockStepped():
                self.clock_problem = f"the wall clock moved by {event.by_ns} ns"
                return (Alarm("warning", "CLOCK_STEP", "clock", self.clock_problem),)
            case ClockAgreed():
                self.clock_problem = ""
            case _:
                pass
        return ()

    def on_pulse(self, is_armed: bool, now_ns: int) -> None:
        """The guard showed that it lives; one that is not armed protects nobody."""
        self.heard_ns = now_ns
        self.pulse_ns = now_ns if is_armed else None

    def silence(self, now_ns: int) -> str:
        """At every beat: why the guard's silence is reason enough to halt, or empty.

        Of one that was not armed too: orders of before may rest, and nobody is left who would cancel them.
        """
        if not self.needs_guard or self.heard_ns is None or now_ns - self.heard_ns <= PULSE_LOST_NS:
            return ""
        return f"no pulse for {now_ns - self.heard_ns} ns"

    def guard_age_ns(self, now_ns: int) -> int | None:
        """Since the last pulse of an armed guard; None without one, 0 where none is needed."""
        if not self.needs_guard:
            return 0
        return None if self.pulse_ns is None else now_ns - self.pulse_ns

    @property
    def mode(self) -> Mode:
        """What the standing itself lets out; the guard's pulse is asked apart, since it ages by itself."""
        return REDUCE_ONLY if self.clock_problem else ACTIVE
