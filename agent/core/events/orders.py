"""What comes into the core from a venue's private side: evidence about orders, fills and the session.

Quantities in lots, prices in ticks, fees in atoms of the quote currency (in lots where `fee_currency` is the base).
`epoch` is the session epoch of the connection that delivered the frame. Frames that carry an `exec_seq` may arrive
in any order and any number of times: the core puts them in order (trading-core 3.3, rule 14).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.instruments import OrderType, Side


class Asked(msgspec.Struct, frozen=True, gc=False):
    """When and how the question was put whose answer this is; what an answer proves hangs on it."""

    seq: int
    """Journal sequence of the last event that was stepped before the question went out."""
    is_socket: bool
    """On the session's own socket, hence processed behind every earlier request of it."""
    epoch: int


class PlaceRequested(msgspec.Struct, frozen=True, tag="place_requested", kw_only=True, gc=False):
    """A strategy wants an order; the pre-trade checks decide. The core gives it its id."""

    strategy: str
    symbol: str
    side: Side
    order_type: OrderType
    lots: int
    price_ticks: int
    """Limit; for `market` the worst price that may be taken."""
    is_reduce_only: bool = False
    decided_seq: int = 0
    """Journal sequence of the market event it was decided on."""


class CancelRequested(msgspec.Struct, frozen=True, tag="cancel_requested", gc=False):
    client_order_id: str


class AmendRequested(msgspec.Struct, frozen=True, tag="amend_requested", kw_only=True, gc=False):
    """`total_lots` is the new total, what was filled included."""

    client_order_id: str
    total_lots: int
    price_ticks: int


class OrderAck(msgspec.Struct, frozen=True, tag="ack", kw_only=True, gc=False):
    exec_seq: int
    client_order_id: str
    order_id: str
    status: Literal["open", "filled", "canceled", "expired"]
    cum_lots: int
    accepted_price_ticks: int | None = None
    is_duplicate: bool = False
    """The venue had this id already: this is a status of the stored order, never a new ack."""
    is_replayed: bool = False
    exchange_ns: int = 0
    epoch: int


class Fill(msgspec.Struct, frozen=True, tag="fill", kw_only=True, gc=False):
    exec_seq: int
    symbol: str
    client_order_id: str
    order_id: str
    trade_id: str
    side: Side
    lots: int
    price_ticks: int
    is_maker: bool
    fee: int
    """+ is paid, - is received."""
    fee_currency: str
    cum_lots: int
    leaves_lots: int
    is_replayed: bool = False
    exchange_ns: int = 0
    epoch: int


class Reject(msgspec.Struct, frozen=True, tag="reject", kw_only=True, gc=False):
    """`code` is the venue's own word; one that the contract does not know leaves the outcome unknown."""

    client_order_id: str
    code: str
    exec_seq: int | None = None
    retry_after_ms: int | None = None
    is_replayed: bool = False
    epoch: int


class Canceled(msgspec.Struct, frozen=True, tag="canceled", kw_only=True, gc=False):
    """The venue ended the order; reason `expired` is an expiry."""

    exec_seq: int
    client_order_id: str
    order_id: str
    cum_lots: int
    reason: str
    is_replayed: bool = False
    epoch: int


class CancelReject(msgspec.Struct, frozen=True, tag="cancel_reject", kw_only=True, gc=False):
    client_order_id: str
    code: str
    retry_after_ms: int | None = None
    epoch: int


class Amended(msgspec.Struct, frozen=True, tag="amended", kw_only=True, gc=False):
    """`total_lots` includes what was filled; `new_client_order_id` is None where the id stays."""

    exec_seq: int
    client_order_id: str
    order_id: str
    new_client_order_id: str | None = None
    total_lots: int
    price_ticks: int
    cum_lots: int
    leaves_lots: int
    is_replayed: bool = False
    epoch: int


class AmendReject(msgspec.Struct, frozen=True, tag="amend_reject", kw_only=True, gc=False):
    client_order_id: str
    code: str
    epoch: int


