"""Sizes against trying every input, over pools of every kind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dex.pool import Completeness
from agent.dex.tick_math import sqrt_ratio_at_tick
from agent.dex.v2 import MAX_RESERVE, V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.locate import Route
from agent.strategies.arb.sizing import best_size, finest_size, real_size, route_of, run_through
from tests.strategies.random_markets import TOKENS, market

A, B = TOKENS[:2]


def best_by_force(route: Route, up_to: int) -> int:
    best = 0
    for amount in range(1, up_to):
        amounts = run_through(route, amount)
        if amounts is not None:
            best = max(best, amounts[-1] - amount)
    return best


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_no_input_beats_the_finest_by_more_than_a_few_units_and_none_the_bound(seed: int) -> None:
    pools = market(seed, pools=8, scale=3000)
    index = index_cycles(pools, start_tokens=(A, B), max_hops=3)
    for cycle in index.cycles[:12]:
        route = route_of(cycle, pools)
        assert route is not None
        best = best_by_force(route, 3000)
        sized = finest_size(route)
        if sized is not None:
            assert sized.amounts == run_through(route, sized.amounts[0])
            assert sized.upper_bound is not None
            assert best <= sized.upper_bound
            assert sized.gross <= sized.upper_bound
        gross = 0 if sized is None else sized.gross
        assert gross >= best - 3, (seed, cycle)
        for weaker in (best_size(route), real_size(route)):
            assert weaker is None or weaker.gross <= gross


def pair(reserve_a: int, reserve_b: int) -> V2Pool:
    return V2Pool(
        address=Address(bytes([50]) * 20), token0=A, token1=B, fee_pips=3000, reserve0=reserve_a, reserve1=reserve_b
    )


def concentrated(known_words: frozenset[int] | None, ticks: dict[int, Tick]) -> V3Pool:
    return V3Pool(
        address=Address(bytes([51]) * 20),
        token0=A,
        token1=B,
        fee_pips=500,
        sqrt_price_x96=sqrt_ratio_at_tick(5) + 1,
        tick=5,
        liquidity=10**24,
        ticks=TickMap(ticks, tick_spacing=1, known_words=known_words),
    )


def test_an_optimum_behind_what_is_known_is_the_best_inside_and_says_so() -> None:
    wide = {-800_000: Tick(10**24, 10**24), 800_000: Tick(-(10**24), 10**24)}
    # B is dear in the pair, so A buys it in the V3 pool until its price has moved far below word 0.
    cheap = pair(110 * 10**23, 100 * 10**23)
    whole: Route = [(concentrated(None, wide), A), (cheap, B)]
    half: Route = [(concentrated(frozenset({0}), {}), A), (cheap, B)]
    free, held = finest_size(whole), finest_size(half)
    assert free is not None and held is not None
    assert not free.limited_by_state and free.upper_bound is not None
    assert held.limited_by_state and held.upper_bound is None
    assert 0 < held.gross < free.gross
    pool = half[0][0]
    assert pool.quote_exact_in(A, held.amounts[0]).completeness is Completeness.COMPLETE
    # It is the best inside: one part in a million less earns less.
    less = run_through(half, held.amounts[0] * 999_999 // 1_000_000)
    assert less is not None and less[-1] - less[0] < held.gross
    assert pool.quote_exact_in(A, held.amounts[0] * 1_000_100 // 1_000_000).completeness is Completeness.UNKNOWN
    for size in (best_size, finest_size):
        backwards: Route = [(pair(100 * 10**23, 110 * 10**23), A), (concentrated(frozenset({0}), {}), B)]
        sized = size(backwards)
        assert sized is None or sized.amounts == run_through(backwards, sized.amounts[0])


def test_an_optimum_where_liquidity_ends_is_not_called_unknown() -> None:
    narrow = {0: Tick(10**24, 10**24), 10: Tick(-(10**24), 10**24)}
    route: Route = [(concentrated(None, narrow), A), (pair(110 * 10**23, 100 * 10**23), B)]
    sized = finest_size(route)
    assert sized is not None
    assert not sized.limited_by_state
    assert sized.upper_bound is not None and sized.gross <= sized.upper_bound
    most = route[0][0].quote_exact_in(A, 10**30)
    assert most.completeness is Completeness.PARTIAL
    assert most.amount_in * 999_999 // 1_000_000 <= sized.amounts[0] <= most.amount_in
    assert sized.upper_bound - sized.gross < 1000


def test_a_reserve_at_its_limit_caps_the_size() -> None:
    full = V2Pool(
        address=Address(bytes([52]) * 20),
        token0=A,
        token1=B,
        fee_pips=3000,
        reserve0=MAX_RESERVE - 1000,
        reserve1=MAX_RESERVE,
    )
    other = pair(2 * 10**30, 10**30)
    route: Route = [(full, A), (other, B)]
    sized = best_size(route)
    assert sized is not None
    assert 0 < sized.amounts[0] <= 1000
    assert sized.gross > 0


def test_nothing_pays_in_a_market_without_a_gap() -> None:
    route: Route = [(pair(10**20, 10**20), A), (concentrated(None, {}), B)]
    assert best_size(route) is None
    assert finest_size(route) is None
