"""What each frame of the venue proves about an order: the way from its words to the rows of the table.

Only quantities count, never status words: "filled" with less than the total filled is not. A fill changes position and
cash first, whatever state its order is in. What an answer proves hangs on when and how it was *asked*: a not-found is
final only if it was asked under an epoch newer than the send's, or behind a fence that followed it, and only an answer
asked on the socket behind an amendment (or under a newer epoch) says what became of that amendment.
"""

from __future__ import annotations

from agent.core.effects.control import Alarm
from agent.core.effects.orders import CancelOrder
from agent.core.events import Stamp
from agent.core.events.orders import (
    Amended,
    AmendReject,
    Asked,
    Canceled,
    CancelReject,
    Fill,
    OpenOrders,
    OrderAck,
    OrderStatus,
    Reject,
)
from agent.core.instruments import OrderType
from agent.core.orders.actions import ROWS
from agent.core.orders.machine import Machine
from agent.core.orders.order import Order
from agent.core.orders.outcome import EXTERNAL, AppliedFill, Outcome
from agent.core.orders.table import FINAL, OrderState
from agent.core.orders.trades import remember_trade

ACK = ROWS["ack"]
FILL_PART, FILL_FULL, FILL_OVER = ROWS["fill_part"], ROWS["fill_full"], ROWS["fill_over"]
CANCELED, EXPIRED, REJECT = ROWS["canceled"], ROWS["expired"], ROWS["reject"]
CANCEL_REJ, CANCEL_REJ_SOFT = ROWS["cancel_rej"], ROWS["cancel_rej_soft"]
AMENDED, AMEND_REJ = ROWS["amended"], ROWS["amend_rej"]
SEND_MAYBE = ROWS["send_maybe"]
STATUS_OPEN, STATUS_FINAL = ROWS["status_open"], ROWS["status_final"]
NF_FINAL, NF_WEAK, FENCE_ABSENT = ROWS["nf_final"], ROWS["nf_weak"], ROWS["fence_absent"]
UNSENT = frozenset({OrderState.QUEUED, OrderState.FILLED})
"""States in which a total that the venue names is not adopted."""

DEFINITIVE_REJECTS = frozenset(
    {
        "MALFORMED",
        "UNKNOWN_SYMBOL",
        "BAD_SIDE",
        "BAD_TYPE",
        "BAD_TICK",
        "BAD_LOT",
        "MIN_QTY",
        "MAX_QTY",
        "MIN_NOTIONAL",
        "PRICE_BAND",
        "POST_ONLY_WOULD_CROSS",
        "FOK_NOT_FILLABLE",
        "NO_LIQUIDITY",
        "REDUCE_ONLY_VIOLATION",
        "INSUFFICIENT_BALANCE",
        "MAX_OPEN_ORDERS",
        "RATE_LIMIT",
        "STALE_EPOCH",
        "TOO_LATE",
        "HALTED",
        "CANCEL_ONLY",
        "DEADMAN_FIRED",
        "SELF_TRADE",
        "KEY_SCOPE",
        "KEY_REVOKED",
        "OVERLOADED",
    }
)
"""Codes that prove the order was not accepted. Any other, an unknown one too, leaves its fate open."""
MISMATCH = "DUPLICATE_CLID_MISMATCH"
SOFT_CANCEL_REJECTS = frozenset({"RATE_LIMIT", "ALREADY_PENDING"})
"""The cancel was not weighed: it says nothing about the order and is sent again."""
DEFINITIVE_AMEND_REJECTS = DEFINITIVE_REJECTS | {"TOO_LATE_TO_CANCEL", "UNKNOWN_ORDER", "ALREADY_PENDING"}

FINAL_STATES = {
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "rejected": OrderState.REJECTED,
    "expired": OrderState.EXPIRED,
}


BY_QUANTITY = {OrderState.FILLED, OrderState.CANCELED}


