"""Spreads: who is cheap, who is dear, and what is left after fees."""

from __future__ import annotations

from agent.dex.pool_set import PoolSet
from agent.dex.spreads import spreads
from agent.dex.v2 import V2Pool
from agent.eth.units import Address

A, B, C = (Address(bytes([i]) * 20) for i in range(1, 4))


def pair(number: int, token0: Address, token1: Address, reserve0: int, reserve1: int, fee_pips: int = 3000) -> V2Pool:
    return V2Pool(
        address=Address(number.to_bytes(20, "big")),
        token0=token0,
        token1=token1,
        fee_pips=fee_pips,
        reserve0=reserve0,
        reserve1=reserve1,
    )


def test_spread_is_what_selling_dear_and_buying_cheap_leaves_after_both_fees() -> None:
    cheap = pair(1, A, B, 10**18, 100 * 10**18)
    dear = pair(2, A, B, 10**18, 102 * 10**18)
    middle = pair(3, A, B, 10**18, 101 * 10**18)
    (found,) = spreads(PoolSet([dear, cheap, middle]), sizes={A: (10**15,), B: (10**17, 10**18)})
    assert (found.buy_pool, found.sell_pool) == (cheap.address, dear.address)
    assert found.mid_spread_pips == 20_000
    assert found.net_spread_pips == 102 * 997 * 997 // 100 - 1_000_000
    assert [view.pool for view in found.pools] == [cheap.address, middle.address, dear.address]
    for view, pool in zip(found.pools, (cheap, middle, dear), strict=True):
        assert view.mid_numerator * pool.reserve0 == view.mid_denominator * pool.reserve1
        assert [(d.token_in, d.amount_in) for d in view.depths] == [(A, 10**15), (B, 10**17), (B, 10**18)]
        assert [d.amount_out for d in view.depths] == [
            pool.quote_exact_in(d.token_in, d.amount_in).amount_out for d in view.depths
        ]


def test_a_low_fee_can_beat_a_better_mid() -> None:
    pools = [
        pair(1, A, B, 10**18, 100 * 10**18),
        pair(2, A, B, 10**18, 101 * 10**18, 100),
        pair(3, A, B, 10**18, 101 * 10**18 + 10**17, 10_000),
    ]
    (found,) = spreads(PoolSet(pools), sizes={})
    assert (found.buy_pool, found.sell_pool) == (pools[0].address, pools[1].address)


def test_pairs_come_widest_first_and_single_or_empty_pools_not_at_all() -> None:
    pools = PoolSet(
        [
            pair(1, A, B, 10**18, 10**18),
            pair(2, A, B, 10**18, 10**18 + 10**15),
            pair(3, A, C, 10**18, 10**18),
            pair(4, A, C, 10**18, 2 * 10**18),
            pair(5, B, C, 10**18, 10**18),
            pair(6, B, C, 0, 0),
        ]
    )
    found = spreads(pools, sizes={})
    assert [(one.token0, one.token1) for one in found] == [(A, C), (A, B)]
    assert found[1].net_spread_pips < 0 < found[0].net_spread_pips
