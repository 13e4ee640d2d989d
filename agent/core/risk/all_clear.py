"""All rows of the checks as one condition: the way of an order against which there is nothing.

Nearly every order passes, and asking nineteen functions for a reason that is not there takes twice as long as the
comparisons. `is_clear` says True only where each row would pass, and never why not: whatever is out of the ordinary (a
mode, a guard that is late, a status) it leaves to the rows. That it never passes what they refuse is a property test.
"""

from __future__ import annotations

from agent.core.instruments import OrderType, Side, TradingStatus
from agent.core.risk.check_view import CheckView
from agent.core.risk.exposure import Exposure
from agent.core.risk.limit_checks import funds
from agent.core.risk.modes import Level
from agent.core.risk.profiles import PPM

_PPM2 = PPM * PPM
_PPM_PER_BPS = 100
_ACTIVE, _TRADING, _BUY, _POST_ONLY = Level.ACTIVE, TradingStatus.TRADING, Side.BUY, OrderType.POST_ONLY


def is_clear(view: CheckView, exposure: Exposure) -> bool:
    """Every row passes; lots and price are integers. False proves nothing."""
    order, instrument, book = view.order, view.instrument, view.book
    guard_age_ns, mark_age_ns, decided_ns, expires_ns = (
        view.guard_age_ns, view.mark_age_ns, view.decided_ns, view.expires_ns
    )  # fmt: skip
    account, profile, mode, now_ns = view.account, view.profile, view.mode, view.now_ns
    is_reducing = exposure.is_reducing
    # 1 to 6, and what must be there for the rest.
    if (
        view.is_latched
        or guard_age_ns is None
        or guard_age_ns > account.max_guard_age_ns
        or mode.level is not _ACTIVE
        or (order.is_reduce_only and not is_reducing)
        or not view.is_live
        or not view.is_epoch_current
        or not view.is_acknowledging
        or view.journal_problem
        or instrument is None
        or instrument.status is not _TRADING
        or not view.is_whitelisted
        or view.is_fenced
        or book is None
        or mark_age_ns is None
        or decided_ns is None
    ):
        return False
    lots, price_ticks, side, order_type = order.lots, order.price_ticks, order.side, order.order_type
    bid_ticks, ask_ticks, mark_ticks = book.best_bid_ticks, book.best_ask_ticks, view.mark_ticks
    # 7 to 9.
    if (
        type(side) is not Side
        or type(order_type) is not OrderType
        or price_ticks < 1
        or lots < 1
        or lots < instrument.min_lots
        or lots > instrument.max_lots
        or not book.is_valid
        or bid_ticks < 1
        or bid_ticks >= ask_ticks
        or now_ns - book.arrival_ns > profile.max_book_age_ns
        or mark_age_ns > account.max_mark_age_ns
        or mark_ticks < 1
        or (expires_ns is not None and now_ns >= expires_ns)
        or now_ns - decided_ns > profile.max_decision_age_ns
    ):
        return False
    # 10, 11, 13, 18 and 20.
    total_ticks, last_ticks, collar_ppm = bid_ticks + ask_ticks, book.last_trade_ticks, profile.collar_ppm
    band_ppm = instrument.price_band_bps * _PPM_PER_BPS
    if (
        view.duplicates >= profile.duplicate_max
        or abs(2 * price_ticks - total_ticks) * PPM > collar_ppm * total_ticks
        or abs(price_ticks - last_ticks) * PPM > collar_ppm * last_ticks
        or (band_ppm and abs(price_ticks - mark_ticks) * PPM > band_ppm * mark_ticks)
        or view.open_symbol >= account.max_open_per_symbol
        or view.open_total >= account.max_open_orders
        or view.repeats >= profile.repeat_max
    ):
        return False
    tick_value_atoms, own_bid_ticks = instrument.tick_value_atoms, view.own_highest_bid_ticks
    buy_ticks = own_bid_ticks if own_bid_ticks > mark_ticks else mark_ticks
    if side is _BUY:
        if (order_type is _POST_ONLY and price_ticks >= ask_ticks) or 0 < view.own_lowest_ask_ticks <= price_ticks:
            return False
        if price_ticks > buy_ticks:
            buy_ticks = price_ticks
    elif (order_type is _POST_ONLY and price_ticks <= bid_ticks) or own_bid_ticks >= price_ticks:
        return False
    # 16, whose rule differs by the kind of account.
    if funds(view, exposure) is not None:
        return False
    if is_reducing:
        return True
    # 12, 14, 15, 17 and 19: what a reducing order need not keep.
    limit_atoms = lots * price_ticks * tick_value_atoms
    value_atoms = limit_atoms if price_ticks > mark_ticks else lots * mark_ticks * tick_value_atoms
    nav_ref_atoms, size_ppm = view.nav_ref_atoms, mode.size_ppm
    scale = size_ppm * nav_ref_atoms
    long_atoms = exposure.max_long_lots * buy_ticks * tick_value_atoms
    short_atoms = -exposure.max_short_lots * mark_ticks * tick_value_atoms
    gross_atoms = view.gross_others_atoms + (long_atoms if long_atoms > short_atoms else short_atoms)
    net_atoms = view.net_long_others_atoms + long_atoms if side is _BUY else short_atoms - view.net_short_others_atoms
    loss_atoms = view.day_loss_atoms if view.day_loss_atoms > 0 else 0
    return (
        limit_atoms >= instrument.min_notional_atoms
        and lots * PPM <= account.max_order_lots * size_ppm
        and value_atoms * _PPM2 <= profile.order_notional_ppm * scale
        and exposure.side_value_atoms * _PPM2 <= profile.position_ppm * scale
        and gross_atoms * _PPM2 <= profile.max_gross_ppm * scale
        and net_atoms * _PPM2 <= profile.max_net_ppm * scale
        and loss_atoms * PPM + gross_atoms * profile.gap_ppm <= profile.day_loss_ppm * view.day_start_atoms
        and (view.day_notional_atoms + value_atoms) * PPM <= profile.day_notional_ppm * nav_ref_atoms
        and view.day_orders < profile.day_orders
    )
