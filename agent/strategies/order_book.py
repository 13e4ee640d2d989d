"""What a strategy on an order book sees, and what it may ask for. It holds no clock: time comes with what it sees.

A strategy is one class with three methods, called for each change of its symbols' books, trades of others, and its own
fills. It answers with intents; the checks decide what becomes of them, and what did is in the next view. It never
counts on an order it asked for. Nothing else of the symbol trades: the position in the view is taken to be its own.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from agent.core.events.control import StrategyAlive
from agent.core.events.market import TradePrint
from agent.core.events.orders import AmendRequested, CancelRequested, Fill, PlaceRequested
from agent.core.instruments import Instrument, OrderType, Side
from agent.core.market import Book

Intent = PlaceRequested | CancelRequested | AmendRequested | StrategyAlive

PULSE_NS = 1_000_000_000


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order of the strategy that may still fill."""

    client_order_id: str
    side: Side
    price_ticks: int
    leaves_lots: int
    cum_lots: int = 0
    is_settled: bool = True
    """Nothing is under way for it: it rests, and may be amended or cancelled."""


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol at one event. `book` is the core's own: it is read, never written, and goes on with the market."""

    instrument: Instrument
    book: Book
    position_lots: int
    orders: tuple[OwnOrder, ...]
    seq: int
    """Journal sequence of the event: what is decided is decided on it."""
    now_ns: int
    """Monotonic."""


class OrderBookStrategy(Protocol):
    """What the engine calls. A strategy is driven by one thread, in the order of events."""

    @property
    def symbols(self) -> tuple[str, ...]: ...

    def on_book(self, view: MarketView) -> list[Intent]: ...

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]: ...

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]: ...


class Pulse(msgspec.Struct):
    """The strategy's sign of life, once a second: it says that the view with its orders and position was read."""

    strategy: str
    last_ns: int | None = None

    def beat(self, now_ns: int) -> list[Intent]:
        if self.last_ns is not None and now_ns - self.last_ns < PULSE_NS:
            return []
        self.last_ns = now_ns
        return [StrategyAlive(self.strategy)]


def take(strategy: str, view: MarketView, side: Side, lots: int, *, is_reduce_only: bool = False) -> PlaceRequested:
    """Take up to `lots` at the touch and nothing behind it; what is not there is not waited for."""
    return PlaceRequested(
        strategy=strategy,
        symbol=view.instrument.symbol,
        side=side,
        order_type=OrderType.IOC,
        lots=lots,
        price_ticks=view.book.touch_ticks(side),
        is_reduce_only=is_reduce_only,
        decided_seq=view.seq,
    )


def close(strategy: str, view: MarketView) -> list[Intent]:
    """Take the whole position back to nothing, in pieces the venue takes."""
    lots = min(abs(view.position_lots), view.instrument.max_lots)
    if lots < view.instrument.min_lots:
        return []
    return [take(strategy, view, Side.SELL if view.position_lots > 0 else Side.BUY, lots, is_reduce_only=True)]
