"""The checks before every order, in their order; the first that fails is the reason.

Theory of operation. Rows 1 and 2 ask whether anything may go out, rows 3 to 9 whether what is known is good enough to
act on, rows 10 to 20 whether this order keeps its limits. Row 21, the tokens of the order rate, is the caller's,
because an order that lacks one waits. `check` runs when an order is decided and again when it leaves the queue.

A *reducing* order, on the other side than the position and not larger than what of it is left by what waits on that
side already, passes every limit of size, exposure and loss: a limit must never keep a position from being closed. It
passes no check of evidence, since closing on a wrong book is no protection. Cancels come here not at all.

What is missing denies: no book, no mark, no pulse, no last trade. A missing balance is zero.

The set of checks follows what regulators ask of market access: thresholds set ahead for credit, price and size, order
by order and over a short time, and for orders that look like duplicates (SEC rule 15c3-5 (c)(1)), and a collar, value,
volume and repeated-execution limits (EU 2017/589, articles 15 and 16).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.codes import Code
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import Instrument, OrderType, Side, TradingStatus
from agent.core.market import Book
from agent.core.risk.check_limits import PPM, CheckLimits

Refusal = tuple[Code, str]

_PPM2 = PPM * PPM
_BPS_TO_PPM = 100
_TAKING = (OrderType.MARKET, OrderType.IOC, OrderType.FOK)


class CheckView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that is known when an order is judged. A price of 0 is no price; times are monotonic.

    For an amend: the order with its new price and what it would leave open, and the reservations without it.
    """

    limits: CheckLimits
    order: PlaceRequested
    now_ns: int
    decided_ns: int | None
    """When the event came on which it was decided."""
    expires_ns: int | None = None
    """When the signal it serves ends; None where it serves none."""

    is_latched: bool
    guard_age_ns: int | None
    """Since the guard's last pulse; None without a guard."""
    increasing_refused: Code | None
    """What the breakers answer to an order that does not reduce: HALTED, PAUSED, REDUCE_ONLY or nothing."""
    is_limit_only: bool
    size_ppm: int = PPM
    """The share of order and position limits that a drawdown leaves."""

    is_live: bool
    is_epoch_current: bool
    is_acknowledging: bool
    is_journal_healthy: bool
    instrument: Instrument | None
    is_whitelisted: bool
    is_fenced: bool

    book: Book | None
    mark_ticks: int
    mark_age_ns: int | None
    duplicates: int
    """Equal orders let out within the window, this one not counted."""

    position_lots: int
    reserved_buy_lots: int
    """Of live orders, of those whose fate is unknown, and of fills owed."""
    reserved_sell_lots: int
    own_highest_bid_ticks: int
    own_lowest_ask_ticks: int
    gross_others_atoms: int
    """Worst positions of all other symbols, each the larger of its two sides."""
    net_long_others_atoms: int
    """All other symbols' positions if every buy order filled and no sell order, a short one negative."""
    net_short_others_atoms: int
    """The same with every sell order filled and no buy order."""
    gap_others_atoms: int
    """What the worst positions of all other symbols would lose by their gaps."""

    quote_free_atoms: int
    """Balance less what orders reserve."""
    base_free_lots: int | None
    """The same of what is sold; None where the account may sell what it does not hold."""
    nav_ref_atoms: int
    """The smaller of NAV now and NAV at the start of the day with flows: limits never grow by a day's profit."""
    day_loss_atoms: int
    day_start_atoms: int
    """NAV at the start of the day, less withdrawals."""
    open_symbol: int
    open_total: int
    day_notional_atoms: int
    day_orders: int
    repeats: int
    """Entries of this strategy on this side since it last gave a sign of life."""


def check(view: CheckView) -> Refusal | None:
    """The first reason against the order, or None."""
    reducing = is_reducing(view)
    for row in CHECKS:
        refusal = row(view, reducing)
        if refusal is not None:
            return refusal
    return None


def is_reducing(view: CheckView) -> bool:
    """Whether the order can only bring the position nearer to nothing, whatever else of its side fills first."""
    if view.order.side is Side.BUY:
        return view.order.lots <= -view.position_lots - view.reserved_buy_lots
    return view.order.lots <= view.position_lots - view.reserved_sell_lots


def warning(view: CheckView) -> Refusal | None:
    """What is worth telling of an order that passed: a reducing one below the venue's minimum, which may refuse it."""
    return _notional_too_small(view) if is_reducing(view) else None


def _alive(view: CheckView, reducing: bool) -> Refusal | None:
    """1. No latch, and a guard that lives."""
    if view.is_latched:
        return Code.KILLED, "latched"
    age_ns, limit_ns = view.guard_age_ns, view.limits.max_guard_age_ns
    if age_ns is None:
        return Code.GUARD_LOST, "no guard"
    if age_ns > limit_ns and (not reducing or age_ns > 2 * limit_ns):
        return Code.GUARD_LOST, f"pulse {age_ns} ns old of {limit_ns}"
    return None


