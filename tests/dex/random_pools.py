"""Random pool states and asks that look for trouble: word edges, gaps, prices and limits on ticks, whole steps."""

from __future__ import annotations

import random

from agent.dex.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK, sqrt_ratio_at_tick
from agent.dex.v2 import MAX_RESERVE, V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import Tick, TickMap
from agent.eth.units import Address


def log_uniform(chance: random.Random, low_bits: int, high_bits: int) -> int:
    """A positive integer of a random number of bits."""
    return chance.getrandbits(chance.randint(low_bits, high_bits)) + 1


def random_v3(
    chance: random.Random, *, address: Address, token0: Address, token1: Address, fee_pips: int, tick_spacing: int
) -> V3Pool:
    """A pool with up to a dozen positions around a random price, some of them away from it."""
    top = MAX_TICK // tick_spacing
    span = 10 ** chance.randint(1, 4)
    # Near the ends of the tick domain one time in eight.
    middle = chance.choice((-top + 20, top - 20)) if chance.random() < 0.125 else chance.randint(-top // 3, top // 3)
    if chance.random() < 0.3:
        middle = (middle >> 8) << 8
    nets: dict[int, int] = {}
    grosses: dict[int, int] = {}
    positions = []
    bits = chance.randint(1, 110)
    for _ in range(chance.randint(1, 12)):
        a, b = (middle + chance.randint(-span, span) for _ in range(2))
        if chance.random() < 0.25:
            a = ((a >> 8) << 8) + chance.choice((-1, 0, 255))
        lower, upper = sorted((max(-top, min(top, a)), max(-top, min(top, b))))
        if lower == upper:
            continue
        amount = log_uniform(chance, max(0, bits - 20), bits)
        positions.append((lower * tick_spacing, upper * tick_spacing, amount))
    for lower, upper, amount in positions:
        for tick, net in ((lower, amount), (upper, -amount)):
            nets[tick] = nets.get(tick, 0) + net
            grosses[tick] = grosses.get(tick, 0) + amount
    tick, price = _price(chance, middle * tick_spacing, tick_spacing, sorted(nets))
    liquidity = sum(amount for lower, upper, amount in positions if lower <= tick < upper)
    ticks = TickMap({t: Tick(nets[t], grosses[t]) for t in nets}, tick_spacing=tick_spacing, known_words=None)
    return V3Pool(
        address=address,
        token0=token0,
        token1=token1,
        fee_pips=fee_pips,
        sqrt_price_x96=price,
        tick=tick,
        liquidity=liquidity,
        ticks=ticks,
    )


def _price(chance: random.Random, near: int, spacing: int, initialised: list[int]) -> tuple[int, int]:
    """(tick, price): inside a tick, exactly on one, or on one reached from above, whose stored tick is one less."""
    kind = chance.random()
    tick = near + chance.randint(-2 * spacing, 2 * spacing)
    if initialised and kind < 0.4:
        tick = chance.choice(initialised)
    tick = max(MIN_TICK + 1, min(MAX_TICK - 2, tick))
    price = sqrt_ratio_at_tick(tick)
    if kind < 0.2:
        return tick, price
    if kind < 0.3 and (tick in initialised or (tick // spacing) % 256 == 0) and tick % spacing == 0:
        return tick - 1, price
    above = sqrt_ratio_at_tick(tick + 1)
    return tick, chance.randrange(price, above) if above > price else price


def random_limit(chance: random.Random, pool: V3Pool, *, zero_for_one: bool, far: bool) -> int:
    """A price limit: the end of the domain, near a tick, on a tick, or one off it."""
    end = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    if far:
        return end
    step = -1 if zero_for_one else 1
    kind = chance.random()
    ordered = pool.ticks.ordered
    if kind < 0.4 and ordered:
        tick = chance.choice(ordered)
    else:
        tick = pool.tick + step * chance.randint(0, 2 * 256 * pool.tick_spacing)
        if kind < 0.6:
            tick = tick // (256 * pool.tick_spacing) * 256 * pool.tick_spacing
    tick = max(MIN_TICK, min(MAX_TICK, tick))
    return sqrt_ratio_at_tick(tick) + chance.choice((-1, 0, 0, 1))


def random_amount(chance: random.Random, pool: V3Pool, *, zero_for_one: bool) -> int:
    """A signed amount: any size, or at the end of a whole step, give or take two."""
    sign = chance.choice((1, -1))
    table = pool.step_table(zero_for_one=zero_for_one)
    boundaries = table.costs if sign > 0 else table.outputs
    for _ in range(chance.randint(0, 6)):
        table.grow()
    if chance.random() < 0.5:
        return sign * max(1, chance.choice(boundaries) + chance.randint(-2, 2))
    return sign * log_uniform(chance, 0, chance.choice((20, 60, 100, 140)))


def random_v2(chance: random.Random, *, address: Address, token0: Address, token1: Address) -> V2Pool:
    """A pair with reserves of any size, one time in ten at the top."""
    reserves = [min(MAX_RESERVE, log_uniform(chance, 1, 112)) for _ in range(2)]
    if chance.random() < 0.1:
        reserves[chance.randrange(2)] = MAX_RESERVE - chance.randrange(1000)
    return V2Pool(
        address=address, token0=token0, token1=token1, fee_pips=3000, reserve0=reserves[0], reserve1=reserves[1]
    )
