"""What the venue says: every inbound frame as a typed struct, decoded in one pass.

Fields that we do not use are not listed, so they are never built; a `text` of the venue in particular is read by nobody.
Decimals stay text here: what they are in ticks and lots depends on the instrument (`decimals`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from agent.core.instruments import Side, TradingStatus
from agent.venues.purpleflea.wire_orders import (
    WireAccount,
    WireAck,
    WireAmended,
    WireAmendReject,
    WireBust,
    WireCanceled,
    WireCancelReject,
    WireCorrect,
    WireFenceDone,
    WireFill,
    WireOpenOrders,
    WireOrderState,
    WireReject,
    WireReplayDone,
)
from agent.venues.purpleflea.wire_types import (
    Count,
    Decimal,
    ExecSeq,
    Frame,
    MaybeName,
    Microseconds,
    Name,
    Nanoseconds,
    WireLevel,
)


class Limits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    orders_per_s: Count
    cancels_per_s: Count
    max_open: Count
    max_frame: Count = 1 << 20


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    protocol: Name
    session_epoch: Count
    server_ts_ns: Nanoseconds
    heartbeat_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    limits: Limits
    features: tuple[Name, ...] = ()
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
