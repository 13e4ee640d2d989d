"""What the agent was told and must go by: modes, the guard, the state of its session, cancels it was asked for.

The world hears all that goes into the core and all that comes out, and keeps its own account of what binds the agent
from then on, over restarts too. Part of the oracles; the laws are listed in oracles.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.effects import Effect
from agent.core.effects.control import DayRolled, ModeChanged, Stop
from agent.core.effects.orders import Place
from agent.core.events import Event, Stamp
from agent.core.events.control import GuardGone, GuardPulse, RunStarted
from agent.core.events.orders import CancelRequested, Fill, OpenOrders, SessionDown, SessionUp
from agent.devnet.virtual.faults import BY_NAME

if TYPE_CHECKING:
    from agent.devnet.virtual.world import World

PULSE_LATE_NS = 250_000_000
PULSE_LOST_NS = 500_000_000
NO_ENTRY = frozenset({"PAUSED", "REDUCE_ONLY", "HALTED", "KILLED"})
GUARD = "guard"
"""Who is named where the guard is the cause of a halt."""


class Duties:
    """Kept by the world while it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._modes: dict[str, str] = {}
        self._modes_ns = 0
        """True time of the last change."""
        self._pulse_ns: int | None = None
        self._begun_ns = 0
        """Monotonic time of the run's begin."""
        self._is_guard_gone = False
        self._is_reconciled = False
        self._day: int | None = None
        self._day_ns = 0
        """True time at which it began."""
        self._must_halt = ""
        self._lots_told: dict[str, int] = {}
        """Position by symbol, from the fills that the core was given."""
        self._trades_told: set[tuple[str, str]] = set()
        self.cancels: dict[str, int] = {}
        """Orders whose cancel was asked for, and the true time of it; oldest first."""

    def on_event(self, event: Event, stamp: Stamp) -> None:
        """Before the step's effects are judged."""
        match event:
            case GuardPulse():
                self._pulse_ns = stamp.monotonic_ns
            case SessionUp() | SessionDown():
                self._is_reconciled = False
            case OpenOrders():
                self._is_reconciled = self._is_reconciled or event.is_complete
            case CancelRequested():
                self.cancels[event.client_order_id] = self._world.timeline.now_ns
            case Fill():
                self._on_fill(event)
            case GuardGone():
                self._is_guard_gone = True
            case RunStarted():
                self._pulse_ns = None
                self._begun_ns = stamp.monotonic_ns
                self._is_guard_gone = False
                self._is_reconciled = False
                if event.is_reset:
                    self._must_halt = ""
            case _:
                pass

    def _on_fill(self, fill: Fill) -> None:
        key = fill.symbol, fill.trade_id
        if key in self._trades_told:
            return
        self._trades_told.add(key)
        self._lots_told[fill.symbol] = self._lots_told.get(fill.symbol, 0) + fill.side.sign * fill.lots

    def on_effects(self, effects: tuple[Effect, ...], stamp: Stamp) -> None:
        stopped_by = ""
        for effect in effects:
            kind = type(effect)
            if kind is Place:
                assert isinstance(effect, Place)
                self._judge(effect, stamp)
            elif isinstance(effect, Stop):
                stopped_by = effect.by
                self._must_halt = ""
                self._judge_stop(effect, stamp)
            elif isinstance(effect, ModeChanged) and effect.by != stopped_by:
                self._modes[effect.symbol] = effect.mode
                self._modes_ns = self._world.timeline.now_ns
                self._world.reach("mode " + effect.mode.partition("(")[0])
            elif isinstance(effect, DayRolled):
                if self._day is not None and effect.day <= self._day and not self._world.may_lose_tail:
                    self._world.find("O4", f"day {effect.day} began behind day {self._day}")
                self._day, self._day_ns = effect.day, self._world.timeline.now_ns
                self._world.reach("a day began")
        self._see_overfills()

    @property
    def has_breach(self) -> bool:
        """The peer broke its contract in this world."""
        return any(BY_NAME[name].is_breach for name in self._world.faults.fired)

    @property
    def has_lying_venue(self) -> bool:
        """The venue broke its contract in this world: what it says need not agree any more."""
        return any(BY_NAME[name].is_breach and name.startswith("venue.") for name in self._world.faults.fired)

    def forget_modes(self) -> None:
        """Modes may have changed unheard."""
        self._modes.clear()

    def forget_since(self, since_ns: int) -> None:
        """Records that are so young may be gone."""
        if self._modes_ns >= since_ns:
            self._modes.clear()
        if self._day_ns >= since_ns:
            self._day = None
        self.cancels = {name: asked_ns for name, asked_ns in self.cancels.items() if asked_ns < since_ns}

    def forget_tail(self) -> None:
        """The end of the journal may be gone, and with it what the agent was told last."""
        self._modes.clear()
        self.cancels.clear()
        self._must_halt = ""

    def _judge(self, place: Place, stamp: Stamp) -> None:
        find = self._world.find
        is_reducing = self._is_reducing(place)
        for symbol in ("", place.symbol):
            if self._modes.get(symbol) in NO_ENTRY and not is_reducing:
                find("O5", f"an order was placed in mode {self._modes[symbol]}: {place}")
        age_ns = None if self._pulse_ns is None else stamp.monotonic_ns - self._pulse_ns
        if age_ns is None or age_ns > PULSE_LOST_NS or (age_ns > PULSE_LATE_NS and not is_reducing):
            find("O5", f"an order was placed with a guard unheard of for {age_ns} ns: {place}")
        if not self._is_reconciled:
            find("O7", f"an order was placed before the venue listed what is open: {place}")
        if self._must_halt:
            find("O5", f"an order was placed behind {self._must_halt}: {place}")

    def _is_reducing(self, place: Place) -> bool:
        """By the truth, or by what the agent was told: the two differ while a fill is under way."""
        positions = (self._world.ledger.position_lots, self._lots_told)
        return any(0 < place.lots <= -place.side.sign * lots.get(place.symbol, 0) for lots in positions)

    def _judge_stop(self, stop: Stop, stamp: Stamp) -> None:
        """A halt needs a cause: a peer that breaks its contract, a guard that is silent, a lost end of the journal."""
        world = self._world
        if stop.by == GUARD:
            age_ns = stamp.monotonic_ns - max(self._begun_ns, self._pulse_ns or 0)
            if not self._is_guard_gone and age_ns <= PULSE_LOST_NS:
                world.find("O11", f"halted for a guard that was heard {age_ns} ns ago: {stop.reason}")
        elif not self.has_breach and not world.may_lose_tail:
            world.find("O11", f"halted without a cause, by {stop.by}: {stop.reason}")

    def _see_overfills(self) -> None:
        """An execution that nobody ordered was taken in: from here on nothing may be placed."""
        overfilled = self._world.venue.unordered_exec_seq
        started = self._world.host.started
        if overfilled is not None and started is not None and started.exec_cursor >= overfilled:
            self._world.venue.unordered_exec_seq = None
            if not started.is_halted:
                self._must_halt = "an execution that was never ordered"
