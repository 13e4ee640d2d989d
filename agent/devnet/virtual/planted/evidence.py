"""Planted bugs of what the venue's frames are taken to prove."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.accounts.position import Position
from agent.core.desk.settling import Settling
from agent.core.effects.control import DisarmTimer
from agent.core.events import Stamp
from agent.core.events import orders as events
from agent.core.orders import evidence
from agent.core.orders.actions import ROWS
from agent.core.orders.evidence import Evidence
from agent.core.orders.ingress import Ingress
from agent.core.orders.order import Order
from agent.core.orders.outcome import AppliedFill, Outcome
from agent.core.orders.table import FINAL, OrderState
from agent.core.session import Session
from agent.devnet.virtual.planted.requests import changed
from agent.devnet.virtual.planted.swap import bug


def _take_out_of_order(self: Any, event: Any, stamp: Stamp, out: Outcome) -> None:
    state = self._machine.state
    if event.exec_seq is not None:
        if event.exec_seq <= state.cursor:
            return
        state.cursor = event.exec_seq
    self._apply[type(event)](event, stamp, out)


def _take_old_again(self: Any, event: Any, exec_seq: int, stamp: Stamp, out: Outcome) -> None:
    if type(event) is events.Fill:
        out.fills.append(AppliedFill("", event))


def _knows_nothing(self: Position, fill: Any) -> bool:
    return False


def _fill_unless_ended(self: Evidence, event: events.Fill, stamp: Stamp, out: Outcome) -> None:
    order = self._machine.look(event.client_order_id)
    if order is None or order.state is not OrderState.CANCELED:
        _fill(self, event, stamp, out)


_fill = Evidence.fill


def _overfill_as_a_full_one(self: Evidence, event: events.Fill, stamp: Stamp, out: Outcome) -> None:
    _fill(self, event, stamp, out)
    out.halts.clear()


def _replay_done_whatever_it_brought(self: Any, event: events.ReplayDone, stamp: Stamp, out: Outcome) -> None:
    state = self._machine.state
    if event.epoch == state.epoch and state.is_replay_asked:
        state.is_replay_asked = False
        state.cursor = max(state.cursor, event.to_exec_seq)
        state.held.clear()
        out.effects.append(DisarmTimer("replay"))


def _final_status_with_its_fills(self: Any, order: Order, word: str, cum_lots: int, stamp: Stamp, out: Outcome) -> None:
    owed_lots = cum_lots - order.cum_lots
    if owed_lots > 0 and order.state not in FINAL:
        made_up = events.Fill(
            exec_seq=self._machine.state.cursor, symbol=order.symbol, client_order_id=order.client_order_id,
            order_id=order.venue_id, trade_id=f"inferred-{stamp.seq}", side=order.side, lots=owed_lots,
            price_ticks=order.price_ticks, is_maker=False, fee=0, fee_currency="USDC", cum_lots=cum_lots,
            leaves_lots=0, epoch=self._machine.state.epoch,
        )  # fmt: skip
        out.fills.append(AppliedFill(order.strategy, made_up))
    _on_final_status(self, order, word, cum_lots, stamp, out)


_on_final_status = Evidence._on_final_status


def _status_however_old(self: Any, order: Order, *args: Any) -> None:
    as_of = order.exec_seq, order.status_seq
    order.exec_seq = order.status_seq = 0
    _on_status(self, order, *args)
    order.exec_seq, order.status_seq = max(as_of[0], order.exec_seq), max(as_of[1], order.status_seq)


_on_status = Evidence._on_status


def _any_list_is_complete(self: Evidence, event: events.OpenOrders, stamp: Stamp, out: Outcome) -> None:
    _open_orders(self, msgspec.structs.replace(event, is_complete=True), stamp, out)


_open_orders = Evidence.open_orders


def _any_list_will_do(self: Session, event: events.OpenOrders, stamp: Stamp, out: Outcome) -> None:
    _on_open_orders(self, msgspec.structs.replace(event, is_complete=True), stamp, out)


_on_open_orders = Session._on_open_orders


def _no_bust(self: Any, out: Outcome, stamp: Stamp) -> None:
    """A trade that was taken back stays in the books."""


EVIDENCE = (
    bug(
        "not-found-is-final",
        "an order that the venue does not find is rejected",
        (evidence, "NF_WEAK", ROWS["nf_final"]),
    ),
    bug("sequence-check-off", "an execution is applied without those before it", (Ingress, "take", _take_out_of_order)),
    bug(
        "fill-applied-twice",
        "a fill that comes again is booked again",
        (Ingress, "_take_old", _take_old_again),
        (Position, "knows", _knows_nothing),
    ),
    bug("late-fill-ignored", "a fill behind the end of its order is dropped", (Evidence, "fill", _fill_unless_ended)),
    bug("overfill-ignored", "a fill that was never ordered stops nothing", (Evidence, "fill", _overfill_as_a_full_one)),
    bug(
        "replay-gap-skipped",
        "what a replay leaves out is given up",
        (Ingress, "replay_done", _replay_done_whatever_it_brought),
    ),
    bug(
        "owed-fills-invented",
        "fills that a status counts are booked at once, and again when they come",
        (Evidence, "_on_final_status", _final_status_with_its_fills),
    ),
    bug("stale-status-accepted", "an answer is taken however old it is", (Evidence, "_on_status", _status_however_old)),
    bug(
        "cancel-reject-is-an-end",
        "a cancel that comes too late counts as done",
        (evidence, "CANCEL_REJ", changed("cancel_rej", OrderState.PENDING_CANCEL, "canceled")),
    ),
    bug(
        "unknown-code-is-final",
        "a place that is answered by an inner fault counts as rejected",
        (evidence, "DEFINITIVE_REJECTS", evidence.DEFINITIVE_REJECTS | {"INTERNAL", "TIMEOUT", "NEVER_HEARD_OF"}),
    ),
    bug(
        "incomplete-list-is-empty",
        "a list of open orders that is not complete is taken for one",
        (Evidence, "open_orders", _any_list_is_complete),
        (Session, "_on_open_orders", _any_list_will_do),
    ),
    bug("bust-ignored", "a trade that was taken back stays in the books", (Settling, "_busted", _no_bust)),
)
