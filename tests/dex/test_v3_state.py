"""What logs do to a concentrated pool, and where knowledge ends."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.dex.events import PANCAKE_V3_SWAP, V3_BURN, V3_INITIALIZE, V3_MINT
from agent.dex.pool import Completeness, Log
from agent.dex.tick_math import MIN_SQRT_RATIO, sqrt_ratio_at_tick
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address
from tests.dex.random_pools import random_v3

ADDRESS, TOKEN0, TOKEN1 = (Address(bytes([i]) * 20) for i in (3, 1, 2))
SPACING = 10
Position = tuple[int, int, int]


def word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "big")


def mint(lower: int, upper: int, amount: int) -> Log:
    return Log(ADDRESS, (V3_MINT, word(7), word(lower), word(upper)), word(9) + word(amount) + word(1) + word(1))


def burn(lower: int, upper: int, amount: int) -> Log:
    return Log(ADDRESS, (V3_BURN, word(7), word(lower), word(upper)), word(amount) + word(1) + word(1))


def pool_with(positions: list[Position], *, tick: int = 5, known_words: frozenset[int] | None = None) -> V3Pool:
    by_tick: dict[int, Tick] = {}
    for lower, upper, amount in positions:
        for position, net in ((lower, amount), (upper, -amount)):
            before = by_tick.get(position, Tick(0, 0))
            assert before.liquidity_net is not None and before.liquidity_gross is not None
            by_tick[position] = Tick(before.liquidity_net + net, before.liquidity_gross + amount)
    return V3Pool(
        address=ADDRESS,
        token0=TOKEN0,
        token1=TOKEN1,
        fee_pips=500,
        sqrt_price_x96=sqrt_ratio_at_tick(tick) + 1,
        tick=tick,
        liquidity=sum(amount for lower, upper, amount in positions if lower <= tick < upper),
        ticks=TickMap(by_tick, tick_spacing=SPACING, known_words=known_words),
    )


positions_strategy = st.lists(
    st.tuples(st.integers(-300, 299), st.integers(1, 300), st.integers(1, 10**18)).map(
        lambda p: (p[0] * SPACING, (p[0] + p[1]) * SPACING, p[2])
    ),
    min_size=1,
    max_size=8,
)


@given(positions_strategy, st.randoms(use_true_random=False))
def test_positions_that_come_and_go_leave_the_ticks_of_those_that_stay(
    positions: list[Position], chance: random.Random
) -> None:
    logs = [mint(*position) for position in positions]
    staying = [position for position in positions if chance.random() < 0.5]
    leaving = [position for position in positions if position not in staying]
    logs += [burn(*position) for position in leaving]
    pool = pool_with([])
    for log in logs:
        pool = pool.apply(log)
        assert pool.inconsistency() is None
    expected = pool_with([position for position in positions if position not in leaving])
    assert pool.ticks.by_tick == expected.ticks.by_tick
    assert pool.liquidity == expected.liquidity


def test_a_burn_of_nothing_and_foreign_logs_return_the_same_pool() -> None:
    pool = pool_with([(-100, 100, 10**18)])
    assert pool.apply(burn(-100, 100, 0)) is pool
    assert pool.apply(mint(-100, 100, 5)._replace(address=TOKEN0)) is pool
    assert pool.apply(Log(ADDRESS, (b"\x00" * 32,), b"")) is pool
    assert pool.apply(Log(ADDRESS, (), b"")) is pool


def test_a_pancake_swap_and_an_initialize_set_the_price() -> None:
    pool = pool_with([(-100, 100, 10**18)])
    price = sqrt_ratio_at_tick(20) + 5
    words = (1, -1, price, 10**18, 20, 3, 0)
    after = pool.apply(Log(ADDRESS, (PANCAKE_V3_SWAP, b"", b""), b"".join(map(word, words))))
    assert (after.sqrt_price_x96, after.tick, after.liquidity) == (price, 20, 10**18)
    first = pool.apply(Log(ADDRESS, (V3_INITIALIZE,), word(price) + word(-20)))
    assert (first.sqrt_price_x96, first.tick, first.liquidity) == (price, -20, 0)


def test_a_state_whose_ticks_do_not_sum_to_its_liquidity_is_named() -> None:
    pool = pool_with([(-100, 100, 10**18)])
    torn = pool.at(sqrt_price_x96=pool.sqrt_price_x96, tick=pool.tick, liquidity=10**18 + 1)
    assert "sum to" in (torn.inconsistency() or "")
    assert pool.inconsistency() is None


def test_without_gross_a_tick_whose_net_comes_to_zero_becomes_unknown() -> None:
    ticks = TickMap.from_nets([(-100, 50), (100, -50)], tick_spacing=SPACING)
    after = ticks.with_liquidity(-100, 100, -50)
    assert after.by_tick == {-100: Tick(None, None), 100: Tick(None, None)}
    assert ticks.with_liquidity(-100, 100, 5).by_tick == {-100: Tick(55, None), 100: Tick(-55, None)}


def test_a_quote_that_reaches_an_unread_word_is_unknown_and_tells_how_far_it_came() -> None:
    # Word 0 holds ticks 0..2550; going down from tick 5 the first step ends at tick 0, then word -1 is read.
    whole = pool_with([(-20_000, 20_000, 10**18)])
    edge = pool_with([(-20_000, 20_000, 10**18)], known_words=frozenset({0}))
    limit = whole.swap(zero_for_one=True, amount_specified=10**30, sqrt_price_limit_x96=sqrt_ratio_at_tick(0)).amount0
    for amount in (1, limit - 1, limit):
        assert edge.quote_exact_in(TOKEN0, amount) == whole.quote_exact_in(TOKEN0, amount)
    reached = edge.quote_exact_in(TOKEN0, limit)
    for amount in (limit + 1, 10**30):
        quote = edge.quote_exact_in(TOKEN0, amount)
        assert quote == (limit, reached.amount_out, Completeness.UNKNOWN, 0)
        moved = edge.swap(zero_for_one=True, amount_specified=amount, sqrt_price_limit_x96=MIN_SQRT_RATIO + 1)
        assert moved.completeness is Completeness.UNKNOWN
        assert (moved.amount0, -moved.amount1) == quote[:2]
    assert edge.quote_exact_out(TOKEN0, reached.amount_out + 1).completeness is Completeness.UNKNOWN


def test_a_tick_that_was_seen_but_not_read_may_be_approached_not_crossed() -> None:
    whole = pool_with([(-20_000, 20_000, 10**18), (-20, 50, 10**17)])
    unread = dict(whole.ticks.by_tick) | {50: Tick(None, None)}
    pool = whole.at(
        sqrt_price_x96=whole.sqrt_price_x96,
        tick=whole.tick,
        liquidity=whole.liquidity,
        ticks=TickMap(unread, tick_spacing=SPACING, known_words=None),
    )
    cost = whole.swap(zero_for_one=False, amount_specified=10**30, sqrt_price_limit_x96=sqrt_ratio_at_tick(50)).amount1
    assert pool.quote_exact_in(TOKEN1, cost - 1) == whole.quote_exact_in(TOKEN1, cost - 1)
    for amount in (cost, cost + 1):
        quote = pool.quote_exact_in(TOKEN1, amount)
        assert quote.completeness is Completeness.UNKNOWN
        assert quote[:2] == whole.quote_exact_in(TOKEN1, cost - 1)[:2]


@given(st.integers(0, 2**40), st.integers(0, 100).flatmap(lambda bits: st.integers(1, 1 << bits)))
def test_what_a_half_known_pool_answers_the_whole_one_answers_too(seed: int, amount: int) -> None:
    chance = random.Random(seed)
    whole = random_v3(chance, address=ADDRESS, token0=TOKEN0, token1=TOKEN1, fee_pips=500, tick_spacing=SPACING)
    centre = whole.ticks.word_of(whole.tick)
    known = frozenset(range(centre - chance.randint(-1, 4), centre + chance.randint(0, 4)))
    seen = {
        tick: (Tick(None, None) if chance.random() < 0.1 else state)
        for tick, state in whole.ticks.by_tick.items()
        if whole.ticks.word_of(tick) in known
    }
    half = whole.at(
        sqrt_price_x96=whole.sqrt_price_x96,
        tick=whole.tick,
        liquidity=whole.liquidity,
        ticks=TickMap(seen, tick_spacing=SPACING, known_words=known),
    )
    for token in (TOKEN0, TOKEN1):
        for quote, truth in (
            (half.quote_exact_in(token, amount), whole.quote_exact_in(token, amount)),
            (half.quote_exact_out(token, amount), whole.quote_exact_out(token, amount)),
        ):
            if quote.completeness is not Completeness.UNKNOWN:
                assert quote == truth
            elif quote.amount_in:
                assert quote[:2] == whole.quote_exact_in(token, quote.amount_in)[:2]
