"""Rows 10 to 20 of the pre-trade checks: does the order keep its limits?

Values are compared by multiplying out, never divided: a limit of so many ppm of a NAV has no rounding. The value of
an order is that at its limit, or at the mark where that is more, since a sale's limit bounds it from below alone.
"""

from __future__ import annotations

from agent.core.codes import Code
from agent.core.instruments import OrderType, Side
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import Exposure
from agent.core.risk.profiles import PPM

_BUY = Side.BUY
_POST_ONLY = OrderType.POST_ONLY
_SELL = Side.SELL

Refusal = tuple[Code, str]

_PPM2 = PPM * PPM
_PPM_PER_BPS = 100


def duplicate(view: CheckView, exposure: Exposure) -> Refusal | None:
    """10. Not the same again and again."""
    if view.duplicates >= view.profile.duplicate_max:
        return Code.DUPLICATE_INTENT, f"{view.duplicates} the same just now"
    return None


def collar(view: CheckView, exposure: Exposure) -> Refusal | None:
    """11. A price near the middle and the last trade, and within the venue's band.

    A buy within the collar of the middle is within that of the ask as well, which lies higher; a sale mirrored.
    """
    book, price_ticks, collar_ppm = view.book, view.order.price_ticks, view.profile.collar_ppm
    assert book is not None and view.instrument is not None
    total_ticks, last_ticks = book.best_bid_ticks + book.best_ask_ticks, book.last_trade_ticks
    # Without a last trade its collar holds no price.
    if (
        abs(2 * price_ticks - total_ticks) * PPM > collar_ppm * total_ticks
        or abs(price_ticks - last_ticks) * PPM > collar_ppm * last_ticks
    ):
        touch = f"{book.best_bid_ticks}/{book.best_ask_ticks}"
        return Code.PRICE_COLLAR, f"{price_ticks} at touch {touch}, last trade {last_ticks} ticks"
    band_ppm = view.instrument.price_band_bps * _PPM_PER_BPS
    if band_ppm and abs(price_ticks - view.mark_ticks) * PPM > band_ppm * view.mark_ticks:
        return Code.PRICE_COLLAR, f"{price_ticks} outside the venue's band around {view.mark_ticks} ticks"
    return None


def size(view: CheckView, exposure: Exposure) -> Refusal | None:
    """12. One order's quantity and value, less after a drawdown."""
    if exposure.is_reducing:
        return None
    lots, size_ppm = view.order.lots, view.mode.size_ppm
    if lots * PPM > view.account.max_order_lots * size_ppm:
        return Code.MAX_ORDER_QTY, f"{lots} of {view.account.max_order_lots} lots, of which {size_ppm} ppm"
    value_atoms = _value_atoms(view)
    if value_atoms * _PPM2 > view.profile.order_notional_ppm * size_ppm * view.nav_ref_atoms:
        return Code.MAX_ORDER_NOTIONAL, f"{value_atoms} atoms, NAV {view.nav_ref_atoms}"
    return None


def crossing(view: CheckView, exposure: Exposure) -> Refusal | None:
    """13. Post-only does not take, and nothing takes what is ours."""
    order, book = view.order, view.book
    assert book is not None
    price_ticks = order.price_ticks
    if order.side is _BUY:
        if order.order_type is _POST_ONLY and price_ticks >= book.best_ask_ticks:
            return Code.WOULD_CROSS, f"{price_ticks} at ask {book.best_ask_ticks}"
        if 0 < view.own_lowest_ask_ticks <= price_ticks:
            return Code.SELF_TRADE, f"{price_ticks} at own ask {view.own_lowest_ask_ticks}"
        return None
    if order.order_type is _POST_ONLY and price_ticks <= book.best_bid_ticks:
        return Code.WOULD_CROSS, f"{price_ticks} at bid {book.best_bid_ticks}"
    if view.own_highest_bid_ticks >= price_ticks:
        return Code.SELF_TRADE, f"{price_ticks} at own bid {view.own_highest_bid_ticks}"
    return None


def positions(view: CheckView, exposure: Exposure) -> Refusal | None:
    """14, 15. The worst that fills can make of the position, of all symbols together, and of their net."""
    if exposure.is_reducing:
        return None
    profile, scale = view.profile, view.mode.size_ppm * view.nav_ref_atoms
    if exposure.side_value_atoms * _PPM2 > profile.position_ppm * scale:
        return Code.MAX_POSITION, f"{exposure.side_value_atoms} atoms, NAV {view.nav_ref_atoms}"
    long_atoms, short_atoms = _sides_atoms(view, exposure)
    gross_atoms = view.gross_others_atoms + (long_atoms if long_atoms > short_atoms else short_atoms)
    if gross_atoms * _PPM2 > profile.max_gross_ppm * scale:
        return Code.MAX_GROSS, f"{gross_atoms} atoms, NAV {view.nav_ref_atoms}"
    if view.order.side is _BUY:
        net_atoms = view.net_long_others_atoms + long_atoms
    else:
        net_atoms = short_atoms - view.net_short_others_atoms
    if net_atoms * _PPM2 > profile.max_net_ppm * scale:
        return Code.MAX_NET, f"{net_atoms} atoms, NAV {view.nav_ref_atoms}"
    return None


