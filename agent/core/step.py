"""The core: one event in, effects out, nothing else.

One function decides for both venues. What concerns them both (halt, guard, journal, clock) stands here; bundles and
orders have a desk each. Whoever steps it writes the event down first and lets no effect out before it is written.
The same events with the same stamps give the same effects, in any process.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from agent.core.bundles import BundleDesk, BundlesState
from agent.core.desk.desk import BEAT, DeskParts, OrderDesk
from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.effects.orders import Refuse
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
    RunStarted,
    TimerFired,
)
from agent.core.events.orders import PlaceRequested
from agent.core.limits import RiskLimits
from agent.core.risk.chain_checks import refuse_directional
from agent.core.standing import Standing

_OF_CHAIN = frozenset(get_args(ChainEvent))
_OF_STANDING = frozenset((GuardPulse, GuardGone, JournalHealth, ClockStepped, ClockAgreed))
_OF_BOTH = _OF_CHAIN | _OF_STANDING | {HaltAsked, RunStarted, TimerFired}
"""What does not go straight to the desk of orders."""


class CoreState(msgspec.Struct):
    """The whole of it. Which desks there are, and their settings, come from whoever makes the core."""

    standing: Standing = msgspec.field(default_factory=Standing)
    bundles: BundlesState | None = None
    desk: DeskParts | None = None


class Core:
    """Decides what may be done. Holds no clock, no randomness and no I/O."""

    __slots__ = ("bundles", "desk", "standing")

    def __init__(
        self,
        limits: RiskLimits | None = None,
        *,
        trading: DeskSettings | None = None,
        needs_guard: bool = False,
        state: bytes | None = None,
    ) -> None:
        """`limits` are those of bundles, `trading` those of orders; without one there is no such desk.

        `state` is what `state` of an earlier core gave; msgspec.DecodeError where it is no such thing.
        """
        known = CoreState() if state is None else msgspec.json.decode(state, type=CoreState)
        self.standing = known.standing
        self.standing.needs_guard = needs_guard
        self.bundles = None if limits is None else BundleDesk(limits, self.standing, known.bundles)
        self.desk = None if trading is None else OrderDesk(trading, self.standing, known.desk)

    def state(self) -> bytes:
        """Everything the core knows: the same bytes for the same events, in any process."""
        bundles, desk = self.bundles, self.desk
        return msgspec.json.encode(
            CoreState(
                standing=self.standing,
                bundles=None if bundles is None else bundles.state,
                desk=None if desk is None else desk.parts,
            )
        )

    @property
    def is_halted(self) -> bool:
        return self.standing.is_halted

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        """The effects of one event. Raises ContradictoryEvent on a defect of the shell."""
        kind = type(event)
        if kind not in _OF_BOTH and self.desk is not None:
            return tuple(self.desk.step(event, stamp))
        if kind in _OF_CHAIN:
            if self.bundles is None:
                raise ContradictoryEvent(f"{kind.__name__} without a chain")
            return self.bundles.step(event, stamp)  # type: ignore[arg-type] # `kind` says so, for a tenth of isinstance
        if isinstance(event, HaltAsked):
            return self._halt(event.by, event.reason, stamp)
        if isinstance(event, GuardGone):
            return self._halt("guard", event.reason, stamp)
        effects: list[Effect] = []
        if isinstance(event, RunStarted):
            self.standing.begin(stamp.monotonic_ns, is_reset=event.is_reset)
            if self.bundles is not None:
                self.bundles.begin(stamp.monotonic_ns)
        elif kind in _OF_STANDING:
            effects.extend(self.standing.on_event(event))  # type: ignore[arg-type] # as above
            if isinstance(event, GuardPulse):
                self.standing.on_pulse(event.is_armed, stamp.monotonic_ns)
        elif isinstance(event, TimerFired) and event.name == BEAT:
            silence = self.standing.silence(stamp.monotonic_ns)
            if silence and not self.standing.is_halted:
                return self._halt("guard", silence, stamp)
        if self.desk is not None:
            effects.extend(self.desk.step(event, stamp))
        elif isinstance(event, PlaceRequested):
            code, detail = refuse_directional(event)
            effects.append(Refuse(subject=f"{event.strategy}:{event.symbol}", code=code, detail=detail))
        elif not (kind in _OF_STANDING or isinstance(event, TimerFired | RunStarted)):
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
