"""The core: one event in, effects out, nothing else.

One function decides for both venues. What concerns them both (halt, guard, journal, clock) stands here; bundles and
orders have a desk each. Whoever steps it writes the event down first and lets no effect out before it is written.
The same events with the same stamps give the same effects, in any process.
"""

from __future__ import annotations

from agent.core.bundles import BundleDesk
from agent.core.effects import Effect
from agent.core.errors import ContradictoryEvent
from agent.core.events import Event, Stamp
from agent.core.events.chain import ChainEvent
from agent.core.events.control import HaltAsked
from agent.core.limits import RiskLimits


class Core:
    """Decides what may be done. Holds no clock, no randomness and no I/O."""

    __slots__ = ("bundles",)

    def __init__(self, limits: RiskLimits) -> None:
        self.bundles = BundleDesk(limits)

    @property
    def is_halted(self) -> bool:
        return self.bundles.is_halted

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        """The effects of one event. Raises ContradictoryEvent on a defect of the shell."""
        if isinstance(event, ChainEvent | HaltAsked):
            return self.bundles.step(event)
        raise ContradictoryEvent(f"{type(event).__name__} is not an event of the chain")
