"""A view on which every check passes with room, to change one thing at a time."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import Instrument, OrderType, Side, Step
from agent.core.market import Book
from agent.core.risk.check_view import AccountLimits, CheckView
from agent.core.risk.modes import ACTIVE
from agent.core.risk.profiles import STANDARD

NOW_NS = 10_000_000_000
SYMBOL = "BTC-USDC"
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 4),
    tick_value_atoms=1,
    quote_digits=6,
    min_lots=2,
    max_lots=1_000,
    min_notional_atoms=9_000,
    price_band_bps=0,
    maker_fee_ppm=-100,
    taker_fee_ppm=500,
)
ORDER = PlaceRequested(
    strategy="maker", symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=10, price_ticks=10_000
)


def a_book(bid: int = 9_999, ask: int = 10_001, *, arrival_ns: int = NOW_NS, last: int = 10_000) -> Book:
    book = Book(SYMBOL)
    levels = {"bids": ((bid, 50),) if bid else (), "asks": ((ask, 50),) if ask else ()}
    book.apply_snapshot(
        BookSnapshot(symbol=SYMBOL, book_seq=1, exchange_ns=0, **levels), Stamp(1, arrival_ns, arrival_ns)
    )
    book.last_trade_ticks = last
    return book


def a_stale_book() -> Book:
    book = a_book()
    book.mark_stale("a gap")
    return book


PASSING = CheckView(
    order=ORDER,
    profile=STANDARD,
    account=AccountLimits(max_order_lots=500),
    now_ns=NOW_NS,
    decided_ns=NOW_NS,
    expires_ns=NOW_NS + 1,
    is_latched=False,
    guard_age_ns=0,
    mode=ACTIVE,
    is_live=True,
    is_epoch_current=True,
    is_acknowledging=True,
    journal_problem="",
    instrument=INSTRUMENT,
    is_whitelisted=True,
    is_fenced=False,
    book=a_book(),
    mark_ticks=10_000,
    mark_age_ns=0,
    duplicates=0,
    position_lots=0,
    reserved_buy_lots=0,
    reserved_sell_lots=0,
    own_highest_bid_ticks=0,
    own_lowest_ask_ticks=0,
    gross_others_atoms=0,
    net_long_others_atoms=0,
    net_short_others_atoms=0,
    quote_free_atoms=10**12,
    base_free_lots=None,
    nav_ref_atoms=10**9,
    day_loss_atoms=0,
    day_start_atoms=10**9,
    open_symbol=0,
    open_total=0,
    day_notional_atoms=0,
    day_orders=0,
    repeats=0,
)
IN_ORDER = frozenset(PlaceRequested.__struct_fields__)
IN_INSTRUMENT = frozenset(
    {"min_lots", "max_lots", "min_notional_atoms", "price_band_bps", "status", "maker_fee_ppm", "taker_fee_ppm"}
)
IN_ACCOUNT = frozenset(AccountLimits.__struct_fields__)


def changed(view: CheckView = PASSING, **changes: Any) -> CheckView:
    """The view with these fields changed, those of its order, instrument and account limits by their own names."""
    parts: dict[str, Any] = {}
    for part, names in (("order", IN_ORDER), ("instrument", IN_INSTRUMENT), ("account", IN_ACCOUNT)):
        inside = {name: changes.pop(name) for name in names & changes.keys()}
        if inside:
            parts[part] = msgspec.structs.replace(getattr(view, part), **inside)
    return msgspec.structs.replace(view, **parts, **changes)
