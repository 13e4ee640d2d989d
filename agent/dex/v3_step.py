"""One step of a concentrated-liquidity swap, with the contract's roundings.

Prices are square roots in Q64.96, fees in pips. Inputs round up, outputs down, prices in favour of the pool.
Source of truth: v3-core `SwapMath.sol`, `SqrtPriceMath.sol`.
"""

from __future__ import annotations

from typing import NamedTuple

PIPS = 1_000_000
Q96 = 1 << 96
UINT256 = 1 << 256


class Step(NamedTuple):
    """What one step moved."""

    sqrt_price_x96: int
    amount_in: int
    amount_out: int
    fee_amount: int


def amount0_floor(low: int, high: int, liquidity: int) -> int:
    """Token0 between two square-root prices, low <= high, rounded down."""
    return (liquidity << 96) * (high - low) // high // low


def amount0_ceil(low: int, high: int, liquidity: int) -> int:
    """Token0 between two square-root prices, low <= high, rounded up."""
    whole = -(-(liquidity << 96) * (high - low) // high)
    return -(-whole // low)


def amount1_floor(low: int, high: int, liquidity: int) -> int:
    """Token1 between two square-root prices, low <= high, rounded down."""
    return liquidity * (high - low) >> 96


def amount1_ceil(low: int, high: int, liquidity: int) -> int:
    """Token1 between two square-root prices, low <= high, rounded up."""
    return -(-liquidity * (high - low) >> 96)


def price_after_input(price: int, liquidity: int, amount: int, *, zero_for_one: bool) -> int:
    """Square-root price after `amount` of input without its fee, rounded up for token0 and down for token1."""
    if not zero_for_one:
        return price + (amount << 96) // liquidity
    if not amount:
        return price
    numerator = liquidity << 96
    product = amount * price
    if product < UINT256 and numerator + product < UINT256:
        return -(-numerator * price // (numerator + product))
    # The contract falls back to this less precise form when the product overflows 256 bits.
    return -(-numerator // (numerator // price + amount))


def price_after_output(price: int, liquidity: int, amount: int, *, zero_for_one: bool) -> int:
    """Square-root price after paying out `amount`; rounded so that the pool never pays too much.

    ValueError where the contract reverts: the output is more than the range holds.
    """
    if zero_for_one:
        quotient = -(-(amount << 96) // liquidity)
        if price <= quotient:
            raise ValueError("output exceeds what the range holds")
        return price - quotient
    numerator = liquidity << 96
    product = amount * price
    if product >= UINT256 or numerator <= product:
        raise ValueError("output exceeds what the range holds")
    return -(-numerator * price // (numerator - product))


def full_step(price: int, target: int, liquidity: int, fee_pips: int) -> tuple[int, int]:
    """(cost with fee rounded up, output rounded down) of moving from `price` all the way to `target`."""
    if target <= price:
        amount_in = amount0_ceil(target, price, liquidity)
        amount_out = amount1_floor(target, price, liquidity)
    else:
        amount_in = amount1_ceil(price, target, liquidity)
        amount_out = amount0_floor(price, target, liquidity)
    return amount_in - (-amount_in * fee_pips // (PIPS - fee_pips)), amount_out


def exact_in_step(price: int, target: int, liquidity: int, remaining: int, fee_pips: int) -> Step:
    """Move from `price` towards `target` with `remaining` > 0 units of input, fee included."""
    zero_for_one = target <= price
    after_fee = remaining * (PIPS - fee_pips) // PIPS
    if zero_for_one:
        needed = amount0_ceil(target, price, liquidity)
    else:
        needed = amount1_ceil(price, target, liquidity)
    if after_fee >= needed:
        reached = target
        amount_in = needed
        fee_amount = -(-amount_in * fee_pips // (PIPS - fee_pips))
    else:
        reached = price_after_input(price, liquidity, after_fee, zero_for_one=zero_for_one)
        if zero_for_one:
            amount_in = amount0_ceil(reached, price, liquidity)
        else:
            amount_in = amount1_ceil(price, reached, liquidity)
        # Short of the target the whole remainder is taken, so the pool keeps what rounding leaves over.
        fee_amount = remaining - amount_in if reached != target else -(-amount_in * fee_pips // (PIPS - fee_pips))
    if zero_for_one:
        amount_out = amount1_floor(reached, price, liquidity)
    else:
        amount_out = amount0_floor(price, reached, liquidity)
    return Step(reached, amount_in, amount_out, fee_amount)


def exact_out_step(price: int, target: int, liquidity: int, remaining: int, fee_pips: int) -> Step:
    """Move from `price` towards `target` until `remaining` > 0 units have been paid out."""
    zero_for_one = target <= price
    if zero_for_one:
        available = amount1_floor(target, price, liquidity)
    else:
        available = amount0_floor(price, target, liquidity)
    if remaining >= available:
        reached = target
        amount_out = available
    else:
        reached = price_after_output(price, liquidity, remaining, zero_for_one=zero_for_one)
        if zero_for_one:
            amount_out = min(remaining, amount1_floor(reached, price, liquidity))
        else:
            amount_out = min(remaining, amount0_floor(price, reached, liquidity))
    if zero_for_one:
        amount_in = amount0_ceil(reached, price, liquidity)
    else:
        amount_in = amount1_ceil(price, reached, liquidity)
    return Step(reached, amount_in, amount_out, -(-amount_in * fee_pips // (PIPS - fee_pips)))