def _mode(view: CheckView, reducing: bool) -> Refusal | None:
    """2. What the breakers let out."""
    if reducing:
        return None
    if view.increasing_refused is not None:
        return view.increasing_refused, "only reducing orders go out"
    if view.order.is_reduce_only:
        return Code.REDUCE_ONLY, f"{view.order.lots} lots would not reduce a position of {view.position_lots}"
    if view.is_limit_only and view.order.order_type in _TAKING:
        return Code.LIMIT_ONLY, view.order.order_type
    return None


def _session(view: CheckView, reducing: bool) -> Refusal | None:
    """3. A live session of a venue that acknowledges."""
    if not view.is_live:
        return Code.NOT_LIVE, "session"
    if not view.is_epoch_current:
        return Code.STALE_EPOCH, "session replaced"
    if not view.is_acknowledging:
        return Code.VENUE_UNACKED, "article mode"
    return None


def _journal(view: CheckView, reducing: bool) -> Refusal | None:
    """4. A journal that can take the order."""
    return None if view.is_journal_healthy else (Code.JOURNAL_UNHEALTHY, "journal")


def _instrument(view: CheckView, reducing: bool) -> Refusal | None:
    """5. An instrument that may be traded, by the venue and by us."""
    instrument = view.instrument
    if instrument is None:
        return Code.UNKNOWN_INSTRUMENT, view.order.symbol
    status = instrument.status
    if status is not TradingStatus.TRADING:
        if status is not TradingStatus.POST_ONLY or view.order.order_type is not OrderType.POST_ONLY:
            return Code.NOT_TRADING, status
    return None if view.is_whitelisted else (Code.NOT_WHITELISTED, view.order.symbol)


def _fence(view: CheckView, reducing: bool) -> Refusal | None:
    """6. No order of the symbol whose fate is unknown."""
    return (Code.SYMBOL_FENCED, view.order.symbol) if view.is_fenced else None


def _fields(view: CheckView, reducing: bool) -> Refusal | None:
    """7. Fields of their kind, on the grid, within what the venue takes."""
    order, instrument = view.order, view.instrument
    assert instrument is not None
    lots, price_ticks = order.lots, order.price_ticks
    if type(lots) is not int or type(price_ticks) is not int:
        return Code.BAD_FIELD, f"{lots!r} lots at {price_ticks!r} ticks"
    if type(order.side) is not Side or type(order.order_type) is not OrderType:
        return Code.BAD_FIELD, f"side {order.side!r}, type {order.order_type!r}"
    if price_ticks < 1:
        return Code.BAD_TICK, f"{price_ticks} ticks"
    if lots < 1:
        return Code.BAD_LOT, f"{lots} lots"
    if not instrument.min_lots <= lots <= instrument.max_lots:
        return Code.QTY_RANGE, f"{lots} lots of {instrument.min_lots} to {instrument.max_lots}"
    return None if reducing else _notional_too_small(view)


def _notional_too_small(view: CheckView) -> Refusal | None:
    instrument = view.instrument
    assert instrument is not None
    notional_atoms = view.order.lots * view.order.price_ticks * instrument.tick_value_atoms
    if notional_atoms < instrument.min_notional_atoms:
        return Code.MIN_NOTIONAL, f"{notional_atoms} of at least {instrument.min_notional_atoms} atoms"
    return None


def _market_data(view: CheckView, reducing: bool) -> Refusal | None:
    """8. A book that is whole, young and not crossed, and a fresh mark."""
    book = view.book
    if book is None or not book.is_valid or not book.best_bid_ticks or not book.best_ask_ticks:
        return Code.STALE_DATA, "no book" if book is None else f"book: {book.stale_reason or 'one side is empty'}"
    age_ns = view.now_ns - book.arrival_ns
    if age_ns > view.limits.max_book_age_ns:
        return Code.STALE_DATA, f"book {age_ns} ns old of {view.limits.max_book_age_ns}"
    if book.best_bid_ticks >= book.best_ask_ticks:
        return Code.CROSSED_BOOK, f"bid {book.best_bid_ticks}, ask {book.best_ask_ticks}"
    if view.mark_age_ns is None or view.mark_ticks < 1 or view.mark_age_ns > view.limits.max_mark_age_ns:
        return Code.STALE_DATA, f"mark {view.mark_ticks}, {view.mark_age_ns} ns old of {view.limits.max_mark_age_ns}"
    return None


def _decision(view: CheckView, reducing: bool) -> Refusal | None:
    """9. A wish that still stands, decided just now."""
    if view.expires_ns is not None and view.now_ns >= view.expires_ns:
        return Code.EXPIRED, f"{view.now_ns - view.expires_ns} ns ago"
    if view.decided_ns is None or view.now_ns - view.decided_ns > view.limits.max_decision_age_ns:
        return Code.DECISION_STALE, f"decided at {view.decided_ns}, now {view.now_ns} ns"
    return None


def _duplicate(view: CheckView, reducing: bool) -> Refusal | None:
    """10. Not the same again and again."""
    if view.duplicates >= view.limits.max_duplicates:
        return Code.DUPLICATE_INTENT, f"{view.duplicates} the same just now"
    return None


