"""One order of ours: what was asked, what is known, what is under way. Quantities in lots, prices in ticks."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.instruments import OrderType, Side
from agent.core.orders.table import OrderState

TimerKind = Literal["", "ack", "cancel", "amend"]


class NewOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order that passed the checks before a trade."""

    strategy: str
    symbol: str
    side: Side
    order_type: OrderType
    lots: int
    price_ticks: int
    """Limit; for `market` the worst price that may be taken."""
    is_reduce_only: bool = False


class Order(msgspec.Struct, kw_only=True, gc=False):
    """An order that lives, or is closed and still owes fills."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    order_type: OrderType
    is_reduce_only: bool = False
    state: OrderState = OrderState.QUEUED
    total_lots: int
    price_ticks: int
    pending_lots: int = 0
    """Total of an amendment whose fate is open; 0 where there is none."""
    pending_price_ticks: int = 0
    cum_lots: int = 0
    """Ever filled; a busted trade does not lower it."""
    claimed_lots: int = 0
    """The most that terminal evidence said was filled; what lies above `cum_lots` is owed."""
    reserved_lots: int = 0
    is_cancel_requested: bool = False
    is_acked: bool = False
    """The venue has shown that it knows the order."""
    is_cancel_in_flight: bool = False
    cancel_sent_ns: int = 0
    venue_id: str = ""
    exec_seq: int = 0
    """Of the last execution applied to it."""
    status_seq: int = 0
    """As-of sequence of the last status applied to it."""
    placed_seq: int = 0
    """Journal sequence of the step that sent it."""
    placed_epoch: int = 0
    placed_ns: int = 0
    amend_seq: int = 0
    amend_epoch: int = 0
    amend_floor_seq: int = 0
    """The last execution that was known of when it was sent: what comes up to there is of an earlier amendment."""
    unanswered_amends: int = 0
    """Sent on this connection, and neither accepted nor refused in so many words."""
    timer: TimerKind = ""
    """What the request timer waits for."""
    timer_at_ns: int = 0
    query_at_ns: int = 0
    query_count: int = 0
    unknown_since_ns: int = 0
    unknown_stage: int = 0
    """Times that the order was escalated for staying unknown."""
    is_owed_timed: bool = False
    reason: str = ""
    """The venue's or our code for how it ended."""

    @property
    def largest_lots(self) -> int:
        """The largest total that is not ruled out."""
        return max(self.total_lots, self.pending_lots)

    @property
    def owed_lots(self) -> int:
        """Fills that were promised and have not come."""
        return max(0, self.claimed_lots - self.cum_lots)


class Closed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is kept of an order that ended and owes nothing: enough for whatever frame may still come late."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    order_type: OrderType
    state: OrderState
    total_lots: int
    price_ticks: int
    cum_lots: int
    is_cancel_requested: bool
    is_acked: bool
    exec_seq: int
    status_seq: int
    placed_seq: int
    placed_epoch: int
    placed_ns: int
    reason: str


def closed(order: Order) -> Closed:
    """The remainder of an order that ended."""
    # By place, under the fields' own names (which a test compares): it is made for every order.
    return Closed(
        order.client_order_id, order.strategy, order.symbol, order.side, order.order_type, order.state,
        order.total_lots, order.price_ticks, order.cum_lots, order.is_cancel_requested, order.is_acked,
        order.exec_seq, order.status_seq, order.placed_seq, order.placed_epoch, order.placed_ns, order.reason,
    )  # fmt: skip


def reopened(remainder: Closed) -> Order:
    """The order again, for a late frame or a look."""
    return Order(
        client_order_id=remainder.client_order_id,
        strategy=remainder.strategy,
        symbol=remainder.symbol,
        side=remainder.side,
        order_type=remainder.order_type,
        state=remainder.state,
        total_lots=remainder.total_lots,
        price_ticks=remainder.price_ticks,
        cum_lots=remainder.cum_lots,
        is_cancel_requested=remainder.is_cancel_requested,
        is_acked=remainder.is_acked,
        exec_seq=remainder.exec_seq,
        status_seq=remainder.status_seq,
        placed_seq=remainder.placed_seq,
        placed_epoch=remainder.placed_epoch,
        placed_ns=remainder.placed_ns,
        reason=remainder.reason,
    )
