"""An order as the venue holds it, and the request that makes one."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.instruments import OrderType, Side

Stp = Literal["cancel_taker", "cancel_maker", "cancel_both"]
Status = Literal["open", "filled", "canceled", "expired", "rejected"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place request that was read well; on the grid, but not judged yet."""

    client_order_id: str
    symbol: str
    side: Side
    kind: OrderType
    lots: int
    price_ticks: int | None
    max_slippage_ticks: int | None = None
    is_reduce_only: bool = False
    stp: Stp = "cancel_taker"
    good_till_ns: int | None = None
    """Wall time at which what rests expires."""

    @property
    def body(self) -> tuple[object, ...]:
        """What must be equal for a second place of the same id to be the same order."""
        return (
            self.symbol,
            self.side,
            self.kind,
            self.lots,
            self.price_ticks,
            self.max_slippage_ticks,
            self.is_reduce_only,
            self.stp,
            self.good_till_ns,
        )


class Origin(msgspec.Struct, frozen=True):
    """By whom and through which connection a request came; conn 0 is REST or the venue itself."""

    key_id: str = ""
    conn_id: int = 0
    epoch: int = 0


VENUE = Origin()


class Order(msgspec.Struct, kw_only=True, eq=False):
    """One order, for good: rejected ones are kept too, so that a status is evidence."""

    order_id: str
    account: str
    place: Place
    origin: Origin
    client_order_id: str
    lots: int
    """Total, what was filled included."""
    price_ticks: int
    cum_lots: int = 0
    status: Status = "open"
    code: str = ""
    """Why it was rejected or ended."""
    accepted_mono_ns: int = 0
    accepted_wall_ns: int = 0
    ack_seq: int = 0
    """exec_seq of its ack."""
    ended_wall_ns: int = 0
    arrival: int = 0
    """Rank in time priority: rises whenever the order joins the end of a queue."""

    @property
    def leaves_lots(self) -> int:
        """What may still fill."""
        return self.lots - self.cum_lots if self.status == "open" else 0

    @property
    def is_open(self) -> bool:
        return self.status == "open"