def funds(view: CheckView, exposure: Exposure) -> Refusal | None:
    """16. What it takes to pay for it, with the highest fee."""
    order, instrument = view.order, view.instrument
    assert instrument is not None
    if view.base_free_lots is not None and order.side is _SELL:
        # The fee is taken from what the sale brings.
        if order.lots > view.base_free_lots:
            return Code.INSUFFICIENT_FUNDS, f"{order.lots} of {view.base_free_lots} lots"
        return None
    # A buy costs its limit at most, whatever the mark.
    value_atoms = instrument.notional_atoms(order.lots, order.price_ticks)
    if order.side is _SELL:
        value_atoms = _value_atoms(view)
    needed_atoms = -(-value_atoms * max(0, instrument.maker_fee_ppm, instrument.taker_fee_ppm) // PPM)
    if view.base_free_lots is not None:
        needed_atoms += value_atoms
    elif not exposure.is_reducing:
        needed_atoms += -(-value_atoms * view.account.margin_ppm // PPM)
    if needed_atoms > view.quote_free_atoms:
        return Code.INSUFFICIENT_FUNDS, f"{needed_atoms} of {view.quote_free_atoms} atoms"
    return None


def loss_budget(view: CheckView, exposure: Exposure) -> Refusal | None:
    """17. The day's loss with what a jump of prices could add to it. A day's profit widens nothing."""
    if exposure.is_reducing:
        return None
    long_atoms, short_atoms = _sides_atoms(view, exposure)
    gross_atoms = view.gross_others_atoms + (long_atoms if long_atoms > short_atoms else short_atoms)
    at_stake_ppm = max(0, view.day_loss_atoms) * PPM + gross_atoms * view.profile.gap_ppm
    if at_stake_ppm > view.profile.day_loss_ppm * view.day_start_atoms:
        return Code.LOSS_BUDGET, f"{-(-at_stake_ppm // PPM)} atoms, the day began with {view.day_start_atoms}"
    return None


def open_orders(view: CheckView, exposure: Exposure) -> Refusal | None:
    """18. How many orders are open."""
    account = view.account
    if view.open_symbol >= account.max_open_per_symbol or view.open_total >= account.max_open_orders:
        return Code.MAX_OPEN_ORDERS, f"{view.open_symbol} of the symbol, {view.open_total} in all"
    return None


def day(view: CheckView, exposure: Exposure) -> Refusal | None:
    """19. What a day may turn over: a strategy that has run away is stopped by it, however small its orders."""
    if exposure.is_reducing:
        return None
    notional_atoms = view.day_notional_atoms + _value_atoms(view)
    if notional_atoms * PPM > view.profile.day_notional_ppm * view.nav_ref_atoms:
        return Code.MAX_DAILY_NOTIONAL, f"{notional_atoms} atoms, NAV {view.nav_ref_atoms}"
    if view.day_orders >= view.profile.day_orders:
        return Code.MAX_DAILY_ORDERS, f"{view.day_orders} orders"
    return None


def repeated(view: CheckView, exposure: Exposure) -> Refusal | None:
    """20. A strategy that enters one side over and over shows that it still lives."""
    if view.repeats >= view.profile.repeat_max:
        return Code.REPEAT_THROTTLE, f"{view.repeats} entries of {view.order.strategy}"
    return None


def _value_atoms(view: CheckView) -> int:
    order, mark_ticks, instrument = view.order, view.mark_ticks, view.instrument
    assert instrument is not None
    price_ticks = order.price_ticks
    return order.lots * (price_ticks if price_ticks > mark_ticks else mark_ticks) * instrument.tick_value_atoms


def _sides_atoms(view: CheckView, exposure: Exposure) -> tuple[int, int]:
    """What the position is worth, as a long one, if all buys fill, and as a short one, if all sells do.

    A long is valued at the highest of the mark and the buys' limits, a short at the mark. For an order that does not
    reduce, its own side is above nothing; the other may be below.
    """
    order, instrument = view.order, view.instrument
    assert instrument is not None
    tick_value_atoms, mark_ticks = instrument.tick_value_atoms, view.mark_ticks
    buy_ticks = view.own_highest_bid_ticks
    if buy_ticks < mark_ticks:
        buy_ticks = mark_ticks
    if order.side is _BUY and order.price_ticks > buy_ticks:
        buy_ticks = order.price_ticks
    return (
        exposure.max_long_lots * buy_ticks * tick_value_atoms,
        -exposure.max_short_lots * mark_ticks * tick_value_atoms,
    )
