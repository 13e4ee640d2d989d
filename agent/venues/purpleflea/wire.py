"""What the venue says: every inbound frame as a typed struct, decoded in one pass.

Fields that we do not use are not listed, so they are never built; a `text` of the venue in particular is read by nobody.
Decimals stay text here: what they are in ticks and lots depends on the instrument (`decimals`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agent.core.instruments import Side, TradingStatus

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ExecSeq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Microseconds = Annotated[int, Meta(ge=10**15, lt=10**16)]
"""A time in Unix µs; another unit falls outside of the range (years 2001 to 2286)."""
Nanoseconds = Annotated[int, Meta(ge=10**18, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
MaybeName = Annotated[str, Meta(max_length=64)]
ClientId = Annotated[str, Meta(min_length=1, max_length=36)]
Retry = Annotated[int, Meta(ge=0, le=86_400_000)]
Decimal = Annotated[str, Meta(min_length=1, max_length=40)]
WireLevel = tuple[Decimal, Decimal]


class Frame(msgspec.Struct, frozen=True, tag_field="type", gc=False):
    """Base of all frames."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    orders_per_s: Count
    cancels_per_s: Count
    max_open: Count
    max_frame: Count = 1 << 20


class RateState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is left of the limits until `reset_ns`."""

    orders_left: Count | None = None
    cancels_left: Count | None = None
    reset_ns: Count | None = None


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    protocol: Name
    session_epoch: Count
    conn_id: Any = None
    server_ts_ns: Nanoseconds
    heartbeat_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    limits: Limits
    features: list[Name] = []
    last_exec_seq: Count


class Refused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A channel of a symbol that was not opened."""

    channel: Name
    symbol: MaybeName = ""
    code: Name


class Subscribed(Frame, frozen=True, kw_only=True, tag="subscribed"):
    rejected: tuple[Refused, ...] = ()


class Unsubscribed(Frame, frozen=True, kw_only=True, tag="unsubscribed"):
    pass


class Tick(Frame, frozen=True, kw_only=True, tag="tick"):
    symbol: Name
    price: Decimal
    exchange_ts: Microseconds
    bid: Decimal | None = None
    ask: Decimal | None = None
    book_seq: Count | None = None
    mark: Decimal | None = None


class WireSnapshot(Frame, frozen=True, kw_only=True, tag="book_snapshot"):
    symbol: Name
    book_seq: ExecSeq
    bids: list[WireLevel]
    asks: list[WireLevel]
    exchange_ts: Microseconds
    checksum: Annotated[int, Meta(ge=0, lt=2**32)] | None = None


class WireDelta(Frame, frozen=True, kw_only=True, tag="book_delta"):
    symbol: Name
    prev_seq: Count
    book_seq: ExecSeq
    bids: list[WireLevel]
    asks: list[WireLevel]
    exchange_ts: Microseconds
    checksum: Annotated[int, Meta(ge=0, lt=2**32)] | None = None


class Trade(Frame, frozen=True, kw_only=True, tag="trade"):
    symbol: Name
    trade_id: Name
    price: Decimal
    qty: Decimal
    aggressor: Side
    exchange_ts: Microseconds


class WireFill(Frame, frozen=True, kw_only=True, tag="fill"):
    exec_seq: ExecSeq
    symbol: Name
    client_order_id: ClientId
    order_id: Name
    trade_id: Name
    side: Side
    qty: Decimal
    price: Decimal
    liquidity: Literal["maker", "taker"]
    fee: Decimal
    fee_ccy: Name
    cum_qty: Decimal
    leaves_qty: Decimal
    exchange_ts: Microseconds | None = None
    replayed: bool = False


class WireReject(Frame, frozen=True, kw_only=True, tag="reject"):
    client_order_id: ClientId
    code: Name
    exec_seq: ExecSeq | None = None
    retry_after_ms: Retry | None = None
    replayed: bool = False
    rl: RateState | None = None


class WireAck(Frame, frozen=True, kw_only=True, tag="order_ack"):
    exec_seq: ExecSeq
    client_order_id: ClientId
    order_id: Name
    status: Literal["open", "filled", "canceled", "expired"]
    cum_qty: Decimal
    accepted_price: Decimal | None = None
    duplicate: bool = False
    symbol: MaybeName = ""
    exchange_ts: Microseconds | None = None
    replayed: bool = False
    rl: RateState | None = None


class WireCanceled(Frame, frozen=True, kw_only=True, tag="order_canceled"):
    exec_seq: ExecSeq
    client_order_id: ClientId
    order_id: MaybeName = ""
    cum_qty: Decimal
    reason: Name
    symbol: MaybeName = ""
    replayed: bool = False
    rl: RateState | None = None


class WireCancelReject(Frame, frozen=True, kw_only=True, tag="cancel_reject"):
    client_order_id: ClientId
    code: Name
    retry_after_ms: Retry | None = None
    rl: RateState | None = None


