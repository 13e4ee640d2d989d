"""The step loop a careful Python programmer writes: exact, prices of the stops looked up, nothing else kept.

One direction at a time, exact input, no limit: what `UniswapV3Pool.swap` does for a plain quote.
"""

from __future__ import annotations

from collections.abc import Sequence

_PIPS = 1_000_000
_UINT256 = 1 << 256


def quote_down(price: int, liquidity: int, fee: int, stops: Sequence[tuple[int, int]], amount: int) -> int:
    """Token1 for `amount` of token0. `stops`: (square-root price, liquidity change) of each step's end, in order."""
    out = 0
    for target, change in stops:
        after_fee = amount * (_PIPS - fee) // _PIPS
        shifted = liquidity << 96
        whole = -(-shifted * (price - target) // price)
        needed = -(-whole // target)
        if after_fee < needed:
            product = after_fee * price
            if shifted + product < _UINT256:
                reached = -(-shifted * price // (shifted + product))
            else:
                reached = -(-shifted // (shifted // price + after_fee))
            return out + (liquidity * (price - reached) >> 96)
        out += liquidity * (price - target) >> 96
        amount += -needed + (-needed * fee // (_PIPS - fee))
        price = target
        liquidity += change
        if not amount:
            return out
    raise ValueError("the stops end before the amount does")


def quote_up(price: int, liquidity: int, fee: int, stops: Sequence[tuple[int, int]], amount: int) -> int:
    """Token0 for `amount` of token1; as `quote_down`."""
    out = 0
    for target, change in stops:
        after_fee = amount * (_PIPS - fee) // _PIPS
        needed = -(-liquidity * (target - price) >> 96)
        if after_fee < needed:
            reached = price + (after_fee << 96) // liquidity
            return out + (liquidity << 96) * (reached - price) // reached // price
        out += (liquidity << 96) * (target - price) // target // price
        amount += -needed + (-needed * fee // (_PIPS - fee))
        price = target
        liquidity += change
        if not amount:
            return out
    raise ValueError("the stops end before the amount does")
