"""A price is what one pool really pays; without one there is none."""

from __future__ import annotations

from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.engine.pricing import value_in_ether
from agent.eth.units import Address

WETH, USDC, OTHER = (Address(bytes([i]) * 20) for i in (1, 2, 3))


def pool(number: int, token1: Address, *, weth: int, other: int) -> V2Pool:
    address = Address(bytes([number]) * 20)
    return V2Pool(address=address, token0=WETH, token1=token1, fee_pips=3000, reserve0=weth, reserve1=other)


def test_weth_is_its_own_price() -> None:
    assert value_in_ether(PoolSet(), WETH, 5, weth=WETH) == 5


def test_the_best_paying_pool_gives_the_price_floored() -> None:
    pools = PoolSet([pool(10, USDC, weth=1_000, other=3_000), pool(11, USDC, weth=2_000, other=3_000)])
    assert value_in_ether(pools, USDC, 30, weth=WETH) == 2_000 * 30 * 997 // (3_000 * 1_000 + 30 * 997) == 19


def test_a_pool_that_nothing_proves_gives_no_price() -> None:
    pools = PoolSet([pool(10, USDC, weth=1_000, other=3_000), pool(11, USDC, weth=2_000_000, other=3)])
    liar = frozenset({pools.addresses[1]})
    honest = value_in_ether(PoolSet([pools[pools.addresses[0]]]), USDC, 30, weth=WETH)
    assert value_in_ether(pools, USDC, 30, weth=WETH, unproved=liar) == honest
    assert value_in_ether(pools, USDC, 30, weth=WETH, unproved=frozenset(pools.addresses)) is None


def test_no_pool_means_no_price() -> None:
    assert value_in_ether(PoolSet([pool(10, USDC, weth=1, other=1)]), OTHER, 1, weth=WETH) is None


def test_nothing_is_worth_nothing() -> None:
    assert value_in_ether(PoolSet(), USDC, 0, weth=WETH) == 0
