"""Breaker 2: the largest position that may come to be if everything outstanding on one side fills.

Buys and sells are never netted: the market decides which of them fill. Reserved is whatever may still fill (waiting,
sent, resting, being cancelled or amended, of unknown fate) and fills that are owed.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from agent.core.instruments import Side
from agent.core.risk.profiles import PPM

_BUY = Side.BUY  # of an enumeration's class a member is looked up at six times the cost of a global


class Exposure(msgspec.Struct, frozen=True, gc=False):
    """The worst case with a new order in it. Lots are signed: `max_short_lots` below zero is a short."""

    max_long_lots: int
    max_short_lots: int
    side_value_atoms: int
    """Worth of the worst position on the side that the order increases."""
    is_reducing: bool
    """It fits into what is held less what already works against it, so it can only lower the position."""

    @property
    def worst_lots(self) -> int:
        return max(self.max_long_lots, -self.max_short_lots)  # the long end is never below the short one


def worst_exposure(
    *,
    position_lots: int,
    reserved_buy_lots: int,
    reserved_sell_lots: int,
    side: Side,
    lots: int,
    price_ticks: int,
    highest_buy_ticks: int,
    mark_ticks: int,
    tick_value_atoms: int,
) -> Exposure:
    """The worst case if an order of `lots` joins what is reserved.

    `highest_buy_ticks`: the highest limit of the buys that are reserved (0 without any). A long is valued at the higher
    of the mark and the highest buy, since that may be paid; a short at the mark. `lots` 0 gives the present worst case.
    """
    if side is _BUY:
        max_long = position_lots + reserved_buy_lots + lots
        max_short = position_lots - reserved_sell_lots
        price = max(mark_ticks, highest_buy_ticks, price_ticks)
        value_atoms = max_long * price * tick_value_atoms if max_long > 0 else 0
        is_reducing = position_lots < 0 and lots <= -position_lots - reserved_buy_lots
    else:
        max_long = position_lots + reserved_buy_lots
        max_short = position_lots - reserved_sell_lots - lots
        value_atoms = -max_short * mark_ticks * tick_value_atoms if max_short < 0 else 0
        is_reducing = position_lots > 0 and lots <= position_lots - reserved_sell_lots
    return Exposure(max_long, max_short, value_atoms, is_reducing)


def is_within(value_atoms: int, nav_ref_atoms: int, limit_ppm: int) -> bool:
    """An order may bring the worst case up to the limit, not over it."""
    return value_atoms * PPM <= limit_ppm * nav_ref_atoms


class Standing(Enum):
    """Where a position that is held stands to its limit, by fills or by the market's moves."""

    WITHIN = "within"
    AT_LIMIT = "at_limit"
    """At or above it: nothing may be added, nothing is sold by force."""
    EXCESS = "excess"
    """At or above 1.25 times the limit: it is brought down to the limit by reduce-only orders."""


_WITHIN = Standing.WITHIN


def standing(
    position_lots: int, mark_ticks: int, tick_value_atoms: int, nav_ref_atoms: int, limit_ppm: int
) -> Standing:
    """Judge a held position at a mark."""
    scaled = abs(position_lots) * mark_ticks * tick_value_atoms * PPM
    limit = limit_ppm * nav_ref_atoms
    if position_lots == 0 or scaled < limit:
        return _WITHIN
    return Standing.EXCESS if 4 * scaled >= 5 * limit else Standing.AT_LIMIT


def excess_lots(position_lots: int, mark_ticks: int, tick_value_atoms: int, nav_ref_atoms: int, limit_ppm: int) -> int:
    """Lots to shed so that the position is below its limit, rounded up; 0 where it is."""
    if standing(position_lots, mark_ticks, tick_value_atoms, nav_ref_atoms, limit_ppm) is Standing.WITHIN:
        return 0
    lot_value = mark_ticks * tick_value_atoms * PPM
    limit = limit_ppm * max(nav_ref_atoms, 0)
    return abs(position_lots) - max(0, -(-limit // lot_value) - 1)
