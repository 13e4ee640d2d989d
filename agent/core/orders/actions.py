"""The letters of the table as functions, and the table compiled to them once, when the module is loaded.

P, B, M (of an amendment that came back), sync and M(sync) have no function: what they mean happens before the cell is
chosen, because the choice hangs on it. X and R have none either: the reservation follows from the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import Amend, CancelOrder, Notify, Place, QueryStatus, Refuse
from agent.core.events import Stamp
from agent.core.orders.order import Order
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import MILLISECOND_NS
from agent.core.orders.table import TABLE, OrderState, Variant

if TYPE_CHECKING:
    from agent.core.orders.machine import Machine

Argument = tuple[int, int]
NO_ARGUMENT: Argument = (0, 0)
Action = Callable[["Machine", Order, Stamp, Outcome, Argument], None]
AMEND_NOT_LIVE = "AMEND_NOT_LIVE"

ALARM_CODES = {
    "ack": "ACK_OF_ENDED_ORDER",
    "fill_part": "FILL_OF_ENDED_ORDER",
    "fill_full": "FILL_OF_ENDED_ORDER",
    "fill_over": "OVERFILL",
    "canceled": "CANCEL_OF_UNSENT_ORDER",
    "expired": "EXPIRY_OF_UNSENT_ORDER",
    "reject": "REJECT_AFTER_ACK",
    "cancel_rej": "CANCEL_REJECT_UNASKED",
    "amended": "AMENDED_UNASKED",
    "send_maybe": "SEND_UNSURE",
    "ack_timeout": "NO_ACK",
    "status_open": "ENDED_ORDER_IS_OPEN",
    "status_final": "FINAL_STATES_DIFFER",
    "nf_final": "ORDER_NOT_FOUND",
    "nf_weak": "ORDER_NOT_FOUND",
    "fence_absent": "ORDER_GONE_BEHIND_FENCE",
    "bust": "TRADE_BUSTED",
}
"""The stable word of a row's alarm and halt."""


