"""Views of an order book, as the engine would hand them to a strategy."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot, Level, TradePrint
from agent.core.events.orders import Fill
from agent.core.instruments import Instrument, Side, Step
from agent.core.market import Book
from agent.strategies.order_book import MarketView, OwnOrder

S = 1_000_000_000
INSTRUMENT = Instrument(
    symbol="BTC-USDC",
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 4),
    tick_value_atoms=100,
    quote_digits=6,
    min_lots=1,
    max_lots=1_000,
    min_notional_atoms=0,
    price_band_bps=0,
    maker_fee_ppm=-100,
    taker_fee_ppm=500,
)
GOOD_BIDS: tuple[Level, ...] = ((9_999, 50),)
GOOD_ASKS: tuple[Level, ...] = ((10_001, 50),)


def a_view(
    now_ns: int,
    bids: tuple[Level, ...] = GOOD_BIDS,
    asks: tuple[Level, ...] = GOOD_ASKS,
    *,
    symbol: str = "BTC-USDC",
    position: int = 0,
    orders: tuple[OwnOrder, ...] = (),
    arrival_ns: int | None = None,
    **instrument: Any,
) -> MarketView:
    book = Book(symbol)
    arrival_ns = now_ns if arrival_ns is None else arrival_ns
    book.apply_snapshot(
        BookSnapshot(symbol=symbol, book_seq=1, bids=bids, asks=asks, exchange_ns=0), Stamp(1, arrival_ns, arrival_ns)
    )
    return MarketView(
        instrument=msgspec.structs.replace(INSTRUMENT, symbol=symbol, **instrument),
        book=book,
        position_lots=position,
        orders=orders,
        seq=now_ns,
        now_ns=now_ns,
    )


def an_order(side: Side, price: int, lots: int, **changes: Any) -> OwnOrder:
    return OwnOrder(client_order_id=f"{side}{price}", side=side, price_ticks=price, leaves_lots=lots, **changes)


def a_trade(aggressor: Side, lots: int) -> TradePrint:
    return TradePrint(
        symbol="BTC-USDC", trade_id="t", price_ticks=10_000, lots=lots, aggressor=aggressor, exchange_ns=0
    )


def a_fill(side: Side, lots: int, symbol: str = "BTC-USDC") -> Fill:
    return Fill(
        exec_seq=1,
        symbol=symbol,
        client_order_id="c",
        order_id="o",
        trade_id="t",
        side=side,
        lots=lots,
        price_ticks=10_000,
        is_maker=True,
        fee=0,
        fee_currency="USDC",
        cum_lots=lots,
        leaves_lots=0,
        epoch=1,
    )
