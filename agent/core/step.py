"""The core: one event in, effects out, nothing else.

One function decides for both venues. What concerns them both (halt, guard, journal, clock) stands here; bundles and
orders have a desk each. Whoever steps it writes the event down first and lets no effect out before it is written.
The same events with the same stamps give the same effects, in any process.
"""

from __future__ import annotations

from typing import get_args

from agent.core.bundles import BundleDesk
from agent.core.desk.desk import BEAT, OrderDesk
from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.errors import ContradictoryEvent
from agent.core.events import Event, Stamp
from agent.core.events.chain import ChainEvent
from agent.core.events.control import (
    ClockAgreed,
    ClockStepped,
    GuardGone,
    GuardPulse,
    HaltAsked,
    JournalHealth,
    TimerFired,
)
from agent.core.limits import RiskLimits
from agent.core.standing import Standing

_OF_CHAIN = frozenset(get_args(ChainEvent))
_OF_STANDING = frozenset((GuardPulse, GuardGone, JournalHealth, ClockStepped, ClockAgreed))


class Core:
    """Decides what may be done. Holds no clock, no randomness and no I/O."""

    __slots__ = ("bundles", "desk", "standing")

    def __init__(
        self,
        limits: RiskLimits | None = None,
        *,
        trading: DeskSettings | None = None,
        run_epoch: int = 0,
        needs_guard: bool = False,
    ) -> None:
        """`limits` are those of bundles, `trading` those of orders; without one there is no such desk."""
        self.standing = Standing(needs_guard=needs_guard)
        self.bundles = None if limits is None else BundleDesk(limits, self.standing)
        self.desk = None if trading is None else OrderDesk(trading, self.standing, run_epoch=run_epoch)

    @property
    def is_halted(self) -> bool:
        return self.standing.is_halted

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        """The effects of one event. Raises ContradictoryEvent on a defect of the shell."""
        kind = type(event)
        if kind in _OF_CHAIN:
            if self.bundles is None:
                raise ContradictoryEvent(f"{kind.__name__} without a chain")
            return self.bundles.step(event)  # type: ignore[arg-type] # `kind` says so, for a tenth of isinstance
        if isinstance(event, HaltAsked):
            return self._halt(event.by, event.reason, stamp)
        if isinstance(event, GuardGone):
            return self._halt("guard", event.reason, stamp)
        effects: list[Effect] = []
        if kind in _OF_STANDING:
            effects.extend(self.standing.on_event(event))  # type: ignore[arg-type] # as above
            if isinstance(event, GuardPulse):
                self.standing.on_pulse(event.is_armed, stamp.monotonic_ns)
        elif isinstance(event, TimerFired) and event.name == BEAT:
            silence = self.standing.silence(stamp.monotonic_ns)
            if silence:
                return self._halt("guard", silence, stamp)
        if self.desk is not None:
            effects.extend(self.desk.step(event, stamp))
        elif not (kind in _OF_STANDING or isinstance(event, TimerFired)):
            raise ContradictoryEvent(f"{kind.__name__} without an order book")
        return tuple(effects)

    def _halt(self, by: str, reason: str, stamp: Stamp) -> tuple[Effect, ...]:
        """Stop for good: first what lives is withdrawn, then the world is told."""
        effects: list[Effect] = []
        if self.bundles is not None:
            effects.extend(self.bundles.halt())
        if self.desk is not None:
            effects.extend(self.desk.halt(by, reason, stamp))
        else:
            effects.extend(self.standing.halt(by, reason))
        return tuple(effects)