class WireAmended(Frame, frozen=True, kw_only=True, tag="order_amended"):
    exec_seq: ExecSeq
    client_order_id: ClientId
    order_id: MaybeName = ""
    new_client_order_id: ClientId | None = None
    quantity: Decimal
    price: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    symbol: MaybeName = ""
    replayed: bool = False
    rl: RateState | None = None


class WireAmendReject(Frame, frozen=True, kw_only=True, tag="amend_reject"):
    client_order_id: ClientId
    code: Name
    rl: RateState | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: ClientId
    code: Name


class WireFenceDone(Frame, frozen=True, kw_only=True, tag="cancel_all_done"):
    req_id: MaybeName = ""
    canceled: list[ClientId] = []
    failed: list[Failed] = []
    exec_seq: Count
    session_epoch: Count | None = None
    reason: MaybeName = ""


class WireOrderState(Frame, frozen=True, kw_only=True, tag="order_state"):
    client_order_id: ClientId
    order_id: MaybeName = ""
    symbol: MaybeName = ""
    status: Literal["open", "filled", "canceled", "rejected", "expired", "not_found"]
    as_of_exec_seq: Count
    quantity: Decimal | None = None
    price: Decimal | None = None
    cum_qty: Decimal | None = None
    never_seen: bool = False
    req_id: MaybeName = ""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An open order in the list."""

    client_order_id: ClientId
    order_id: MaybeName = ""
    symbol: Name
    side: Side
    quantity: Decimal
    price: Decimal
    cum_qty: Decimal


class WireOpenOrders(Frame, frozen=True, kw_only=True, tag="open_orders"):
    as_of_exec_seq: Count
    orders: list[Row]
    complete: bool
    req_id: MaybeName = ""


class WireReplayDone(Frame, frozen=True, kw_only=True, tag="replay_done"):
    to_exec_seq: Count
    complete: bool = True
    """False: older executions were asked for than the venue keeps."""
    req_id: MaybeName = ""


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    ccy: Name
    total: Decimal


class PositionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    symbol: Name
    qty: Decimal


class WireAccount(Frame, frozen=True, kw_only=True, tag="account"):
    as_of_exec_seq: Count
    balances: list[BalanceRow]
    positions: list[PositionRow]
    req_id: MaybeName = ""


class WireBust(Frame, frozen=True, kw_only=True, tag="trade_bust"):
    exec_seq: ExecSeq
    trade_id: Name
    qty: Decimal = "0"
    price: Decimal | None = None
    symbol: MaybeName = ""
    replayed: bool = False


class WireCorrect(Frame, frozen=True, kw_only=True, tag="trade_correct"):
    exec_seq: ExecSeq
    trade_id: Name
    qty: Decimal
    price: Decimal | None = None
    symbol: MaybeName = ""
    replayed: bool = False


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    id: int | Name
    server_ts_ns: Nanoseconds | None = None


class Pong(Frame, frozen=True, kw_only=True, tag="pong"):
    id: int | Name
    server_ts_ns: Nanoseconds


class EpochEnded(Frame, frozen=True, kw_only=True, tag="epoch_ended"):
    session_epoch: Count
    reason: Name


class CodAck(Frame, frozen=True, kw_only=True, tag="cod_ack"):
    pass


class DeadmanAck(Frame, frozen=True, kw_only=True, tag="deadman_ack"):
    deadline_ns: Count | None = None
    """None: disarmed."""


class WireError(Frame, frozen=True, kw_only=True, tag="error"):
    code: Name
    req_id: MaybeName = ""
    fatal: bool = False


class WireInstrument(Frame, frozen=True, kw_only=True, tag="instrument"):
    symbol: Name
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal
    max_qty: Decimal
    price_band_bps: Count
    maker_fee_ppm: int
    taker_fee_ppm: Count
    quote_atoms_per_tick_lot: ExecSeq
    status: TradingStatus = TradingStatus.TRADING


class WireStatus(Frame, frozen=True, kw_only=True, tag="status"):
    status: TradingStatus
    symbol: MaybeName = ""
    from_ns: Nanoseconds | None = None


class Drain(Frame, frozen=True, kw_only=True, tag="drain"):
    in_ms: Count = 0


Inbound = (
    Hello
    | Subscribed
    | Unsubscribed
    | Tick
    | WireSnapshot
    | WireDelta
    | Trade
    | WireFill
    | WireReject
    | WireAck
    | WireCanceled
    | WireCancelReject
    | WireAmended
    | WireAmendReject
    | WireFenceDone
    | WireOrderState
    | WireOpenOrders
    | WireReplayDone
    | WireAccount
    | WireBust
    | WireCorrect
    | Ping
    | Pong
    | EpochEnded
    | CodAck
    | DeadmanAck
    | WireError
    | WireInstrument
    | WireStatus
    | Drain
)
