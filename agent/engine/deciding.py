"""The hunter's core with its journal, and what became of each opportunity by what the core said.

Theory of operation. Every event goes by the one way in that any core has (`agent.engine.stepping`), so it is in the
journal before it is stepped, its effects before they are given back, a failure ends everything, and a clock that was set
is noticed. Bundles are sent with awaits between, so effects are given to whoever stepped instead of being performed here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.chain import Drop, Hold
from agent.core.effects.control import Alarm
from agent.core.events import Event, Stamp
from agent.core.events.control import ClockAgreed
from agent.core.step import Core
from agent.engine.chain_clock import agrees
from agent.engine.result import Ending
from agent.engine.stepping import Stepper
from agent.engine.tracked import Tracked
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock

MAX_TRACKED = 20_000
"""Opportunities kept with all their figures: some 60 MB."""
KEPT_ALARMS = 1_000
_LIVING = frozenset({Ending.OPEN, Ending.HELD, Ending.SENT})


class Decisions:
    """Steps one core. `on_broken` is told once, when core, journal or search have failed."""

    def __init__(
        self, core: Core, journal: JournalWriter, clock: Clock, *, on_broken: Callable[[BaseException], None]
    ) -> None:
        self.core = core
        self.journal = journal
        self.stepper = Stepper(core, journal, clock, act=self._act, on_broken=on_broken)
        self.tracked: dict[str, Tracked] = {}
        self.retired: Counter[str] = Counter()
        """How those ended whose rows are not kept any more: by drop code, or by outcome."""
        self.alarms: deque[Alarm] = deque(maxlen=KEPT_ALARMS)
        self._clock = clock
        self._acted: list[Effect] = []
        """Effects of the step under way."""

    def step(self, event: Event) -> tuple[Effect, ...]:
        """The effects of one event, and of a clock that was set before it. Raises what makes the core stop."""
        self._acted = []
        self.stepper.take(event)
        effects = tuple(self._acted)
        for effect in effects:
            if isinstance(effect, Drop) and effect.code is Code.DUPLICATE:
                continue  # the first of this id goes on, held or live as it is
            if isinstance(effect, Drop):
                one = self.tracked[effect.id]
                one.drop, one.outcome, one.reason = effect, Ending.DROPPED, effect.detail
            elif isinstance(effect, Hold):
                self.tracked[effect.id].outcome = Ending.HELD
            elif isinstance(effect, Alarm):
                self.alarms.append(effect)
        return effects

    def compare_clock(self, head_timestamp_s: int) -> None:
        """A head of the present came: where our clock agrees with it, what a step of the clock degraded goes on."""
        if self.core.standing.clock_problem and agrees(head_timestamp_s, self._clock.wall_ns()):
            self.step(ClockAgreed())

    @property
    def is_stopped(self) -> bool:
        """Nothing may leave any more: halted, by whom ever, or broken."""
        desk = self.core.bundles
        is_halted = self.core.is_halted or (desk is not None and desk.state.breakers.is_halted)
        return is_halted or self.stepper.broken is not None

    def held(self) -> list[Tracked]:
        """What passed and awaits the selection, by net, largest first; ties by id."""
        waiting = [one for one in self.tracked.values() if one.outcome == Ending.HELD]
        return sorted(waiting, key=lambda one: (-one.net_wei, one.opportunity.id))

    def sent(self) -> list[Tracked]:
        """What is live: sent, and not ended."""
        return [one for one in self.tracked.values() if one.outcome == Ending.SENT]

    def expire(self) -> None:
        """A new head came: what was held for the last one is void, and of what ended the oldest is forgotten.

        But for their count: a run of days keeps the rows of its last hours.
        """
        for one in self.tracked.values():
            if one.outcome == Ending.HELD:
                one.outcome, one.reason = Ending.EXPIRED, "a new head came before the slot was closed"
        excess = len(self.tracked) - MAX_TRACKED
        if excess <= 0:
            return
        ended = [id_ for id_, one in self.tracked.items() if one.outcome not in _LIVING]
        for id_ in ended[:excess]:
            one = self.tracked.pop(id_)
            self.retired[one.outcome if one.drop is None else one.drop.code.value] += 1

    def _act(self, effect: Effect, stamp: Stamp) -> None:
        self._acted.append(effect)
