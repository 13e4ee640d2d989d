"""The liquidity of a V3 pool of the slice: nested ranges around its price, and what they hold.

How liquidity lies away from the price is ours, not mainnet's: the figures tell only how much is in range at the
price. Widths are in ticks (a tick is 0.01 %), shares are of the liquidity at the price.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.devnet.slice.storage import TickLiquidity
from agent.dex.tick_math import sqrt_ratio_at_tick
from agent.dex.v3_step import amount0_ceil, amount1_ceil

_RANGES_BY_SPACING: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((40, 35), (150, 30), (500, 20), (6_932, 15)),
    10: ((150, 35), (500, 30), (1_800, 20), (6_932, 15)),
    60: ((360, 35), (1_200, 30), (3_600, 20), (9_000, 15)),
    200: ((1_000, 35), (3_000, 30), (7_000, 20), (12_000, 15)),
}
"""(width, share in percent) of each range, by tick spacing."""


class Ranges(NamedTuple):
    """Initialised ticks in order, and the token balances that honour every range to the last unit."""

    ticks: tuple[TickLiquidity, ...]
    balance0: int
    balance1: int


def ranges_around(*, sqrt_price_x96: int, tick: int, liquidity: int, tick_spacing: int) -> Ranges:
    """Nested ranges whose liquidity at the price sums to `liquidity` exactly; balances round up."""
    gross: dict[int, int] = {}
    net: dict[int, int] = {}
    balance0 = balance1 = 0
    left = liquidity
    shapes = _RANGES_BY_SPACING[tick_spacing]
    for index, (width, percent) in enumerate(shapes):
        part = left if index == len(shapes) - 1 else liquidity * percent // 100
        left -= part
        lower = (tick - width) // tick_spacing * tick_spacing
        upper = -(-(tick + 1 + width) // tick_spacing) * tick_spacing
        for edge, change in ((lower, part), (upper, -part)):
            gross[edge] = gross.get(edge, 0) + part
            net[edge] = net.get(edge, 0) + change
        balance0 += amount0_ceil(sqrt_price_x96, sqrt_ratio_at_tick(upper), part)
        balance1 += amount1_ceil(sqrt_ratio_at_tick(lower), sqrt_price_x96, part)
    ticks = tuple(TickLiquidity(edge, gross[edge], net[edge]) for edge in sorted(gross))
    return Ranges(ticks, balance0, balance1)
