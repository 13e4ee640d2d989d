"""A market of ten thousand pairs around three hub tokens, the same for every run."""

from __future__ import annotations

import random

from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.eth.units import Address
from agent.strategies.arb.cycles import CycleIndex, index_cycles

POOLS = 10_000
TOKENS = 3_100
WETH, USDC, DAI = (Address(i.to_bytes(20, "big")) for i in (1, 2, 3))


def market() -> PoolSet:
    """Each token on a pair with each hub and on a few doubles; prices agree within a percent."""
    chance = random.Random(24)
    tokens = [Address((1000 + i).to_bytes(20, "big")) for i in range(TOKENS)]
    worth = {token: chance.uniform(1e-3, 1e3) for token in tokens} | dict.fromkeys((WETH, USDC, DAI), 1.0)
    pairs = [(WETH, USDC), (WETH, USDC), (WETH, DAI), (USDC, DAI)]
    pairs += [(hub, token) for token in tokens for hub in (WETH, USDC, DAI)]
    while len(pairs) < POOLS:
        pairs.append((WETH, chance.choice(tokens)))
    pools = []
    for number, (a, b) in enumerate(pairs):
        token0, token1 = sorted((a, b))
        depth = chance.randrange(10**20, 10**22)
        pools.append(
            V2Pool(
                address=Address((10**6 + number).to_bytes(20, "big")),
                token0=token0,
                token1=token1,
                fee_pips=3000,
                reserve0=int(depth / worth[token0] * chance.uniform(0.995, 1.005)),
                reserve1=int(depth / worth[token1] * chance.uniform(0.995, 1.005)),
            )
        )
    return PoolSet(pools)


def index(pools: PoolSet) -> CycleIndex:
    """Cycles of up to three hops from the hubs."""
    return index_cycles(pools, start_tokens=(WETH, USDC, DAI), max_hops=3)


def changed(pools: PoolSet, seed: int, count: int = 40) -> PoolSet:
    """The market after a block that moved `count` pairs of ordinary tokens."""
    chance = random.Random(seed)
    moved = []
    for address in chance.sample(pools.addresses[4:], count):
        pool = pools[address]
        assert isinstance(pool, V2Pool)
        moved.append(
            pool.with_reserves(
                reserve0=pool.reserve0 * chance.randint(985, 1015) // 1000,
                reserve1=pool.reserve1 * chance.randint(985, 1015) // 1000,
            )
        )
    return pools.with_pools(moved)
