"""Ticks and square-root prices, exact: sqrt(1.0001^tick) as Q64.96.

Source of truth: Uniswap v3-core `contracts/libraries/TickMath.sol` (getSqrtRatioAtTick, getTickAtSqrtRatio).
"""

from __future__ import annotations

import math
from functools import lru_cache

from agent.eth.units import UINT256_MAX

MIN_TICK = -887_272
MAX_TICK = 887_272
MIN_SQRT_RATIO = 4_295_128_739
MAX_SQRT_RATIO = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342

_ONE_X128 = 1 << 128
# 2^128 / sqrt(1.0001)^(2^i) for i = 0..19, as the contract spells them.
_FACTORS_X128 = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
_LOG_SQRT_BASE = math.log(1.0001) / 2


@lru_cache(maxsize=65_536)
def sqrt_ratio_at_tick(tick: int) -> int:
    """Square-root price of a tick, Q64.96, rounded up as the contract rounds; ValueError outside the tick domain."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is outside {MIN_TICK}..{MAX_TICK}")
    rest = abs(tick)
    ratio_x128 = _ONE_X128
    for factor in _FACTORS_X128:
        if rest & 1:
            ratio_x128 = (ratio_x128 * factor) >> 128
        rest >>= 1
    if tick > 0:
        ratio_x128 = UINT256_MAX // ratio_x128
    return -(-ratio_x128 >> 32)


def tick_at_sqrt_ratio(sqrt_price_x96: int) -> int:
    """Greatest tick whose square-root price is not above the given one; ValueError outside the price domain.

    The logarithm only proposes; the exact ratios decide.
    """
    if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
        raise ValueError(f"square-root price {sqrt_price_x96} is outside the domain")
    tick = int((math.log(sqrt_price_x96) - 96 * math.log(2)) / _LOG_SQRT_BASE)
    tick = max(MIN_TICK, min(MAX_TICK - 1, tick))
    while sqrt_ratio_at_tick(tick) > sqrt_price_x96:
        tick -= 1
    while sqrt_ratio_at_tick(tick + 1) <= sqrt_price_x96:
        tick += 1
    return tick
