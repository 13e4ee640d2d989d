"""Instruments, fills and books as the tests of the accounts need them."""

from __future__ import annotations

from typing import Any

from agent.core.accounts.accounts import Accounts
from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot
from agent.core.events.orders import Fill, Flow, TradeBusted
from agent.core.instruments import Instrument, Side, Step
from agent.core.market import Book

SECOND_NS = 1_000_000_000
SYMBOL = "X-Q"


def instrument(
    symbol: str = SYMBOL, *, tick_value_atoms: int = 1, base: str = "base", quote: str = "quote"
) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Step(1, 2),
        lot=Step(1, 3),
        tick_value_atoms=tick_value_atoms,
        quote_digits=8,
        min_lots=1,
        max_lots=10**30,
        min_notional_atoms=0,
        price_band_bps=0,
        maker_fee_ppm=0,
        taker_fee_ppm=0,
    )


def accounts(tick_value_atoms: int = 1, *symbols: str) -> Accounts:
    """Books in `quote` for one or more instruments of base `base` (or a base per symbol, where there are several)."""
    books = Accounts(currency="quote")
    if not symbols:
        books.define(instrument(tick_value_atoms=tick_value_atoms))
    for symbol in symbols:
        books.define(instrument(symbol, tick_value_atoms=tick_value_atoms, base=f"base {symbol}"))
    return books


def stamp(at_ns: int = 0, wall_ns: int | None = None) -> Stamp:
    return Stamp(0, at_ns, at_ns if wall_ns is None else wall_ns)


def fill(side: str, lots: int, price_ticks: int, trade_id: str, **fields: Any) -> Fill:
    values: dict[str, Any] = {
        "exec_seq": 0,
        "symbol": SYMBOL,
        "client_order_id": "c",
        "order_id": "o",
        "is_maker": False,
        "fee": 0,
        "fee_currency": "quote",
        "cum_lots": lots,
        "leaves_lots": 0,
        "epoch": 1,
    }
    return Fill(side=Side(side), lots=lots, price_ticks=price_ticks, trade_id=trade_id, **(values | fields))


def bust(trade_id: str, lots: int = 0, price_ticks: int | None = None) -> TradeBusted:
    return TradeBusted(exec_seq=10**6, trade_id=trade_id, lots=lots, price_ticks=price_ticks, epoch=1)


def flow(atoms: int, flow_id: str, *, kind: Any = "deposit", currency: str = "quote", symbol: str = "") -> Flow:
    return Flow(kind=kind, currency=currency, atoms=atoms, flow_id=flow_id, symbol=symbol)


def book(bid: int, ask: int, at_ns: int = 0, *, symbol: str = SYMBOL, lots: int = 1_000) -> Book:
    made = Book(symbol)
    snapshot = BookSnapshot(symbol=symbol, book_seq=1, bids=((bid, lots),), asks=((ask, lots),), exchange_ns=at_ns)
    made.apply_snapshot(snapshot, stamp(at_ns))
    return made


def show_market(books: Accounts, bid: int, ask: int, at_ns: int = 0, *, symbol: str = SYMBOL) -> None:
    books.on_book(book(bid, ask, at_ns, symbol=symbol), at_ns)
