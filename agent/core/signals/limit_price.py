"""The limit price of an order by its urgency, exactly, and its rounding to the grid.

Purple Flea's article: half = mid · spread_bps / 20,000, a = urgency / 10; a buy is priced at mid + half · (2a - 1), a
sell at mid - half · (2a - 1). With the spread of the book itself, half is (ask - bid) / 2, so the price is a whole
number of twentieths of a tick and needs no float: urgency 5 is the middle, 10 the opposite touch, and 1 lies four
fifths of the way to the own touch.
"""

from __future__ import annotations

from agent.core.instruments import Side

PARTS_PER_TICK = 20
PPM = 1_000_000


def compute_limit_price(side: Side, *, bid_ticks: int, ask_ticks: int, urgency: int) -> int:
    """The exact price in twentieths of a tick."""
    lean = (ask_ticks - bid_ticks) * (2 * urgency - 10)
    middle = 10 * (ask_ticks + bid_ticks)
    return middle + lean if side is Side.BUY else middle - lean


def round_to_tick(side: Side, numerator: int, denominator: int, *, is_aggressive: bool = False) -> int:
    """A price on the grid next to this one: a buy rounds down, a sell up; the other way round where aggressive."""
    if (side is Side.BUY) is not is_aggressive:
        return numerator // denominator
    return -(-numerator // denominator)


def collar_ticks(bid_ticks: int, ask_ticks: int, collar_ppm: int) -> int:
    """How far behind the touch a market order may take: `collar_ppm` of the middle, rounded up, at least a tick."""
    return max(1, -(-(bid_ticks + ask_ticks) * collar_ppm // (2 * PPM)))


def slippage_bound_ticks(side: Side, bid_ticks: int, ask_ticks: int, max_slippage_ppm: int) -> int:
    """The worst price within `max_slippage_ppm` of the middle, rounded towards it."""
    total = bid_ticks + ask_ticks
    if side is Side.BUY:
        return total * (PPM + max_slippage_ppm) // (2 * PPM)
    return max(1, -(-total * (PPM - max_slippage_ppm) // (2 * PPM)))


def without_crossing(side: Side, price_ticks: int, bid_ticks: int, ask_ticks: int) -> int | None:
    """The price for a post-only order: its own side's touch where it would take, None where even that would."""
    if side is Side.BUY:
        if price_ticks < ask_ticks:
            return price_ticks
        return bid_ticks if bid_ticks < ask_ticks else None
    if price_ticks > bid_ticks:
        return price_ticks
    return ask_ticks if ask_ticks > bid_ticks else None
