"""The cycle index: what it holds, where cycles start, and that growing equals building."""

from __future__ import annotations

import itertools
import random

from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.eth.units import Address
from agent.strategies.arb.cycles import CycleIndex, index_cycles
from agent.strategies.arb.opportunity import Cycle

WETH, USDC, DAI, OTHER, LAST = (Address(bytes([i]) * 20) for i in range(1, 6))


def pool(number: int, a: Address, b: Address) -> V2Pool:
    token0, token1 = sorted((a, b))
    return V2Pool(
        address=Address(number.to_bytes(20, "big")),
        token0=token0,
        token1=token1,
        fee_pips=3000,
        reserve0=10**20,
        reserve1=10**20,
    )


def graph(seed: int) -> list[V2Pool]:
    chance = random.Random(seed)
    tokens = (WETH, USDC, DAI, OTHER, LAST)
    return [pool(i + 1, *chance.sample(tokens, 2)) for i in range(12)]


def brute_force(pools: list[V2Pool], start_tokens: tuple[Address, ...], max_hops: int) -> set[tuple[bytes, ...]]:
    found = set()
    for length in range(2, max_hops + 1):
        for chosen in itertools.permutations(pools, length):
            for start in start_tokens:
                token, tokens = start, []
                for one in chosen:
                    if token not in (one.token0, one.token1):
                        break
                    tokens.append(token)
                    token = one.token1 if token == one.token0 else one.token0
                else:
                    better = start_tokens[: start_tokens.index(start)]
                    if token == start and len(set(tokens)) == length and not set(better) & set(tokens):
                        found.add(tuple(bytes(one.address) + t for one, t in zip(chosen, tokens, strict=True)))
    return found


def key(cycle: Cycle) -> tuple[bytes, ...]:
    return tuple(bytes(hop.pool) + hop.token_in for hop in cycle.hops)


def test_index_holds_exactly_the_cycles_that_exist() -> None:
    for seed in range(4):
        pools = graph(seed)
        for max_hops in (2, 3, 4):
            index = CycleIndex(pools, start_tokens=(WETH, USDC), max_hops=max_hops)
            keys = [key(cycle) for cycle in index.cycles]
            assert len(keys) == len(set(keys))
            assert set(keys) == brute_force(pools, (WETH, USDC), max_hops)


def test_a_cycle_with_weth_in_it_starts_and_ends_there() -> None:
    index = CycleIndex(graph(1), start_tokens=(WETH, USDC, DAI), max_hops=3)
    for cycle in index.cycles:
        tokens = [hop.token_in for hop in cycle.hops]
        assert cycle.hops[-1].token_out == cycle.start_token
        assert WETH not in tokens or cycle.start_token == WETH


def test_adding_pools_later_gives_the_same_cycles() -> None:
    pools = graph(2)
    whole = CycleIndex(pools, start_tokens=(WETH, USDC), max_hops=3)
    grown = CycleIndex(pools[6:], start_tokens=(WETH, USDC), max_hops=3)
    grown.add(pools[:6])
    grown.add(pools)
    assert {key(c) for c in whole.cycles} == {key(c) for c in grown.cycles}
    assert len(whole.cycles) == len(grown.cycles)


def test_touched_pools_name_exactly_the_cycles_through_them() -> None:
    index = index_cycles(PoolSet(graph(3)), start_tokens=(WETH, USDC), max_hops=3)
    touched = (Address((3).to_bytes(20, "big")), Address((7).to_bytes(20, "big")), Address(b"\xff" * 20))
    expected = [i for i, cycle in enumerate(index.cycles) if set(cycle.pools) & set(touched)]
    assert index.touched(touched) == expected
    assert expected
