"""Random swaps: our answer against the contract's, as a list of differences."""

from __future__ import annotations

import random
from typing import NamedTuple

from agent.dex.pool import Completeness
from agent.dex.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from agent.dex.v2 import MAX_RESERVE, V2Pool
from agent.dex.v3 import V3Pool
from tests.dex.contract_oracle import V3_KINDS, Oracle, V2Ask, V3Ask
from tests.dex.random_pools import log_uniform, random_amount, random_limit, random_v2, random_v3

_ASKS_A_STATE = 40


class Tally(NamedTuple):
    """What was compared, and every difference in words."""

    swaps: int
    reverts: int
    partial: int
    crossing: int
    exact_out: int
    mismatches: list[str]


async def match_v3(oracle: Oracle, *, count: int, seed: int) -> Tally:
    """At least `count` random V3 swaps; loop and tables against the contract."""
    chance = random.Random(seed)
    swaps = reverts = partial = crossing = exact_out = 0
    mismatches: list[str] = []
    while swaps < count:
        fee, spacing = chance.choice(V3_KINDS)
        pool = random_v3(
            chance,
            address=oracle.v3_pools[fee, spacing],
            token0=oracle.token0,
            token1=oracle.token1,
            fee_pips=fee,
            tick_spacing=spacing,
        )
        # A walk to the end of the domain reads thousands of words where the spacing is small.
        far_share = 0.5 if spacing >= 60 else 0.02
        asks = []
        for _ in range(_ASKS_A_STATE):
            zero_for_one = chance.random() < 0.5
            limit = random_limit(chance, pool, zero_for_one=zero_for_one, far=chance.random() < far_share)
            asks.append(V3Ask(zero_for_one, random_amount(chance, pool, zero_for_one=zero_for_one), limit))
        for ask, answer in zip(asks, await oracle.swap_v3(pool, asks), strict=True):
            swaps += 1
            try:
                got = pool.swap(
                    zero_for_one=ask.zero_for_one, amount_specified=ask.amount, sqrt_price_limit_x96=ask.limit
                )
            except ValueError as error:
                reverts += 1
                if str(error).split(":")[0] != answer:
                    mismatches.append(f"{pool} {ask}: contract {answer}, ours reverts {error}")
                continue
            ours = (got.amount0, got.amount1, got.sqrt_price_x96, got.tick, got.liquidity)
            if ours != answer:
                mismatches.append(f"{pool} {pool.ticks.by_tick} {ask}: contract {answer}, ours {ours}")
                continue
            crossing += got.crossed > 0
            partial += got.completeness is Completeness.PARTIAL
            exact_out += ask.amount < 0
            difference = _table_difference(pool, ask, ours, is_filled=got.completeness is Completeness.COMPLETE)
            if difference:
                mismatches.append(f"{pool} {pool.ticks.by_tick} {ask}: {difference}")
    return Tally(swaps, reverts, partial, crossing, exact_out, mismatches)


def _table_difference(pool: V3Pool, ask: V3Ask, moved: tuple[int, int, int, int, int], *, is_filled: bool) -> str:
    if moved[2] == ask.limit and ask.limit not in (MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1):
        return ""  # the ask's own limit ended it, if only by rounding; quotes have none
    paid, got = (moved[0], -moved[1]) if ask.zero_for_one else (moved[1], -moved[0])
    token_in = pool.token0 if ask.zero_for_one else pool.token1
    quote = pool.quote_exact_in(token_in, ask.amount) if ask.amount > 0 else pool.quote_exact_out(token_in, -ask.amount)
    expected = (paid, got, Completeness.COMPLETE if is_filled else Completeness.PARTIAL)
    return "" if quote[:3] == expected else f"contract {expected}, table {quote}"


async def match_v2(oracle: Oracle, *, count: int, seed: int) -> Tally:
    """At least `count` random V2 swaps: each quote is accepted, and one unit more or less is refused by K."""
    chance = random.Random(seed)
    swaps = reverts = partial = exact_out = 0
    mismatches: list[str] = []
    while swaps < count:
        pool = random_v2(chance, address=oracle.pair, token0=oracle.token0, token1=oracle.token1)
        asks: list[V2Ask] = []
        expected: list[tuple[int, int] | str] = []
        for _ in range(_ASKS_A_STATE // 2):
            zero_for_one = chance.random() < 0.5
            token_in = pool.token0 if zero_for_one else pool.token1
            is_exact_out = chance.random() < 0.5
            amount = log_uniform(chance, 0, 112)
            if is_exact_out:
                quote = pool.quote_exact_out(token_in, amount)
                beyond = V2Ask(zero_for_one, quote.amount_in - 1, quote.amount_out)
            else:
                quote = pool.quote_exact_in(token_in, amount)
                beyond = V2Ask(zero_for_one, quote.amount_in, quote.amount_out + 1)
            swaps += 1
            exact_out += is_exact_out
            if quote.completeness is not Completeness.COMPLETE:
                partial += 1
            asks.append(V2Ask(zero_for_one, quote.amount_in, quote.amount_out))
            expected.append(_reserves_after(pool, asks[-1]))
            if quote.completeness is Completeness.COMPLETE:
                asks.append(beyond)
                expected.append(_refusal(pool, beyond))
        for ask, want, answer in zip(asks, expected, await oracle.swap_v2(pool, asks), strict=True):
            reverts += isinstance(answer, str)
            if want != answer:
                mismatches.append(f"{pool} {ask}: contract {answer}, ours {want}")
    return Tally(swaps, reverts, partial, 0, exact_out, mismatches)


def _reserves_after(pool: V2Pool, ask: V2Ask) -> tuple[int, int] | str:
    if not ask.amount_out:
        return "UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT"
    change = (ask.amount_in, -ask.amount_out) if ask.zero_for_one else (-ask.amount_out, ask.amount_in)
    return pool.reserve0 + change[0], pool.reserve1 + change[1]


def _refusal(pool: V2Pool, ask: V2Ask) -> str:
    reserve_out = pool.reserve1 if ask.zero_for_one else pool.reserve0
    assert (pool.reserve0 if ask.zero_for_one else pool.reserve1) + ask.amount_in <= MAX_RESERVE
    if ask.amount_out >= reserve_out:
        return "UniswapV2: INSUFFICIENT_LIQUIDITY"
    return "UniswapV2: INSUFFICIENT_INPUT_AMOUNT" if not ask.amount_in else "UniswapV2: K"
