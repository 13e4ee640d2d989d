"""The one way into the core: write the event, step, write the effects, and only then let them out.

Theory of operation. Whatever comes in is queued; one `take` runs until the queue is empty, so an effect that causes an
event at once (a send that failed, a strategy's answer) never steps the core from inside a step. An exception of the core
or of the journal ends everything: the state is suspect, nothing more is stepped, and `on_broken` closes the way out hard.

A wall clock that was set is noticed here, since nothing else sees both clocks with every event: the core hears of it
before the event that came with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from agent.core.effects import Effect
from agent.core.events import Event, Stamp
from agent.core.events.control import ClockStepped
from agent.errors import AgentError
from agent.ports.clock import Clock

CLOCK_STEP_NS = 1_000_000_000
"""A wall clock that moves by more than this against the monotonic one has been set."""


class CoreStopped(AgentError):
    """The core or its journal failed earlier: nothing may be stepped any more."""

    code = "E_CORE_STOPPED"


class Steppable(Protocol):
    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]: ...


class StepJournal(Protocol):
    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int: ...
    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None: ...


class Stepper:
    """Owns the order of things around one core."""

    def __init__(
        self,
        core: Steppable,
        journal: StepJournal,
        clock: Clock,
        *,
        act: Callable[[Effect, Stamp], None],
        on_broken: Callable[[BaseException], None],
        on_stepped: Callable[[Stamp], None] | None = None,
    ) -> None:
        """`act` performs one effect and may call `take`; `on_stepped` is told after each whole step (the beat)."""
        self._core = core
        self._journal = journal
        self._clock = clock
        self._act = act
        self._on_broken = on_broken
        self._on_stepped = on_stepped
        self._waiting: deque[Event] = deque()
        self._is_stepping = False
        self._wall_ns = 0
        self._offset_ns: int | None = None
        """Wall clock less monotonic clock at the last event."""
        self.broken: BaseException | None = None
        self.last = Stamp(0, 0, 0)
        """The last stepped event's; what a question asked now can prove begins behind it."""

    def take(self, *events: Event) -> None:
        """Step the events, and whatever they cause, in order. Raises CoreStopped after a failure."""
        self.take_all(events)

    def take_all(self, events: Iterable[Event]) -> None:
        if self.broken is not None:
            raise CoreStopped(
                f"the core stopped earlier: {self.broken}", hint="start again; the journal has the reason"
            )
        self._waiting.extend(events)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._waiting:
                self._step(self._waiting.popleft())
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._is_stepping = False

    def fail(self, error: BaseException) -> None:
        """Something that decides has failed: nothing is stepped any more. The first failure counts."""
        self._waiting.clear()
        if self.broken is None:
            self.broken = error
            self._on_broken(error)

    def _step(self, event: Event) -> None:
        monotonic_ns, shown_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        offset_ns = shown_ns - monotonic_ns
        before_ns, self._offset_ns = self._offset_ns, offset_ns
        if before_ns is not None and not -CLOCK_STEP_NS <= offset_ns - before_ns <= CLOCK_STEP_NS:
            self._waiting.appendleft(event)
            event = ClockStepped(offset_ns - before_ns)
        # An earlier instant than the last is a clock that was set back: time may stand, it never runs backwards.
        wall_ns = self._wall_ns = shown_ns if shown_ns > self._wall_ns else self._wall_ns
        sequence = self._journal.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
        stamp = self.last = Stamp(sequence, monotonic_ns, wall_ns)
        effects = self._core.step(event, stamp)
        if effects:
            self._journal.effects(effects, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
            for effect in effects:
                self._act(effect, stamp)
        if self._on_stepped is not None:
            self._on_stepped(stamp)
