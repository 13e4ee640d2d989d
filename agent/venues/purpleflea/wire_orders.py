"""What the venue says of our orders, account and questions: inbound frames as typed structs."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.instruments import Side
from agent.venues.purpleflea.wire_types import (
    ClientId,
    Count,
    Decimal,
    ExecSeq,
    Frame,
    MaybeName,
    Microseconds,
    Name,
    Retry,
)


class RateState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is left of the limits until `reset_ns`."""

    orders_left: Count | None = None
    cancels_left: Count | None = None
    reset_ns: Count | None = None


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
    canceled: tuple[ClientId, ...] = ()
    failed: tuple[Failed, ...] = ()
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
