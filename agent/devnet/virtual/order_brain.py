"""The order table with just enough around it to trade: the smallest core that a world can test.

It reconciles as a session must (replay, then a fence, then a complete list) and refuses what its books are too old for,
but has no limits, signals or accounts. Worlds run on it to test the orders alone, at several times the speed.
"""

from __future__ import annotations

import msgspec

from agent.core.effects import Effect
from agent.core.effects.control import ArmTimer, Stop
from agent.core.effects.orders import QueryOpen, Refuse
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.events.control import GuardGone, GuardPulse, HaltAsked, JournalHealth, OperatorCommand, TimerFired
from agent.core.events.market import BookDelta, BookSnapshot, BookStale
from agent.core.orders.order import NewOrder
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState

BOOK_AGE_NS_MAX = 500_000_000
PULSE_AGE_NS_MAX = 250_000_000
RECONCILE_NS = 2_000_000_000
RECONCILE = "reconcile"


class BrainState(msgspec.Struct, kw_only=True):
    """All of it."""

    orders: OrdersState
    positions: dict[str, int] = {}
    book_ns: dict[str, int] = {}
    pulse_ns: int = 0
    journal_problem: str = ""
    halted_by: str = ""
    target_seq: int = 0
    """The execution that a replay has to reach before the session can go on."""
    stage: str = "down"
    """`down`, `replay`, `fence`, `list`, `live`."""
    halted_symbols: list[str] = []


class OrderBrain:
    """Requests and evidence in, effects out."""

    def __init__(self, state: BrainState) -> None:
        self.all = state
        self.orders = OwnOrders(state.orders)

    def state(self) -> bytes:
        return msgspec.json.encode(self.all)

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        out = Outcome()
        state = self.all
        match event:
            case events.PlaceRequested():
                self._place(event, stamp, out)
            case events.CancelRequested():
                self.orders.cancel(event.client_order_id, stamp, out)
            case events.AmendRequested():
                if not state.halted_by:
                    self.orders.amend(event.client_order_id, event.total_lots, event.price_ticks, stamp, out)
            case TimerFired():
                if event.name == RECONCILE:
                    self._reconcile(stamp, out)
                else:
                    self.orders.timer(event.name, stamp, out)
            case BookSnapshot():
                if event.bids[0][0] < event.asks[0][0]:
                    state.book_ns[event.symbol] = stamp.monotonic_ns
                else:
                    state.book_ns.pop(event.symbol, None)
            case BookDelta():
                if event.symbol in state.book_ns:
                    state.book_ns[event.symbol] = stamp.monotonic_ns
            case BookStale():
                state.book_ns.pop(event.symbol, None)
            case GuardPulse():
                state.pulse_ns = stamp.monotonic_ns
            case JournalHealth():
                state.journal_problem = "" if event.is_healthy else event.detail
            case GuardGone():
                self._halt("guard", event.reason, out)
            case HaltAsked():
                self._halt(event.by, event.reason, out)
            case OperatorCommand():
                if event.action == "cancel_all" and state.orders.is_up:
                    self.orders.fence("session", stamp, out)
            case _:
                self._on_evidence(event, stamp, out)
        for code, detail in out.halts:
            self._halt(code, detail, out)
        for symbol, _, _ in out.symbol_halts:
            state.halted_symbols.append(symbol)
        for applied in out.fills:
            fill = applied.fill
            state.positions[fill.symbol] = state.positions.get(fill.symbol, 0) + fill.side.sign * fill.lots
        for busted in out.busts:
            state.positions[busted.symbol] += busted.side.sign * (busted.lots - busted.lots_before)
        return tuple(out.effects)

    def _place(self, wish: events.PlaceRequested, stamp: Stamp, out: Outcome) -> None:
        state = self.all
        book_ns = state.book_ns.get(wish.symbol)
        reasons = {
            "HALTED": state.halted_by or wish.symbol in state.halted_symbols,
            "GUARD_LOST": stamp.monotonic_ns - state.pulse_ns > PULSE_AGE_NS_MAX,
            "NOT_LIVE": not state.orders.is_live,
            "JOURNAL_UNHEALTHY": state.journal_problem,
            "SYMBOL_FENCED": self.orders.is_fenced(wish.symbol),
            "STALE_DATA": book_ns is None or stamp.monotonic_ns - book_ns > BOOK_AGE_NS_MAX,
        }
        for code, holds in reasons.items():
            if holds:
                out.effects.append(Refuse(subject=wish.strategy, code=code, detail=""))
                return
        new = NewOrder(
            strategy=wish.strategy,
            symbol=wish.symbol,
            side=wish.side,
            order_type=wish.order_type,
            lots=wish.lots,
            price_ticks=wish.price_ticks,
            is_reduce_only=wish.is_reduce_only,
        )
        self.orders.place(new, release=True, stamp=stamp, out=out)

    def _halt(self, by: str, reason: str, out: Outcome) -> None:
        if not self.all.halted_by:
            self.all.halted_by = by
            out.effects.append(Stop(by, reason))

    def _on_evidence(self, event: Event, stamp: Stamp, out: Outcome) -> None:
        state = self.all
        if not isinstance(event, events.OrderEvent):
            return
        self.orders.apply(event, stamp, out)
        match event:
            case events.SessionUp():
                state.stage, state.target_seq = "replay", event.last_exec_seq
                out.effects.append(ArmTimer(RECONCILE, stamp.monotonic_ns + RECONCILE_NS))
            case events.SessionDown():
                state.stage = "down"
                state.book_ns.clear()
            case events.FenceDone():
                if state.stage == "fence" and event.scope == "account":
                    state.stage = "list"
                    state.target_seq = event.exec_seq
            case events.OpenOrders():
                if state.stage == "list" and event.is_complete and state.orders.cursor >= state.target_seq:
                    state.stage = "live"
                    self.orders.session_live(stamp, out)
        if state.stage == "replay" and state.orders.cursor >= state.target_seq:
            state.stage = "fence"
            self.orders.fence("account", stamp, out)
        elif state.stage == "list" and isinstance(event, events.FenceDone):
            out.effects.append(QueryOpen())

    def _reconcile(self, stamp: Stamp, out: Outcome) -> None:
        """The session is not live yet: whatever was asked for may have been lost."""
        state = self.all
        if state.stage in ("down", "live"):
            return
        if state.stage == "fence":
            self.orders.fence("account", stamp, out)
        elif state.stage == "list":
            out.effects.append(QueryOpen())
        out.effects.append(ArmTimer(RECONCILE, stamp.monotonic_ns + RECONCILE_NS))