class Evidence:
    """One method for each kind of frame; the frames with an `exec_seq` come here in their order, each once."""

    __slots__ = ("_machine",)

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def ack(self, event: OrderAck, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id, event.order_id)
        if order is None:
            self._foreign(event.client_order_id, "ack", out)
            return
        if event.is_duplicate:
            self._on_status(order, event.status, None, None, event.cum_lots, event.exec_seq, None, False, stamp, out)
            order.exec_seq = event.exec_seq
            return
        order.exec_seq = event.exec_seq
        order.is_acked = True
        if not order.venue_id and event.order_id:
            order.venue_id = event.order_id
            machine.by_venue_id[event.order_id] = order.client_order_id
        if event.accepted_price_ticks is not None and not order.amend_seq:
            order.price_ticks = event.accepted_price_ticks
        machine.react(order, ACK, stamp, out)
        status = event.status
        if status != "open" and status != "filled" and order.state not in FINAL:
            self._end(order, event.cum_lots, is_expired=status == "expired", stamp=stamp, out=out)

    def fill(self, event: Fill, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id, event.order_id)
        if order is None:
            self._external(event, out)
            return
        lots = event.lots
        is_owed = lots <= order.claimed_lots - order.cum_lots
        cum_lots = order.cum_lots + lots
        largest = order.total_lots if order.total_lots >= order.pending_lots else order.pending_lots
        order.cum_lots = cum_lots
        order.exec_seq = event.exec_seq
        order.is_acked = True
        if not order.venue_id and event.order_id:
            order.venue_id = event.order_id
            machine.by_venue_id[event.order_id] = order.client_order_id
        out.fills.append(AppliedFill(order.strategy, event))
        remember_trade(machine.state, order.strategy, event)
        if event.side is not order.side or event.symbol != order.symbol or event.cum_lots != cum_lots:
            self._judge(order, event, out)
        row = FILL_PART if cum_lots < largest else FILL_FULL if cum_lots == largest else FILL_OVER
        machine.react(order, row, stamp, out, is_owed)

    def reject(self, event: Reject, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id)
        if order is None:
            self._foreign(event.client_order_id, "reject", out)
            return
        if event.exec_seq is not None:
            order.exec_seq = event.exec_seq
        order.reason = event.code
        if event.code in DEFINITIVE_REJECTS:
            machine.react(order, REJECT, stamp, out)
            return
        machine.react(order, SEND_MAYBE, stamp, out)
        if event.code == MISMATCH:
            detail = "the venue knows this id with another body: ids are not unique, or the account is not ours alone"
            out.effects.append(Alarm("critical", MISMATCH, order.client_order_id, detail))
            out.halts.append((MISMATCH, f"order {order.client_order_id}: {detail}"))

    def canceled(self, event: Canceled, stamp: Stamp, out: Outcome) -> None:
        order = self._machine.find(event.client_order_id, event.order_id)
        if order is None:
            out.ignored += 1
            return
        order.exec_seq = event.exec_seq
        if order.state not in FINAL:
            order.is_acked = True
            order.reason = event.reason
        self._end(order, event.cum_lots, is_expired=event.reason == "expired", stamp=stamp, out=out)

    def cancel_reject(self, event: CancelReject, stamp: Stamp, out: Outcome) -> None:
        order = self._machine.find(event.client_order_id)
        if order is None:
            out.ignored += 1
            return
        order.is_cancel_in_flight = False
        if event.code in SOFT_CANCEL_REJECTS:
            argument = (event.retry_after_ms or 0, 0)
            self._machine.react(order, CANCEL_REJ_SOFT, stamp, out, argument=argument)
        else:
            self._machine.react(order, CANCEL_REJ, stamp, out)

    def amended(self, event: Amended, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id, event.order_id)
        if order is None:
            self._foreign(event.client_order_id, "amended", out)
            return
        order.exec_seq = event.exec_seq
        if event.new_client_order_id and event.new_client_order_id != order.client_order_id:
            machine.state.aliases[event.new_client_order_id] = order.client_order_id
        if event.order_id != order.venue_id:
            machine.state.aliases[event.order_id] = order.client_order_id
        order.unanswered_amends = max(0, order.unanswered_amends - 1)
        if order.state in FINAL or order.state is OrderState.QUEUED:
            machine.react(order, AMENDED, stamp, out)
            return
        if order.pending_lots and event.exec_seq <= order.amend_floor_seq:
            out.ignored += 1  # of an earlier amendment, which a status has told of already
            return
        order.is_acked = True
        order.total_lots, order.price_ticks = event.total_lots, event.price_ticks
        order.pending_lots = order.pending_price_ticks = 0
        machine.react(order, AMENDED, stamp, out, ends_as=OrderState.CANCELED)

    def amend_reject(self, event: AmendReject, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id)
        if order is None:
            out.ignored += 1
            return
        is_ambiguous = order.unanswered_amends > 1  # it may be the late answer to an earlier one
        order.unanswered_amends = max(0, order.unanswered_amends - 1)
        if is_ambiguous or event.code not in DEFINITIVE_AMEND_REJECTS:
            machine.react(order, SEND_MAYBE, stamp, out)
            return
        self.amend_never_was(order, stamp, out)

    def amend_never_was(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        """The order stands as it stood before the amendment that is pending."""
        was_pending = order.pending_lots != 0
        order.pending_lots = order.pending_price_ticks = 0
        ends_as = OrderState.FILLED if was_pending else None
        self._machine.react(order, AMEND_REJ, stamp, out, ends_as=ends_as)

    def status(self, event: OrderStatus, stamp: Stamp, out: Outcome) -> None:
        self._machine.tell_seen(event.as_of_exec_seq, stamp, out)
        order = self._machine.find(event.client_order_id, event.order_id)
        if order is None:
            out.ignored += 1
            return
        self._on_status(
            order,
            event.status,
            event.total_lots,
            event.price_ticks,
            event.cum_lots or 0,
            event.as_of_exec_seq,
            event.asked,
            event.never_seen,
            stamp,
            out,
        )

    def open_orders(self, event: OpenOrders, stamp: Stamp, out: Outcome) -> None:
        """Every row is a status; what is missing in a complete list is gone if a fence lies between."""
        machine = self._machine
        machine.tell_seen(event.as_of_exec_seq, stamp, out)
        listed = set()
        for row in event.orders:
            order = machine.find(row.client_order_id, row.order_id)
            if order is not None:
                listed.add(order.client_order_id)
                self._on_status(
                    order,
                    "open",
                    row.total_lots,
                    row.price_ticks,
                    row.cum_lots,
                    event.as_of_exec_seq,
                    event.asked,
                    False,
                    stamp,
                    out,
                )
            elif row.client_order_id not in machine.state.allowed and machine.state.is_up:
                detail = f"{row.side.value} {row.total_lots} lots {row.symbol} rests at the venue and is not ours"
                out.effects.append(Alarm("critical", "FOREIGN_ORDER", row.client_order_id, detail))
                out.effects.append(CancelOrder(row.client_order_id))
        if not event.is_complete:
            return
        for name, order in list(machine.state.live.items()):
            if name in listed or event.as_of_exec_seq < max(order.exec_seq, order.status_seq):
                continue
            fence = machine.fence_over(order)
            if fence and event.asked.seq >= fence.done_seq and event.as_of_exec_seq >= fence.exec_seq:
                self._gone_behind_fence(order, event, stamp, out)

    def _gone_behind_fence(self, order: Order, event: OpenOrders, stamp: Stamp, out: Outcome) -> None:
        is_ahead = event.as_of_exec_seq > self._machine.state.cursor
        if is_ahead and order.state in (OrderState.SENT, OrderState.UNKNOWN):
            return  # the executions that have not come yet may say how it ended
        if order.pending_lots:
            if is_ahead or not _is_in_order(order, event.asked):
                return  # it may have ended at the total that the amendment was to change
            self.amend_never_was(order, stamp, out)  # or its execution would be among those that came
        if order.state not in FINAL:
            self._machine.react(order, FENCE_ABSENT, stamp, out)

    def _on_status(
        self,
        order: Order,
        word: str,
        total_lots: int | None,
        price_ticks: int | None,
        cum_lots: int,
        as_of: int,
        asked: Asked | None,
        never_seen: bool,
        stamp: Stamp,
        out: Outcome,
    ) -> None:
        machine = self._machine
        is_old = as_of < max(order.exec_seq, order.status_seq)
        if is_old or (word == "open" and not machine.state.is_up):
            out.stale += 1
            machine.settle(order, stamp, out)
            return
        order.status_seq = as_of
        if word == "not_found":
            is_final = never_seen and asked is not None and self._is_behind(order, asked)
            machine.react(order, NF_FINAL if is_final else NF_WEAK, stamp, out)
            return
        is_in_order = asked is not None and _is_in_order(order, asked)
        is_cleared = order.pending_lots != 0 and (is_in_order or word != "open")
        if order.state not in UNSENT:
            if total_lots is not None:
                order.total_lots = total_lots
            if price_ticks is not None:
                order.price_ticks = price_ticks
            if is_cleared:
                order.pending_lots = order.pending_price_ticks = 0
        if word == "open":
            order.is_acked = True
            ends_as = OrderState.FILLED if is_cleared else None
            machine.react(order, STATUS_OPEN, stamp, out, is_cleared, ends_as)
            if cum_lots > order.cum_lots:
                machine.ask_replay(stamp, out)
            if order.query_at_ns and order.state is not OrderState.UNKNOWN:
                machine.disarm_query(order, out)
            return
        self._on_final_status(order, word, cum_lots, stamp, out)

    def _on_final_status(self, order: Order, word: str, cum_lots: int, stamp: Stamp, out: Outcome) -> None:
        ends_as = FINAL_STATES[word]
        if ends_as is OrderState.FILLED and cum_lots < order.total_lots:
            ends_as = OrderState.CANCELED
        if order.state not in FINAL and order.state is not OrderState.QUEUED:
            order.is_acked = True
            order.claimed_lots = max(order.claimed_lots, cum_lots)
        # With one quantity the words are one end: the last fill may be told behind the cancel, or the total have been cut.
        is_same = order.state is ends_as or (cum_lots == order.cum_lots and {order.state, ends_as} == BY_QUANTITY)
        argument = (cum_lots, int(is_same))
        self._machine.react(order, STATUS_FINAL, stamp, out, ends_as=ends_as, argument=argument)

    def _end(self, order: Order, cum_lots: int, *, is_expired: bool, stamp: Stamp, out: Outcome) -> None:
        if order.state not in FINAL:
            order.claimed_lots = max(order.claimed_lots, cum_lots)
            # Each order it meets is a fill of its own, so only its end says that it was not filled whole.
            if order.order_type is OrderType.FOK and 0 < max(order.cum_lots, order.claimed_lots) < order.total_lots:
                detail = f"{max(order.cum_lots, order.claimed_lots)} of {order.total_lots} lots"
                out.effects.append(Alarm("critical", "FOK_FILLED_IN_PART", order.client_order_id, detail))
            if cum_lots > order.total_lots and order.pending_lots >= cum_lots:
                order.total_lots = order.pending_lots  # more was filled than before the amendment could: it was applied
        self._machine.react(order, EXPIRED if is_expired else CANCELED, stamp, out)

    def _is_behind(self, order: Order, asked: Asked) -> bool:
        """The question went out when nothing sent before it could appear any more."""
        if asked.epoch > order.placed_epoch:
            return True
        fence = self._machine.fence_over(order)
        return fence is not None and asked.seq >= fence.done_seq

    def _external(self, event: Fill, out: Outcome) -> None:
        """The position is what the venue says, whoever ordered it; then everything stops."""
        machine = self._machine
        out.fills.append(AppliedFill(EXTERNAL, event))
        remember_trade(machine.state, EXTERNAL, event)
        code = "FILL_OF_LOST_ORDER" if machine.ids.was_issued(event.client_order_id) else "FILL_OF_FOREIGN_ORDER"
        detail = f"{event.side.value} {event.lots} lots {event.symbol}, trade {event.trade_id}"
        out.effects.append(Alarm("critical", code, event.client_order_id, detail))
        out.halts.append((code, f"order {event.client_order_id}: {detail}"))

    def _foreign(self, client_order_id: str, word: str, out: Outcome) -> None:
        out.effects.append(Alarm("critical", "FOREIGN_ORDER", client_order_id, f"{word} for an order that is not ours"))

    def _judge(self, order: Order, event: Fill, out: Outcome) -> None:
        """The fill counts as told, but it is not what was ordered or does not add up."""
        name = order.client_order_id
        if event.side is not order.side or event.symbol != order.symbol:
            detail = f"{event.side.value} {event.symbol} for an order to {order.side.value} {order.symbol}"
            out.effects.append(Alarm("critical", "FILL_OF_ANOTHER_KIND", name, detail))
            out.halts.append(("FILL_OF_ANOTHER_KIND", f"order {name}: {detail}"))
        else:
            detail = f"the venue counts {event.cum_lots} lots filled, the fills add up to {order.cum_lots}"
            out.effects.append(Alarm("critical", "FILLS_DO_NOT_ADD_UP", name, detail))


def _is_in_order(order: Order, asked: Asked) -> bool:
    """The answer is about a time after the pending amendment was processed.

    A question of the same step may have left before the amendment, so it proves nothing.
    """
    if asked.epoch > order.amend_epoch:
        return True
    return asked.is_socket and asked.epoch == order.amend_epoch and asked.seq > order.amend_seq
