"""From touched pools to opportunities: nothing lost, nothing that the quotes do not give."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dex.pool import Completeness, StateName
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address, Hash32
from agent.strategies.arb.cycles import CycleIndex, index_cycles
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.screen import Screen
from agent.strategies.arb.search import find_opportunities
from agent.strategies.arb.sizing import pays_at_the_margin, route_of
from tests.strategies.random_markets import TOKENS, market, moved

STATE = StateName(Hash32(bytes(32)), None)
TARGET = Hash32(bytes([7]) * 32)


def found(
    pools: PoolSet,
    index: CycleIndex,
    touched: frozenset[Address] | None = None,
    *,
    before: PoolSet | None = None,
    screen: Screen | None = None,
) -> list[Opportunity]:
    return find_opportunities(
        pools,
        index,
        touched=touched,
        state=STATE,
        block_number=5,
        after_transaction=None if touched is None else TARGET,
        before=before,
        screen=screen,
    )


def test_every_leg_is_what_its_pool_quotes_and_the_legs_join() -> None:
    pools = market(1, pools=14)
    index = index_cycles(pools, start_tokens=TOKENS[:2], max_hops=3)
    opportunities = found(pools, index)
    assert len(opportunities) >= 5
    for one in opportunities:
        for leg, after in zip(one.legs, [*one.legs[1:], one.legs[0]], strict=True):
            quote = pools[leg.pool].quote_exact_in(leg.token_in, leg.amount_in)
            assert quote[:3] == (leg.amount_in, leg.amount_out, Completeness.COMPLETE)
            assert leg.token_out == after.token_in
        for leg, after in zip(one.legs, one.legs[1:], strict=False):
            assert leg.amount_out == after.amount_in
        assert one.gross_amount == one.legs[-1].amount_out - one.amount_in > 0
        assert one.upper_bound_amount is not None and one.gross_amount <= one.upper_bound_amount
        assert not one.limited_by_state
        assert one.before_amount == 0 and one.kind == "head"


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_incremental_search_with_a_screen_equals_a_full_one(seed: int) -> None:
    chance = random.Random(seed)
    pools = market(seed, pools=12)
    index = index_cycles(pools, start_tokens=TOKENS[:2], max_hops=3)
    screen = Screen(index, pools)
    standing = {one.id: one for one in found(pools, index)}
    for step in range(3):
        changed = chance.sample([pool.address for pool in pools], 2)
        after = pools.with_pools([moved(pools[address], seed + step) for address in changed])
        touched = frozenset(changed)
        with_screen = found(after, index, touched, before=pools, screen=screen)
        assert with_screen == found(after, index, touched, before=pools)
        everything = found(after, index)
        gone = {one.id for one in standing.values() if set(one.pools) & touched}
        kept = {one.legs: one.gross_amount for key, one in standing.items() if key not in gone}
        moved_now = {one.legs: one.gross_amount for one in with_screen}
        assert kept | moved_now == {one.legs: one.gross_amount for one in everything}
        by_cycle = {(one.pools, one.legs[0].token_in): one.gross_amount for one in standing.values()}
        for one in with_screen:
            assert one.kind == "backrun"
            assert one.before_amount == by_cycle.get((one.pools, one.legs[0].token_in), one.before_amount)
        pools, standing = after, {one.id: one for one in everything}


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_screen_loses_no_cycle_that_pays_at_the_margin(seed: int) -> None:
    pools = market(seed, pools=14)
    index = index_cycles(pools, start_tokens=TOKENS[:2], max_hops=4)
    screen = Screen(index, PoolSet())
    screen.move_to(pools)
    survivors = set(screen.survivors(None))
    for number, cycle in enumerate(index.cycles):
        route = route_of(cycle, pools)
        assert route is not None
        if pays_at_the_margin(route):
            assert number in survivors
    some = pools.addresses[:3]
    assert set(screen.survivors(some)) == survivors & set(index.touched(some))
    # It does rule out: of a cycle and its reverse at most one can pay.
    assert len(survivors) <= len(index.cycles) // 2


def test_a_cycle_whose_pool_is_gone_is_passed_over() -> None:
    pools = market(1, pools=14)
    index = index_cycles(pools, start_tokens=TOKENS[:2], max_hops=3)
    screen = Screen(index, pools)
    first = found(pools, index)[0]
    fewer = pools.without([first.pools[0]])
    for left in (found(fewer, index), found(fewer, index, screen=screen)):
        assert left
        assert all(first.pools[0] not in one.pools for one in left)


def test_pools_that_come_later_enter_index_and_screen() -> None:
    pools = market(2, pools=14)
    half = PoolSet(list(pools)[:7])
    index = index_cycles(half, start_tokens=TOKENS[:2], max_hops=3)
    screen = Screen(index, half)
    index.add(list(pools)[7:])
    whole = index_cycles(pools, start_tokens=TOKENS[:2], max_hops=3)
    assert {one.legs for one in found(pools, index, screen=screen)} == {one.legs for one in found(pools, whole)}
