"""Random markets of V2 and V3 pools over few tokens, with prices a little apart."""

from __future__ import annotations

import random

from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.dex.tick_math import tick_at_sqrt_ratio
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address

TOKENS = tuple(Address(bytes([i]) * 20) for i in range(1, 7))
SPACING = 10


def market(seed: int, *, pools: int, scale: int = 10**18) -> PoolSet:
    """`pools` pools; every token is worth the same give or take 2 %, in units of `scale` depth."""
    chance = random.Random(seed)
    return PoolSet(_pool(chance, number + 1, scale) for number in range(pools))


def moved(pool: Pool, seed: int) -> Pool:
    """The pool at another price, as a swap would leave it."""
    chance = random.Random(seed)
    if isinstance(pool, V2Pool):
        return pool.with_reserves(
            reserve0=pool.reserve0 * chance.randint(980, 1020) // 1000 + 1,
            reserve1=pool.reserve1 * chance.randint(980, 1020) // 1000 + 1,
        )
    assert isinstance(pool, V3Pool)
    price = pool.sqrt_price_x96 * chance.randint(995, 1005) // 1000
    tick = tick_at_sqrt_ratio(price)
    return pool.at(sqrt_price_x96=price, tick=tick, liquidity=_active(pool.ticks, tick))


def _pool(chance: random.Random, number: int, scale: int) -> Pool:
    token0, token1 = sorted(chance.sample(TOKENS, 2))
    address = Address(number.to_bytes(20, "big"))
    if chance.random() < 0.5:
        base = scale * chance.randint(1, 50)
        return V2Pool(
            address=address,
            token0=token0,
            token1=token1,
            fee_pips=chance.choice((3000, 2500, 10_000)),
            reserve0=base * chance.randint(980, 1020) // 1000 + 1,
            reserve1=base * chance.randint(980, 1020) // 1000 + 1,
        )
    by_tick: dict[int, Tick] = {}
    for _ in range(chance.randint(1, 8)):
        lower = chance.randint(-60, 40)
        upper = lower + chance.randint(1, 60)
        amount = scale * chance.randint(1, 500)
        for position, net in ((lower * SPACING, amount), (upper * SPACING, -amount)):
            before = by_tick.get(position, Tick(0, 0))
            assert before.liquidity_net is not None and before.liquidity_gross is not None
            by_tick[position] = Tick(before.liquidity_net + net, before.liquidity_gross + amount)
    ticks = TickMap(by_tick, tick_spacing=SPACING, known_words=None)
    price = (1 << 96) * chance.randint(990, 1010) // 1000
    tick = tick_at_sqrt_ratio(price)
    return V3Pool(
        address=address,
        token0=token0,
        token1=token1,
        fee_pips=chance.choice((100, 500, 3000)),
        sqrt_price_x96=price,
        tick=tick,
        liquidity=_active(ticks, tick),
        ticks=ticks,
    )


def _active(ticks: TickMap, tick: int) -> int:
    return sum(state.liquidity_net or 0 for position, state in ticks.by_tick.items() if position <= tick)
