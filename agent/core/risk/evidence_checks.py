"""Rows 3 to 9 of the pre-trade checks: is what is known good enough to act on? No order is above these."""

from __future__ import annotations

from agent.core.codes import Code
from agent.core.instruments import OrderType, Side, TradingStatus
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import Exposure

Refusal = tuple[Code, str]


def session(view: CheckView, exposure: Exposure) -> Refusal | None:
    """3. A live session of a venue that acknowledges."""
    if not view.is_live:
        return Code.NOT_LIVE, "session"
    if not view.is_epoch_current:
        return Code.STALE_EPOCH, "session replaced"
    if not view.is_acknowledging:
        return Code.VENUE_UNACKED, "article mode"
    return None


def journal(view: CheckView, exposure: Exposure) -> Refusal | None:
    """4. A journal that can take the order."""
    return (Code.JOURNAL_UNHEALTHY, view.journal_problem) if view.journal_problem else None


def instrument(view: CheckView, exposure: Exposure) -> Refusal | None:
    """5. An instrument that may be traded, by the venue and by us."""
    found = view.instrument
    if found is None:
        return Code.UNKNOWN_INSTRUMENT, view.order.symbol
    status = found.status
    if status is not TradingStatus.TRADING:
        if status is not TradingStatus.POST_ONLY or view.order.order_type is not OrderType.POST_ONLY:
            return Code.NOT_TRADING, status
    return None if view.is_whitelisted else (Code.NOT_WHITELISTED, view.order.symbol)


def fence(view: CheckView, exposure: Exposure) -> Refusal | None:
    """6. No order of the symbol whose fate is unknown."""
    return (Code.SYMBOL_FENCED, view.order.symbol) if view.is_fenced else None


def fields(view: CheckView, exposure: Exposure) -> Refusal | None:
    """7. Fields of their kind, on the grid, within what the venue takes."""
    order, found = view.order, view.instrument
    assert found is not None
    lots, price_ticks = order.lots, order.price_ticks
    if type(lots) is not int or type(price_ticks) is not int:
        return Code.BAD_FIELD, f"{lots!r} lots at {price_ticks!r} ticks"
    if type(order.side) is not Side or type(order.order_type) is not OrderType:
        return Code.BAD_FIELD, f"side {order.side!r}, type {order.order_type!r}"
    if price_ticks < 1:
        return Code.BAD_TICK, f"{price_ticks} ticks"
    if lots < 1:
        return Code.BAD_LOT, f"{lots} lots"
    if not found.min_lots <= lots <= found.max_lots:
        return Code.QTY_RANGE, f"{lots} lots of {found.min_lots} to {found.max_lots}"
    return None if exposure.is_reducing else notional_too_small(view)


def notional_too_small(view: CheckView) -> Refusal | None:
    """Of row 7: the venue's least value. A reducing order is only warned of it."""
    order, found = view.order, view.instrument
    assert found is not None
    notional_atoms = order.lots * order.price_ticks * found.tick_value_atoms
    if notional_atoms < found.min_notional_atoms:
        return Code.MIN_NOTIONAL, f"{notional_atoms} of at least {found.min_notional_atoms} atoms"
    return None


def market_data(view: CheckView, exposure: Exposure) -> Refusal | None:
    """8. A book that is whole, young and not crossed, and a fresh mark."""
    book, profile = view.book, view.profile
    if book is None or not book.is_valid or not book.best_bid_ticks or not book.best_ask_ticks:
        return Code.STALE_DATA, "no book" if book is None else book.stale_reason or "one side of the book is empty"
    age_ns = view.now_ns - book.arrival_ns
    if age_ns > profile.max_book_age_ns:
        return Code.STALE_DATA, f"book {age_ns} ns old of {profile.max_book_age_ns}"
    if book.best_bid_ticks >= book.best_ask_ticks:
        return Code.CROSSED_BOOK, f"bid {book.best_bid_ticks}, ask {book.best_ask_ticks}"
    mark_age_ns, limit_ns = view.mark_age_ns, view.account.max_mark_age_ns
    if mark_age_ns is None or mark_age_ns > limit_ns or view.mark_ticks < 1:
        return Code.STALE_DATA, f"mark {view.mark_ticks}, {mark_age_ns} ns old of {limit_ns}"
    return None


def decision(view: CheckView, exposure: Exposure) -> Refusal | None:
    """9. A wish that still stands, decided just now."""
    if view.expires_ns is not None and view.now_ns >= view.expires_ns:
        return Code.EXPIRED, f"{view.now_ns - view.expires_ns} ns ago"
    if view.decided_ns is None or view.now_ns - view.decided_ns > view.profile.max_decision_age_ns:
        return Code.DECISION_STALE, f"decided at {view.decided_ns}, now {view.now_ns} ns"
    return None
