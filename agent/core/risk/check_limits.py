"""The limits of the pre-trade checks. Shares are parts per million of a NAV; the position limit is the unit of most."""

from __future__ import annotations

import msgspec

MILLISECOND_NS = 1_000_000
PPM = 1_000_000


class CheckLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the checks measure by. The defaults are every profile's; the first two differ between profiles."""

    position_ppm: int
    """The most one symbol's worst position may be worth, of NAV."""
    day_loss_ppm: int
    """The most a UTC day may lose, of the NAV it began with."""
    max_order_lots: int
    max_gross_positions: int = 3
    """Worst positions of all symbols together, in position limits."""
    max_net_positions: int = 1
    orders_per_position: int = 5
    """An order may be worth one such part of the position limit."""
    max_day_navs: int = 20
    """The value of a day's orders, in NAVs: a strategy that turns more over has run away."""
    max_day_orders: int = 100_000
    max_open_per_symbol: int = 64
    max_open_orders: int = 256
    gap_ppm: int = 50_000
    """How far a price may jump over every order that would have ended the loss."""
    collar_ppm: int = 5_000
    margin_ppm: int = PPM
    """What must be paid down of a position's value, where the account may sell what it does not hold."""
    max_duplicates: int = 3
    max_repeats: int = 20
    max_book_age_ns: int = 500 * MILLISECOND_NS
    max_mark_age_ns: int = 2_000 * MILLISECOND_NS
    max_decision_age_ns: int = 250 * MILLISECOND_NS
    max_guard_age_ns: int = 250 * MILLISECOND_NS
    """Beyond it only reducing orders go out, beyond twice of it none."""
