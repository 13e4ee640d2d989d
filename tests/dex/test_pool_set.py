"""Pool sets: values that share what did not change."""

from __future__ import annotations

import random

from agent.dex.events import V2_SYNC
from agent.dex.pool import Log
from agent.dex.pool_set import PoolSet, pair_of
from agent.dex.v2 import V2Pool
from agent.eth.units import Address

TOKENS = [Address(bytes([i]) * 20) for i in range(1, 5)]


def pool(number: int) -> V2Pool:
    token0, token1 = sorted(random.Random(number).sample(TOKENS, 2))
    return V2Pool(
        address=Address(number.to_bytes(20, "big")),
        token0=token0,
        token1=token1,
        fee_pips=3000,
        reserve0=10**18,
        reserve1=10**18,
    )


def sync(number: int, reserve0: int, reserve1: int) -> Log:
    data = reserve0.to_bytes(32, "big") + reserve1.to_bytes(32, "big")
    return Log(Address(number.to_bytes(20, "big")), (V2_SYNC,), data)


def test_logs_apply_in_order_and_name_the_pools_they_moved() -> None:
    before = PoolSet(pool(i) for i in range(10))
    after, touched = before.apply([sync(3, 5, 6), sync(99, 1, 1), sync(3, 7, 8), sync(4, 1, 2)])
    third, fourth = Address((3).to_bytes(20, "big")), Address((4).to_bytes(20, "big"))
    assert touched == {third, fourth}
    moved = after[third]
    assert isinstance(moved, V2Pool)
    assert (moved.reserve0, moved.reserve1) == (7, 8)


def test_the_old_set_is_the_rollback() -> None:
    before = PoolSet(pool(i) for i in range(10))
    values = list(before)
    after, _ = before.apply([sync(3, 5, 6)])
    assert list(before) == values
    assert all(a is b for a, b in zip(before, values, strict=True))
    assert sorted(after.differences(before)) == [Address((3).to_bytes(20, "big"))]
    assert before.apply([])[0] is before


def test_a_set_after_many_changes_equals_one_built_at_once() -> None:
    chance = random.Random(1)
    pools = {i: pool(i) for i in range(1500)}
    moving = PoolSet(pools.values())
    states = [(moving, dict(pools))]
    for _ in range(60):
        logs = [sync(chance.randrange(1500), chance.randrange(1, 10**9), chance.randrange(1, 10**9)) for _ in range(30)]
        moving, _ = moving.apply(logs)
        for log in logs:
            number = int.from_bytes(log.address, "big")
            pools[number] = pools[number].apply(log)
        states.append((moving, dict(pools)))
    for held, expected in states:
        assert [(p.address, p.marginal_price(p.token0)) for p in held] == [
            (p.address, p.marginal_price(p.token0)) for p in expected.values()
        ]
    for one, values in states[::7]:
        for other, other_values in states[::11]:
            found = set(one.differences(other))
            really = {
                p.address
                for p, q in zip(values.values(), other_values.values(), strict=True)
                if p.marginal_price(p.token0) != q.marginal_price(q.token0)
            }
            assert really <= found


def test_indexes_follow_pools_that_come_and_go() -> None:
    pools = PoolSet(pool(i) for i in range(12))
    grown = pools.with_pools([pool(i) for i in range(12, 20)])
    shrunk = grown.without([Address(i.to_bytes(20, "big")) for i in range(5)])
    assert len(shrunk) == 15
    assert Address((3).to_bytes(20, "big")) not in shrunk
    for held in (pools, grown, shrunk):
        for pair, addresses in held.by_pair.items():
            assert list(addresses) == sorted(p.address for p in held if pair_of(p.token1, p.token0) == pair)
        for token, addresses in held.by_token.items():
            assert set(addresses) == {p.address for p in held if token in (p.token0, p.token1)}
    replaced = shrunk.with_pools([pool(7).with_reserves(reserve0=1, reserve1=2)])
    assert replaced.by_pair is shrunk.by_pair
    assert shrunk.get(Address((1).to_bytes(20, "big"))) is None
