"""What comes into the core from a venue's public side. Prices in ticks, quantities in lots, times in nanoseconds."""

from __future__ import annotations

import msgspec

from agent.core.instruments import Instrument, Side

Level = tuple[int, int]
"""Price in ticks, quantity in lots."""


class InstrumentDefined(msgspec.Struct, frozen=True, tag="instrument", gc=False):
    """A market's grid, limits, fees and state; a later one replaces it."""

    instrument: Instrument


class MarketTick(msgspec.Struct, frozen=True, tag="tick", kw_only=True, gc=False):
    """The last trade's price, and the venue's mark where it has one."""

    symbol: str
    price_ticks: int
    mark_ticks: int | None = None
    exchange_ns: int


class BookSnapshot(msgspec.Struct, frozen=True, tag="book", kw_only=True, gc=False):
    """A whole book, best levels first; it replaces what was there."""

    symbol: str
    book_seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    exchange_ns: int


class BookDelta(msgspec.Struct, frozen=True, tag="book_delta", kw_only=True, gc=False):
    """Levels that changed, with their new absolute quantity; 0 removes. Sequence and check sum hold already."""

    symbol: str
    book_seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    exchange_ns: int


class BookStale(msgspec.Struct, frozen=True, tag="book_stale", gc=False):
    """The book of a symbol (of every symbol, where empty) cannot be trusted until its next snapshot."""

    symbol: str
    reason: str


class TradePrint(msgspec.Struct, frozen=True, tag="trade", kw_only=True, gc=False):
    """A trade between others, with the side that took."""

    symbol: str
    trade_id: str
    price_ticks: int
    lots: int
    aggressor: Side
    exchange_ns: int


class SignalIn(msgspec.Struct, frozen=True, tag="signal", kw_only=True, gc=False):
    """What the slow path wishes: a bounded number, never a text. Admission checks it (trading-core 3.2).

    `limit_ticks`: a buy never pays more, a sell never takes less.
    """

    signal_id: str
    """32 hex digits, chosen by the producer; a second one with the same id is ignored."""
    producer: str
    symbol: str
    side: Side
    lots: int
    limit_ticks: int
    urgency: int
    """1 (patient) to 10 (at once)."""
    valid_from_ns: int
    expires_ns: int
    max_slippage_ppm: int
    position_target_lots: int | None = None
    model_hash: str = ""
    input_seq: int = 0
    """Journal sequence of the market event it was computed from."""
    is_authentic: bool = False
    """The shell verified the producer's code over it."""
    problem: str = ""
    """Why the shell could not read what came, in words of its own; then every other field is made up."""


MarketEvent = InstrumentDefined | MarketTick | BookSnapshot | BookDelta | BookStale | TradePrint | SignalIn
