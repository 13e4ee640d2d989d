"""Spreads between pools of the same pair, as data.

Prices are fractions of integers, token1 per token0; spreads are pips (millionths), floored, so a spread of 0 after fees
is not yet a profit. Depths are exact quotes at the sizes asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agent.dex.pool import Completeness, Pool
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address

PIPS = 1_000_000


class Depth(msgspec.Struct, frozen=True, gc=False):
    """What selling `amount_in` of a token gives; `completeness` as of a quote."""

    token_in: Address
    amount_in: int
    amount_out: int
    completeness: Completeness


class PoolView(msgspec.Struct, frozen=True):
    """One pool of a pair. The mid price, without fee, is numerator / denominator units of token1 per unit of token0."""

    pool: Address
    kind: str
    fee_pips: int
    mid_numerator: int
    mid_denominator: int
    depths: tuple[Depth, ...]


class Spread(msgspec.Struct, frozen=True):
    """A pair on two or more pools; buy token0 where it is cheap, sell it where it is dear."""

    token0: Address
    token1: Address
    buy_pool: Address
    sell_pool: Address
    mid_spread_pips: int
    """Dearest mid over cheapest mid, minus 1, floored."""
    net_spread_pips: int
    """The same after both fees, at size zero, for the best two pools; negative where nothing is open."""
    pools: tuple[PoolView, ...]
    """Cheapest token0 first."""


def spreads(pool_set: PoolSet, *, sizes: Mapping[Address, Sequence[int]]) -> list[Spread]:
    """Every pair on at least two pools with liquidity, widest net spread first; `sizes` are input amounts by token."""
    found = []
    for (token0, token1), addresses in pool_set.by_pair.items():
        if len(addresses) < 2:
            continue
        pools = [pool_set[address] for address in addresses]
        live = [pool for pool in pools if pool.marginal_price(token0)[0] and pool.marginal_price(token1)[0]]
        if len(live) >= 2:
            found.append(_spread(token0, token1, live, sizes))
    found.sort(key=lambda spread: (-spread.net_spread_pips, spread.token0, spread.token1))
    return found


def _spread(token0: Address, token1: Address, pools: Sequence[Pool], sizes: Mapping[Address, Sequence[int]]) -> Spread:
    best: tuple[int, Address, Address] | None = None
    for seller in pools:
        gain, loss = seller.marginal_price(token0)
        for buyer in pools:
            if buyer is seller:
                continue
            back, paid = buyer.marginal_price(token1)
            net = (gain * back - loss * paid) * PIPS // (loss * paid)
            if best is None or net > best[0]:
                best = net, buyer.address, seller.address
    assert best is not None
    views = sorted((_view(pool, token0, token1, sizes) for pool in pools), key=_Mid)
    low, high = views[0], views[-1]
    gain, loss = high.mid_numerator * low.mid_denominator, high.mid_denominator * low.mid_numerator
    return Spread(
        token0=token0,
        token1=token1,
        buy_pool=best[1],
        sell_pool=best[2],
        mid_spread_pips=(gain - loss) * PIPS // loss,
        net_spread_pips=best[0],
        pools=tuple(views),
    )


def _view(pool: Pool, token0: Address, token1: Address, sizes: Mapping[Address, Sequence[int]]) -> PoolView:
    numerator, denominator = pool.marginal_price(token0)
    depths = []
    for token_in in (token0, token1):
        for amount_in in sizes.get(token_in, ()):
            quote = pool.quote_exact_in(token_in, amount_in)
            depths.append(Depth(token_in, quote.amount_in, quote.amount_out, quote.completeness))
    return PoolView(
        pool=pool.address,
        kind=pool.kind,
        fee_pips=pool.fee_pips,
        mid_numerator=numerator * PIPS,
        mid_denominator=denominator * (PIPS - pool.fee_pips),
        depths=tuple(depths),
    )


class _Mid:
    """Order of views by exact mid price, then address."""

    __slots__ = ("view",)

    def __init__(self, view: PoolView) -> None:
        self.view = view

    def __lt__(self, other: _Mid) -> bool:
        mine = self.view.mid_numerator * other.view.mid_denominator
        theirs = other.view.mid_numerator * self.view.mid_denominator
        return (mine, self.view.pool) < (theirs, other.view.pool)