def _collar(view: CheckView, reducing: bool) -> Refusal | None:
    """11. A price near the middle, the last trade and the touch, and within the venue's band."""
    book, instrument, price_ticks, collar_ppm = (
        view.book,
        view.instrument,
        view.order.price_ticks,
        view.limits.collar_ppm,
    )
    assert book is not None and instrument is not None
    bid_ticks, ask_ticks, last_ticks = book.best_bid_ticks, book.best_ask_ticks, book.last_trade_ticks
    if (
        abs(2 * price_ticks - bid_ticks - ask_ticks) * PPM > collar_ppm * (bid_ticks + ask_ticks)
        # Without a last trade this is always so.
        or abs(price_ticks - last_ticks) * PPM > collar_ppm * last_ticks
        or (
            (price_ticks - ask_ticks) * PPM > collar_ppm * ask_ticks
            if view.order.side is Side.BUY
            else (bid_ticks - price_ticks) * PPM > collar_ppm * bid_ticks
        )
    ):
        return Code.PRICE_COLLAR, f"{price_ticks} at touch {bid_ticks}/{ask_ticks}, last trade {last_ticks} ticks"
    band_ppm = instrument.price_band_bps * _BPS_TO_PPM
    if band_ppm and abs(price_ticks - view.mark_ticks) * PPM > band_ppm * view.mark_ticks:
        return Code.PRICE_COLLAR, f"{price_ticks} outside the venue's band around {view.mark_ticks} ticks"
    return None


def _size(view: CheckView, reducing: bool) -> Refusal | None:
    """12. One order's quantity and value."""
    if reducing:
        return None
    limits, lots = view.limits, view.order.lots
    if lots * PPM > limits.max_order_lots * view.size_ppm:
        return Code.MAX_ORDER_QTY, f"{lots} of {limits.max_order_lots} lots, {view.size_ppm} ppm of them left"
    value_atoms = _order_value_atoms(view)
    if value_atoms * limits.orders_per_position * _PPM2 > _position_limit(view):
        return Code.MAX_ORDER_NOTIONAL, f"{value_atoms} atoms, NAV {view.nav_ref_atoms}"
    return None


def _crossing(view: CheckView, reducing: bool) -> Refusal | None:
    """13. Post-only does not take, and nothing takes what is ours."""
    order, book = view.order, view.book
    assert book is not None
    price_ticks = order.price_ticks
    if order.side is Side.BUY:
        if order.order_type is OrderType.POST_ONLY and price_ticks >= book.best_ask_ticks:
            return Code.WOULD_CROSS, f"{price_ticks} at ask {book.best_ask_ticks}"
        if 0 < view.own_lowest_ask_ticks <= price_ticks:
            return Code.SELF_TRADE, f"{price_ticks} at own ask {view.own_lowest_ask_ticks}"
        return None
    if order.order_type is OrderType.POST_ONLY and price_ticks <= book.best_bid_ticks:
        return Code.WOULD_CROSS, f"{price_ticks} at bid {book.best_bid_ticks}"
    if view.own_highest_bid_ticks >= price_ticks:
        return Code.SELF_TRADE, f"{price_ticks} at own bid {view.own_highest_bid_ticks}"
    return None


def _exposure(view: CheckView, reducing: bool) -> Refusal | None:
    """14, 15, 17. The worst that can become of it: for the symbol, over all, and by a jump of prices."""
    if reducing:
        return None
    limits, order, instrument = view.limits, view.order, view.instrument
    assert instrument is not None
    mark_atoms = view.mark_ticks * instrument.tick_value_atoms
    buy_atoms = max(view.mark_ticks, view.own_highest_bid_ticks) * instrument.tick_value_atoms
    long_lots = view.position_lots + view.reserved_buy_lots
    short_lots = view.position_lots - view.reserved_sell_lots
    if order.side is Side.BUY:
        buy_atoms = max(buy_atoms, order.price_ticks * instrument.tick_value_atoms)
        long_lots += order.lots
        worst_atoms = max(0, long_lots) * buy_atoms
        net_atoms = view.net_long_others_atoms + long_lots * (buy_atoms if long_lots > 0 else mark_atoms)
        gross_atoms = view.gross_others_atoms + max(worst_atoms, -short_lots * mark_atoms)
    else:
        short_lots -= order.lots
        worst_atoms = max(0, -short_lots) * mark_atoms
        net_atoms = -view.net_short_others_atoms - short_lots * mark_atoms
        gross_atoms = view.gross_others_atoms + max(worst_atoms, long_lots * buy_atoms)
    limit = _position_limit(view)
    if worst_atoms * _PPM2 > limit:
        return Code.MAX_POSITION, f"{worst_atoms} atoms, NAV {view.nav_ref_atoms}"
    if gross_atoms * _PPM2 > limits.max_gross_positions * limit:
        return Code.MAX_GROSS, f"{gross_atoms} atoms, NAV {view.nav_ref_atoms}"
    if net_atoms * _PPM2 > limits.max_net_positions * limit:
        return Code.MAX_NET, f"{net_atoms} atoms, NAV {view.nav_ref_atoms}"
    return None
