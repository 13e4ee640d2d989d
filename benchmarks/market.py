"""A market of ten thousand pools around three hub tokens, the same for every run."""

from __future__ import annotations

import math
import random

from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.dex.tick_math import tick_at_sqrt_ratio
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address
from agent.strategies.arb.cycles import CycleIndex, index_cycles

POOLS = 10_000
SPACING = 60
TOKENS = 3_100
WETH, USDC, DAI = (Address(i.to_bytes(20, "big")) for i in (1, 2, 3))


def market() -> PoolSet:
    """Each token on a pool with each hub and on a few doubles; prices agree within a percent; every fourth has ticks."""
    chance = random.Random(24)
    tokens = [Address((1000 + i).to_bytes(20, "big")) for i in range(TOKENS)]
    worth = {token: chance.uniform(1e-3, 1e3) for token in tokens} | dict.fromkeys((WETH, USDC, DAI), 1.0)
    pairs = [(WETH, USDC), (WETH, USDC), (WETH, DAI), (USDC, DAI)]
    pairs += [(hub, token) for token in tokens for hub in (WETH, USDC, DAI)]
    while len(pairs) < POOLS:
        pairs.append((WETH, chance.choice(tokens)))
    pools: list[Pool] = []
    for number, (a, b) in enumerate(pairs):
        token0, token1 = sorted((a, b))
        address = Address((10**6 + number).to_bytes(20, "big"))
        depth = chance.randrange(10**20, 10**22)
        price = worth[token0] / worth[token1] * chance.uniform(0.99, 1.01)
        if number % 4 == 3:
            pools.append(_with_ticks(chance, address, token0, token1, int(math.sqrt(price) * 2**96), depth))
            continue
        reserve0, reserve1 = int(depth / worth[token0]), int(depth / worth[token0] * price)
        pools.append(
            V2Pool(address=address, token0=token0, token1=token1, fee_pips=3000, reserve0=reserve0, reserve1=reserve1)
        )
    return PoolSet(pools)


def _with_ticks(
    chance: random.Random, address: Address, token0: Address, token1: Address, price: int, depth: int
) -> V3Pool:
    """A 0.3 % pool with twenty positions around its price."""
    tick = tick_at_sqrt_ratio(price)
    nets: dict[int, int] = {}
    for _ in range(20):
        centre = tick // SPACING
        lower, upper = centre - chance.randint(1, 40), centre + chance.randint(1, 40)
        for position, net in ((lower * SPACING, depth), (upper * SPACING, -depth)):
            nets[position] = nets.get(position, 0) + net
    ticks = TickMap({t: Tick(net, abs(net) or 1) for t, net in nets.items()}, tick_spacing=SPACING, known_words=None)
    return V3Pool(
        address=address,
        token0=token0,
        token1=token1,
        fee_pips=3000,
        sqrt_price_x96=price,
        tick=tick,
        liquidity=_active(ticks, tick),
        ticks=ticks,
    )


def _active(ticks: TickMap, tick: int) -> int:
    return sum(state.liquidity_net or 0 for position, state in ticks.by_tick.items() if position <= tick)


def index(pools: PoolSet) -> CycleIndex:
    """Cycles of up to three hops from the hubs."""
    return index_cycles(pools, start_tokens=(WETH, USDC, DAI), max_hops=3)


def changed(pools: PoolSet, seed: int, count: int = 40) -> PoolSet:
    """The market after a block that moved `count` pools of ordinary tokens."""
    chance = random.Random(seed)
    moved: list[Pool] = []
    for address in chance.sample(pools.addresses[4:], count):
        pool = pools[address]
        if isinstance(pool, V2Pool):
            # Back and forth around where it was, so that an hour of blocks wears nothing out.
            share = chance.randint(985, 1015)
            moved.append(
                pool.with_reserves(reserve0=pool.reserve0 * share // 1000, reserve1=pool.reserve1 * 1000 // share)
            )
        else:
            assert isinstance(pool, V3Pool)
            price = pool.sqrt_price_x96 * chance.randint(995, 1005) // 1000
            tick = tick_at_sqrt_ratio(price)
            moved.append(pool.at(sqrt_price_x96=price, tick=tick, liquidity=_active(pool.ticks, tick)))
    return pools.with_pools(moved)
