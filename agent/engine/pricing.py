"""What an amount of a token is worth in ETH at a state: what the best single pool would really pay for it."""

from __future__ import annotations

from collections.abc import Set

from agent.dex.pool import Completeness
from agent.dex.pool_set import PoolSet, pair_of
from agent.eth.units import Address


def value_in_ether(
    pools: PoolSet, token: Address, amount: int, *, weth: Address, unproved: Set[Address] = frozenset()
) -> int | None:
    """Wei for `amount` units of `token`, rounded down as the pool rounds; None where no pool answers in full.

    A pool in `unproved` gives no price: nothing has been executed through it, and the best price of all is what a
    pool that lies would show.
    """
    if token == weth:
        return amount
    if amount <= 0:
        return 0 if amount == 0 else None
    best: int | None = None
    for address in pools.by_pair.get(pair_of(token, weth), ()):
        if address in unproved:
            continue
        quote = pools[address].quote_exact_in(token, amount)
        if quote.completeness is Completeness.COMPLETE and (best is None or quote.amount_out > best):
            best = quote.amount_out
    return best
