"""What a stop owes: that whatever rests at the venue and should not is taken away, and that this is seen to happen.

Theory of operation. A halt cancels everything behind a fence. A request is not yet a cancellation: the session may be
down when the halt comes, it may end before the answer, and the answer may name orders that were left. So the fence stays
due until an answer says that nothing was left; it is asked for when a session comes up, and again at beats.

A pause, and a limit that only reducing may pass, let no new order out that increases a position. One that was let out
before would still do so when it fills: it is cancelled, and what reduces stays.
"""

from __future__ import annotations

from agent.core.desk.placing import Placing
from agent.core.desk.state import DeskState
from agent.core.effects.control import ModeChanged
from agent.core.events import Stamp
from agent.core.events.orders import CancelRequested, FenceDone
from agent.core.instruments import Side
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.risk.modes import ACTIVE, REDUCE_ONLY, Level, Mode

SESSION = "session"
"""Who holds the mode that a difference with the venue leads to."""
CLOCK = "clock"
FENCE_AGAIN_NS = 1_000_000_000
"""A venue answers a cancel-all within milliseconds."""


class Stopping:
    """Reads modes and positions, cancels orders."""

    __slots__ = ("_orders", "_placing", "_state")

    def __init__(self, state: DeskState, orders: OwnOrders, placing: Placing) -> None:
        self._state = state
        self._orders = orders
        self._placing = placing

    def fence(self, stamp: Stamp, out: Outcome) -> None:
        """Something halted: cancel all, now or as soon as somebody hears it."""
        self._state.is_fence_due = True
        self._ask(stamp, out)

    def session_up(self, stamp: Stamp, out: Outcome) -> None:
        """Whatever was asked for on another connection was answered there or not at all."""
        if self._state.is_fence_due:
            self._ask(stamp, out)

    def beat(self, stamp: Stamp, out: Outcome) -> None:
        """Ask again where no answer came."""
        state = self._state
        if state.is_fence_due and stamp.monotonic_ns - state.fence_asked_ns >= FENCE_AGAIN_NS:
            self._ask(stamp, out)

    def fence_done(self, event: FenceDone) -> None:
        """The answer to the halt's own fence ends it, if it left nothing."""
        state = self._state
        if event.request_id == state.fence_request and not event.failed:
            state.is_fence_due = False

    def session_mode(self, mode: Mode, detail: str, stamp: Stamp, out: Outcome) -> None:
        """The session lets only reducing orders out, or everything again: a hold like a breaker's."""
        breakers = self._state.breakers
        out.effects.extend(
            breakers.release(SESSION, detail) if mode is ACTIVE else breakers.hold(SESSION, mode, detail, stamp)
        )

    def clock_mode(self, problem: str, stamp: Stamp, out: Outcome) -> None:
        """The wall clock was set, or two sources agree on the time again: the same."""
        breakers = self._state.breakers
        out.effects.extend(
            breakers.hold(CLOCK, REDUCE_ONLY, problem, stamp)
            if problem
            else breakers.release(CLOCK, "two sources agree on the time")
        )

    def modes_changed(self, stamp: Stamp, out: Outcome) -> None:
        """Look at what rests where the step's effects say that less is allowed now."""
        for effect in out.effects[:]:
            if type(effect) is ModeChanged:
                symbols = (effect.symbol,) if effect.symbol else tuple(self._state.markets.by_symbol)
                for symbol in symbols:
                    if Level.PAUSED <= self._state.breakers.mode(symbol).level < Level.HALTED:
                        self._cancel_increasing(symbol, stamp, out)

    def _cancel_increasing(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        held_lots = self._state.accounts.lots(symbol)
        reducing_side = Side.SELL if held_lots > 0 else Side.BUY
        left_lots = abs(held_lots)
        for order in tuple(self._orders.live(symbol)):
            # In order of issue: what came first was let out to reduce what is held, the rest may open the other side.
            is_reducing = order.side is reducing_side and order.reserved_lots <= left_lots
            if is_reducing:
                left_lots -= order.reserved_lots
            elif not (order.is_reduce_only or order.is_cancel_requested):
                self._cancel(order, stamp, out)

    def _cancel(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        self._placing.cancel(CancelRequested(order.client_order_id), stamp, out)

    def _ask(self, stamp: Stamp, out: Outcome) -> None:
        state = self._state
        if self._orders.state.is_up:
            state.fence_request = self._orders.fence("account", stamp, out)
            state.fence_asked_ns = stamp.monotonic_ns