def place(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    state = machine.state
    order.placed_seq = stamp.seq
    order.placed_epoch = state.epoch
    order.placed_ns = stamp.monotonic_ns
    wall_ns = stamp.wall_ns
    if state.wall_base_ns is not None:
        wall_ns = min(wall_ns, stamp.monotonic_ns + state.wall_base_ns)
    out.effects.append(
        Place(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            lots=order.total_lots,
            price_ticks=order.price_ticks,
            is_reduce_only=order.is_reduce_only,
            expire_ns=wall_ns + state.server_offset_ns + machine.times.expire_ns,
            epoch=state.epoch,
        )
    )


def cancel(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    """At most one is in flight for an order and connection."""
    if machine.state.is_up and not order.is_cancel_in_flight:
        order.is_cancel_in_flight = True
        order.cancel_sent_ns = stamp.monotonic_ns
        out.effects.append(CancelOrder(order.client_order_id))


def amend(machine: Machine, order: Order, stamp: Stamp, out: Outcome, argument: Argument) -> None:
    total_lots, price_ticks = argument
    if order.state is OrderState.QUEUED:
        order.total_lots, order.price_ticks = total_lots, price_ticks
        return
    order.pending_lots, order.pending_price_ticks = total_lots, price_ticks
    order.amend_seq = stamp.seq
    order.amend_epoch = machine.state.epoch
    order.amend_floor_seq = max(order.exec_seq, order.status_seq)
    order.unanswered_amends += 1
    out.effects.append(
        Amend(
            client_order_id=order.client_order_id,
            total_lots=total_lots,
            price_ticks=price_ticks,
            epoch=machine.state.epoch,
        )
    )


def query(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    """Ask, and ask again by the schedule. An answer that leaves the matter open is asked behind at once, but only until
    the schedule has run out: then its timer alone asks, or two machines would talk at the speed of the wire.
    """
    schedule = machine.times.query_ns
    if machine.state.is_up and not (order.query_at_ns and order.query_count >= len(schedule)):
        at_ns = stamp.monotonic_ns + schedule[min(order.query_count, len(schedule) - 1)]
        order.query_count += 1
        order.query_at_ns = at_ns
        out.effects.append(QueryStatus(order.client_order_id))
        out.effects.append(ArmTimer("query:" + order.client_order_id, at_ns))


def arm_ack(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    order.timer = "ack"
    order.timer_at_ns = at_ns = stamp.monotonic_ns + machine.times.ack_ns
    out.effects.append(ArmTimer("request:" + order.client_order_id, at_ns))


def arm_amend(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    order.timer = "amend"
    order.timer_at_ns = at_ns = stamp.monotonic_ns + machine.times.amend_ns
    out.effects.append(ArmTimer("request:" + order.client_order_id, at_ns))


def arm_cancel(machine: Machine, order: Order, stamp: Stamp, out: Outcome, argument: Argument) -> None:
    """`argument` holds the venue's `retry_after_ms`, where it told one."""
    order.timer = "cancel"
    wait_ns = max(machine.times.cancel_ns, argument[0] * MILLISECOND_NS)
    order.timer_at_ns = at_ns = stamp.monotonic_ns + wait_ns
    out.effects.append(ArmTimer("request:" + order.client_order_id, at_ns))


def disarm(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    order.timer = ""
    out.effects.append(DisarmTimer("request:" + order.client_order_id))


def request_cancel(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    order.is_cancel_requested = True


def notify(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    out.effects.append(Notify(order.client_order_id))


def ignore(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    out.ignored += 1


def count_impossible(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    out.impossible += 1


def refuse(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
    detail = f"the order is {order.state}"
    out.effects.append(Refuse(subject=order.client_order_id, code=AMEND_NOT_LIVE, detail=detail))


def check(machine: Machine, order: Order, stamp: Stamp, out: Outcome, argument: Argument) -> None:
    """`argument`: what the venue says was filled, and whether it names our final state."""
    cum_lots, is_same = argument
    if cum_lots > order.cum_lots:
        order.claimed_lots = max(order.claimed_lots, cum_lots)
    elif cum_lots < order.cum_lots or not is_same:
        code = ALARM_CODES["status_final"]
        detail = f"we have {order.state} with {order.cum_lots} filled, the venue another end with {cum_lots}"
        out.effects.append(Alarm("critical", code, order.client_order_id, detail))
        out.halts.append((code, detail))


def _alarm(event: str, is_critical: bool) -> Action:
    code = ALARM_CODES.get(event, "IMPOSSIBLE_EVENT")

    def alarm(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
        detail = f"{event} while {order.state}, {order.cum_lots} of {order.total_lots} lots filled"
        out.effects.append(Alarm("critical" if is_critical else "warning", code, order.client_order_id, detail))

    return alarm


def _halt(event: str) -> Action:
    code = ALARM_CODES[event]

    def halt(machine: Machine, order: Order, stamp: Stamp, out: Outcome, _: Argument) -> None:
        out.halts.append((code, f"order {order.client_order_id}: {event} while {order.state}"))

    return halt


_FUNCTIONS: dict[str, Action] = {
    "S": place,
    "C": cancel,
    "Q": query,
    "T(retry)": arm_cancel,
    "K": disarm,
    "c": request_cancel,
    "N": notify,
    "I": ignore,
    "refuse": refuse,
    "check": check,
}
_WITHOUT = frozenset({"P", "B", "X", "R", "sync", "M(sync)"})
_TIMERS = {"release": arm_ack, "amend_req": arm_amend}

HOLDS: dict[str, Callable[[Order, bool], bool]] = {
    "c": lambda order, fact: order.is_cancel_requested,
    "am": lambda order, fact: order.pending_lots != 0,
    "acked": lambda order, fact: order.is_acked,
    "owed": lambda order, fact: fact,
    "io": lambda order, fact: fact,
}


class Choice(NamedTuple):
    """A variant of a cell, ready to be carried out."""

    holds: Callable[[Order, bool], bool] | None
    next_state: OrderState | None
    actions: tuple[Action, ...]
    asks_for_owed: bool


class Row(NamedTuple):
    """One event in every state."""

    name: str
    cells: dict[OrderState, tuple[Choice, ...]]


def _compiled(event: str, variant: Variant) -> Choice:
    actions: list[Action] = [count_impossible] if variant.is_impossible else []
    for letter in variant.effects:
        if letter == "A":
            actions.append(_alarm(event, is_critical="H" in variant.effects))
        elif letter == "H":
            actions.append(_halt(event))
        elif letter == "T":
            actions.append(_TIMERS.get(event, arm_cancel))
        elif letter == "M":
            if event == "amend_req":
                actions.append(amend)
        elif letter not in _WITHOUT:
            actions.append(_FUNCTIONS[letter])
    holds = None if variant.when is None else HOLDS[variant.when]
    asks_for_owed = "X" in variant.effects or "check" in variant.effects
    return Choice(holds, variant.next_state, tuple(actions), asks_for_owed)


ROWS = {
    event: Row(event, {state: tuple(_compiled(event, variant) for variant in cell) for state, cell in row.items()})
    for event, row in TABLE.items()
}
