"""The same cycle begun in another of its tokens: another size, another profit, in another unit.

An agent starts each cycle in one token (`cycles`); a survey lists it in every start token that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from agent.dex.pool_set import PoolSet
from agent.eth.units import Address
from agent.strategies.arb.locate import Route
from agent.strategies.arb.opportunity import Cycle, Hop, Opportunity
from agent.strategies.arb.sizing import Sized, best_size, legs_of, route_of


def rotated(
    opportunity: Opportunity,
    pools: PoolSet,
    *,
    before: PoolSet | None,
    start_tokens: Collection[Address],
    size: Callable[[Route], Sized | None] = best_size,
) -> list[Opportunity]:
    """The opportunity in each other start token of its cycle where some whole amount pays."""
    hops = tuple(Hop(leg.pool, leg.token_in, leg.token_out) for leg in opportunity.legs)
    found = []
    for first in range(1, len(hops)):
        if hops[first].token_in not in start_tokens:
            continue
        cycle = Cycle(hops[first:] + hops[:first])
        route = route_of(cycle, pools)
        sized = None if route is None else size(route)
        if route is None or sized is None:
            continue
        route_before = None if before is None else route_of(cycle, before)
        sized_before = None if route_before is None else size(route_before)
        found.append(
            msgspec.structs.replace(
                opportunity,
                legs=legs_of(cycle, route, sized.amounts),
                gross_amount=sized.gross,
                before_amount=0 if sized_before is None else sized_before.gross,
                upper_bound_amount=sized.upper_bound,
                limited_by_state=sized.limited_by_state,
            )
        )
    return found