class OrderStatus(msgspec.Struct, frozen=True, tag="order_status", kw_only=True, gc=False):
    """The answer to a question about one order. Totals and prices are None where it was not found."""

    client_order_id: str
    order_id: str = ""
    status: Literal["open", "filled", "canceled", "rejected", "expired", "not_found"]
    as_of_exec_seq: int
    total_lots: int | None = None
    price_ticks: int | None = None
    cum_lots: int | None = None
    never_seen: bool = False
    asked: Asked
    epoch: int


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of the venue's list of open orders."""

    client_order_id: str
    order_id: str
    symbol: str
    side: Side
    total_lots: int
    price_ticks: int
    cum_lots: int


class OpenOrders(msgspec.Struct, frozen=True, tag="open_orders", kw_only=True, gc=False):
    """The venue's list; one that is not complete proves nothing."""

    as_of_exec_seq: int
    is_complete: bool
    orders: tuple[OpenOrder, ...]
    asked: Asked
    epoch: int


class FenceDone(msgspec.Struct, frozen=True, tag="fence_done", kw_only=True, gc=False):
    """Every request of this session (scope `session`), or of any older epoch (`account`), is resolved.

    `order_canceled` frames up to `exec_seq` say what ended; the lists here are no evidence by themselves.
    """

    request_id: str
    scope: Literal["none", "session", "account"]
    symbol: str = ""
    canceled: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    exec_seq: int
    epoch: int


class TradeBusted(msgspec.Struct, frozen=True, tag="bust", kw_only=True, gc=False):
    """The venue takes back a trade (`lots` 0) or corrects it. Position and cash change, the order does not."""

    exec_seq: int
    trade_id: str
    lots: int
    price_ticks: int | None = None
    is_replayed: bool = False
    epoch: int


class ReplayDone(msgspec.Struct, frozen=True, tag="replay_done", gc=False):
    to_exec_seq: int
    epoch: int


class Balance(msgspec.Struct, frozen=True, gc=False):
    currency: str
    atoms: int


class VenuePosition(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    lots: int


class AccountSnapshot(msgspec.Struct, frozen=True, tag="account", kw_only=True, gc=False):
    """What the venue says we hold, as of an execution."""

    as_of_exec_seq: int
    balances: tuple[Balance, ...]
    positions: tuple[VenuePosition, ...]
    asked: Asked | None = None
    epoch: int


class Flow(msgspec.Struct, frozen=True, tag="flow", kw_only=True, gc=False):
    """Money or funding that came (+) or went (-); `funding` is a result, the others change the units of the fund."""

    kind: Literal["deposit", "withdrawal", "faucet", "funding"]
    currency: str
    atoms: int
    flow_id: str
    symbol: str = ""
    """Funding: the position it belongs to, where the venue says."""


class SendResult(msgspec.Struct, frozen=True, tag="send_result", gc=False):
    """A request did not surely reach the wire: `clean` is proof that no byte of it left, `maybe` is anything else."""

    client_order_id: str
    request: Literal["place", "cancel", "amend"]
    result: Literal["clean", "maybe"]


class SessionUp(msgspec.Struct, frozen=True, tag="session_up", kw_only=True, gc=False):
    """The venue said hello. `acknowledges` is False in article mode: then no order may be sent."""

    epoch: int
    last_exec_seq: int
    acknowledges: bool = True
    orders_per_s: int
    cancels_per_s: int
    max_open: int
    server_offset_ns: int = 0


class SessionDown(msgspec.Struct, frozen=True, tag="session_down", kw_only=True, gc=False):
    """The connection or its epoch ended. `is_terminal`: another instance lives, or the key is refused; never retry."""

    reason: str
    is_terminal: bool = False


class ClockOffset(msgspec.Struct, frozen=True, tag="clock_offset", gc=False):
    """Server clock minus ours, from the round trip with the least delay among the last 60."""

    offset_ns: int
    round_trip_ns: int


OrderEvent = (
    PlaceRequested
    | CancelRequested
    | AmendRequested
    | OrderAck
    | Fill
    | Reject
    | Canceled
    | CancelReject
    | Amended
    | AmendReject
    | OrderStatus
    | OpenOrders
    | FenceDone
    | TradeBusted
    | ReplayDone
    | AccountSnapshot
    | Flow
    | SendResult
    | SessionUp
    | SessionDown
    | ClockOffset
)
