"""Planted bugs of what is sent, and of what becomes of it when no answer comes."""

from __future__ import annotations

from typing import Any

from agent.core.desk.desk import OrderDesk
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.orders import timers
from agent.core.orders.actions import ROWS, Choice, Row
from agent.core.orders.machine import Machine
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from agent.devnet.virtual.planted.swap import bug
from agent.engine.stepping import Stepper


def changed(event: str, state: OrderState, like: str) -> Row:
    """The row of an event, with the cell of one state taken from the row of another event."""
    return Row(event, ROWS[event].cells | {state: ROWS[like].cells[state]})


def nothing(event: str) -> Row:
    """The row of an event that changes nothing in any state."""
    return Row(event, {state: (Choice(None, state, (), False),) for state in OrderState})


def _step_acting_first(self: Any, event: Event) -> None:
    monotonic_ns = self._clock.monotonic_ns()
    wall_ns = self._wall_ns = max(self._wall_ns, self._clock.wall_ns())
    sequence = self._journal.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
    stamp = self.last = Stamp(sequence, monotonic_ns, wall_ns)
    effects = self._core.step(event, stamp)
    for effect in effects:
        self._act(effect, stamp)
    if effects:
        self._journal.effects(effects, monotonic_ns=monotonic_ns, wall_ns=wall_ns)


def _request_again(self: Any, order: Order, stamp: Stamp, out: Outcome) -> None:
    """The time-out of a place: send the same wish again, as a new order."""
    is_ack = order.timer == "ack" and order.state is OrderState.SENT
    _request(self, order, stamp, out)
    if is_ack and order.state is OrderState.UNKNOWN:
        again = Order(
            client_order_id=self._machine.ids.take(),
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            total_lots=order.total_lots,
            price_ticks=order.price_ticks,
        )
        self._machine.state.next_counter = self._machine.ids.next_counter
        self._machine.add(again)
        self._machine.settle(again, stamp, out)
        self._machine.react(again, ROWS["release"], stamp, out)


_request = timers.Timers._request


def _send_result_is_certain(self: Any, event: events.SendResult, stamp: Stamp, out: Outcome) -> None:
    certain = events.SendResult(event.client_order_id, event.request, "clean")
    _on_send_result(self, certain, stamp, out)


_on_send_result = OwnOrders._on_send_result


def _cancel_that_may_be_lost(
    self: OwnOrders, client_order_id: str, stamp: Stamp, out: Outcome | None = None
) -> Outcome:
    """A cancel that cannot go out at once is not remembered."""
    order = self.state.live.get(client_order_id)
    if order is not None and order.state in (OrderState.SENT, OrderState.UNKNOWN):
        return Outcome() if out is None else out
    return _cancel(self, client_order_id, stamp, out)


_cancel = OwnOrders.cancel


def _live_at_hello(self: OrderDesk, event: events.SessionUp, stamp: Stamp, out: Outcome) -> None:
    _on_session_up(self, event, stamp, out)
    self.session._go_live(stamp, out)


_on_session_up = OrderDesk._on_session_up


def _begin_run_with_old_ids(self: Machine, run_epoch: int, stamp: Stamp, out: Outcome) -> None:
    _begin_run(self, 1, stamp, out)


_begin_run = Machine.begin_run


def _begin_run_without_timers(self: Machine, run_epoch: int, stamp: Stamp, out: Outcome) -> None:
    kept = {name: (order.query_at_ns, order.query_count) for name, order in self.state.live.items()}
    _begin_run(self, run_epoch, stamp, Outcome())
    for name, (query_at_ns, query_count) in kept.items():
        self.state.live[name].query_at_ns, self.state.live[name].query_count = query_at_ns, query_count


REQUESTS = (
    bug(
        "effect-before-journal",
        "an order leaves before its record is written",
        (Stepper, "_step", _step_acting_first),
    ),
    bug(
        "new-id-on-retry",
        "a place without an answer is sent again under a new id",
        (timers.Timers, "_request", _request_again),
    ),
    bug(
        "give-up-on-time-out",
        "a place without an answer counts as rejected after a second",
        (timers, "REQUEST_ROWS", timers.REQUEST_ROWS | {"ack": changed("ack_timeout", OrderState.SENT, "reject")}),
    ),
    bug(
        "unsure-send-is-certain",
        "a request that may have been written counts as not written",
        (OwnOrders, "_on_send_result", _send_result_is_certain),
    ),
    bug(
        "lost-cancel",
        "a cancel that cannot go out at once is not remembered",
        (OwnOrders, "cancel", _cancel_that_may_be_lost),
    ),
    bug(
        "cancel-without-time-out",
        "a cancel that was lost on the wire is waited for",
        (timers, "REQUEST_ROWS", timers.REQUEST_ROWS | {"cancel": nothing("cancel_timeout")}),
    ),
    bug(
        "live-at-hello",
        "orders go out before what was missed is replayed and compared",
        (OrderDesk, "_on_session_up", _live_at_hello),
    ),
    bug(
        "ids-begin-anew",
        "every run issues the ids of the first one",
        (Machine, "begin_run", _begin_run_with_old_ids),
    ),
    bug(
        "timers-die-with-the-process",
        "what waits for a timer of an earlier process waits for ever",
        (Machine, "begin_run", _begin_run_without_timers),
    ),
)
