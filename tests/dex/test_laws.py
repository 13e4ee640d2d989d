"""Laws that hold for every pool state and amount, drawn at random."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dex.events import V2_SYNC, V3_SWAP
from agent.dex.pool import Completeness, Log, Pool
from agent.dex.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)
from agent.dex.v2 import V2Pool
from agent.dex.v3 import SwapResult, V3Pool
from agent.dex.v3_step import exact_in_step
from agent.dex.v3_table import StepTable
from agent.dex.v3_ticks import TickMap
from agent.eth.units import Address
from tests.dex.contract_oracle import V3_KINDS
from tests.dex.random_pools import random_v2, random_v3

ADDRESS, TOKEN0, TOKEN1 = (Address(bytes([i]) * 20) for i in (3, 1, 2))
COMPLETE = Completeness.COMPLETE
seeds = st.integers(0, 2**40)
amounts = st.integers(0, 120).flatmap(lambda bits: st.integers(1, 1 << bits))


def v3(seed: int) -> V3Pool:
    chance = random.Random(seed)
    fee, spacing = chance.choice(V3_KINDS)
    return random_v3(chance, address=ADDRESS, token0=TOKEN0, token1=TOKEN1, fee_pips=fee, tick_spacing=spacing)


def v2(seed: int) -> V2Pool:
    return random_v2(random.Random(seed), address=ADDRESS, token0=TOKEN0, token1=TOKEN1)


def pools(seed: int) -> tuple[Pool, Pool]:
    return v2(seed), v3(seed)


def swap_log(moved: SwapResult) -> Log:
    words = (moved.amount0, moved.amount1, moved.sqrt_price_x96, moved.liquidity, moved.tick)
    return Log(ADDRESS, (V3_SWAP, b"", b""), b"".join((word % 2**256).to_bytes(32, "big") for word in words))


def loop_exact_in(pool: V3Pool, *, zero_for_one: bool, amount: int) -> SwapResult:
    limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    return pool.swap(zero_for_one=zero_for_one, amount_specified=amount, sqrt_price_limit_x96=limit)


@given(seeds, amounts, amounts)
def test_more_in_never_gives_less_out(seed: int, first: int, second: int) -> None:
    low, high = sorted((first, second))
    for pool in pools(seed):
        for token in (TOKEN0, TOKEN1):
            less, more = pool.quote_exact_in(token, low), pool.quote_exact_in(token, high)
            assert less.amount_out <= more.amount_out
            assert less.amount_in <= more.amount_in


@given(seeds, amounts)
def test_there_and_back_never_pays(seed: int, amount: int) -> None:
    pair = v2(seed)
    for token, other in ((TOKEN0, TOKEN1), (TOKEN1, TOKEN0)):
        there = pair.quote_exact_in(token, amount)
        reserves = {token: pair.reserves(token)[0] + there.amount_in, other: pair.reserves(token)[1] - there.amount_out}
        after = pair.with_reserves(reserve0=reserves[TOKEN0], reserve1=reserves[TOKEN1])
        assert after.quote_exact_in(other, there.amount_out).amount_out <= there.amount_in
    pool = v3(seed)
    for zero_for_one in (True, False):
        moved = loop_exact_in(pool, zero_for_one=zero_for_one, amount=amount)
        paid, got = (moved.amount0, -moved.amount1) if zero_for_one else (moved.amount1, -moved.amount0)
        if got:
            after_swap = pool.apply(swap_log(moved))
            back = after_swap.quote_exact_in(TOKEN1 if zero_for_one else TOKEN0, got)
            assert back.amount_out <= paid


@given(seeds, amounts, amounts)
def test_a_pool_after_its_log_quotes_like_the_state_it_reached(seed: int, first: int, second: int) -> None:
    pool = v3(seed)
    for zero_for_one in (True, False):
        moved = loop_exact_in(pool, zero_for_one=zero_for_one, amount=first)
        pool.quote_exact_in(TOKEN0 if zero_for_one else TOKEN1, first)  # fills what the states share
        after = pool.apply(swap_log(moved))
        assert (after.sqrt_price_x96, after.liquidity, after.tick) == moved[2:5]
        assert after.ticks is pool.ticks
        for token in (TOKEN0, TOKEN1):
            if after.sqrt_price_x96 in (MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1):
                continue
            again = loop_exact_in(after, zero_for_one=token == TOKEN0, amount=second)
            quote = after.quote_exact_in(token, second)
            paid, got = (again.amount0, -again.amount1) if token == TOKEN0 else (again.amount1, -again.amount0)
            assert quote == (paid, got, again.completeness, quote.crossed)
    pair = v2(seed)
    data = first.to_bytes(32, "big") + second.to_bytes(32, "big")
    synced = pair.apply(Log(ADDRESS, (V2_SYNC,), data))
    assert (synced.reserve0, synced.reserve1) == (first, second)
    assert (pair.fee_pips, pair.token0) == (synced.fee_pips, synced.token0)


@given(seeds)
@settings(max_examples=150)
def test_the_table_equals_the_loop_at_every_boundary(seed: int) -> None:
    pool = v3(seed)
    for zero_for_one in (True, False):
        token = TOKEN0 if zero_for_one else TOKEN1
        limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        table = pool.step_table(zero_for_one=zero_for_one)
        for _ in range(24):
            table.grow()
        for cost in list(dict.fromkeys(table.costs)):
            for amount in range(max(1, cost - 2), cost + 3):
                moved = pool.swap(zero_for_one=zero_for_one, amount_specified=amount, sqrt_price_limit_x96=limit)
                paid, got = (moved.amount0, -moved.amount1) if zero_for_one else (moved.amount1, -moved.amount0)
                assert pool.quote_exact_in(token, amount) == (paid, got, moved.completeness, moved.crossed)
        for output in list(dict.fromkeys(table.outputs)):
            for amount in range(max(1, output - 2), output + 3):
                moved = pool.swap(zero_for_one=zero_for_one, amount_specified=-amount, sqrt_price_limit_x96=limit)
                paid, got = (moved.amount0, -moved.amount1) if zero_for_one else (moved.amount1, -moved.amount0)
                assert pool.quote_exact_out(token, amount)[:3] == (paid, got, moved.completeness)


@given(seeds, amounts)
def test_exact_out_is_enough_and_the_smallest_for_constant_product(seed: int, amount: int) -> None:
    for pool in pools(seed):
        for token in (TOKEN0, TOKEN1):
            quote = pool.quote_exact_out(token, amount)
            if quote.completeness is COMPLETE and quote.amount_in:
                assert pool.quote_exact_in(token, quote.amount_in).amount_out >= amount
                if pool.kind == "v2":
                    assert pool.quote_exact_in(token, quote.amount_in - 1).amount_out < amount


@given(seeds, amounts)
def test_a_piece_never_lies_below_the_exact_quote(seed: int, amount: int) -> None:
    for pool in pools(seed):
        for token in (TOKEN0, TOKEN1):
            piece = pool.piece(token, amount)
            assert piece.start_in <= amount
            assert piece.end_in is None or amount < piece.end_in
            quote = pool.quote_exact_in(token, amount)
            spent = quote.amount_in - piece.start_in
            assert quote.amount_out <= piece.start_out + piece.a * spent // (piece.b + piece.c * spent)
            assert (quote.completeness is COMPLETE) or not piece.a


@given(st.integers(MIN_TICK, MAX_TICK - 1), st.integers(0, 2**170))
def test_ticks_and_prices_invert(tick: int, within: int) -> None:
    low, high = sqrt_ratio_at_tick(tick), sqrt_ratio_at_tick(tick + 1)
    assert tick_at_sqrt_ratio(low) == tick
    assert tick_at_sqrt_ratio(low + within % (high - low)) == tick


def test_the_ends_of_the_tick_domain_are_the_contracts() -> None:
    assert sqrt_ratio_at_tick(MIN_TICK) == MIN_SQRT_RATIO
    assert sqrt_ratio_at_tick(MAX_TICK) == MAX_SQRT_RATIO
    assert tick_at_sqrt_ratio(MAX_SQRT_RATIO - 1) == MAX_TICK - 1


@pytest.mark.parametrize("amount", [2**97 + 12_345, 2**100 + 1, 2**104 + 7])
def test_a_product_past_256_bits_rounds_as_the_contract_does(amount):
    """Only the widest tick spacing lets one step reach so far that the contract takes its other formula."""
    spacing, tick, liquidity, fee = 16_383, 881_000, 2**120, 3_000
    price = sqrt_ratio_at_tick(tick)
    ticks = TickMap({}, tick_spacing=spacing, known_words=None)
    table = StepTable(ticks, sqrt_price_x96=price, tick=tick, liquidity=liquidity, fee_pips=fee, zero_for_one=True)
    step = exact_in_step(price, MIN_SQRT_RATIO + 1, liquidity, amount, fee)
    assert (liquidity << 96) + amount * price >= 2**256 and step.sqrt_price_x96 > MIN_SQRT_RATIO + 1
    assert table.quote_exact_in(amount)[:2] == (amount, step.amount_out)
