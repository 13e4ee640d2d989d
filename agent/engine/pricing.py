"""What an amount of a token is worth in ETH at a state: what the best single pool would really pay for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from agent.dex.pool import Completeness
from agent.dex.pool_set import PoolSet, pair_of
from agent.eth.units import Address


def value_in_ether(
    pools: PoolSet,
    token: Address,
    amount: int,
    *,
    weth: Address,
    unproved: Set[Address] = frozenset(),
    moved: Collection[Address] = (),
) -> int | None:
    """Wei for `amount` units of `token`, rounded down as the pool rounds; None where no pool answers in full.

    A pool in `unproved` gives no price: nothing has been executed through it, and the best price of all is what a
    pool that lies would show. `moved` are the pools of our own cycle: their price is the one that we are about to
    correct, so it counts only where there is no other.
    """
    if token == weth:
        return amount
    if amount <= 0:
        return 0 if amount == 0 else None
    known = [address for address in pools.by_pair.get(pair_of(token, weth), ()) if address not in unproved]
    beside = _best_output(pools, [address for address in known if address not in moved], token, amount)
    return beside if beside is not None else _best_output(pools, known, token, amount)


def _best_output(pools: PoolSet, addresses: Sequence[Address], token: Address, amount: int) -> int | None:
    quotes = [pools[address].quote_exact_in(token, amount) for address in addresses]
    return max((q.amount_out for q in quotes if q.completeness is Completeness.COMPLETE), default=None)
