"""From touched pools to opportunities: only their cycles, gated at the margin, then sized exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from agent.dex.pool import StateName
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address, Hash32
from agent.strategies.arb.cycles import CycleIndex
from agent.strategies.arb.locate import Route
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.sizing import Sized, best_size, legs_of, route_of

if TYPE_CHECKING:
    from agent.strategies.arb.screen import Screen


def find_opportunities(
    pool_set: PoolSet,
    cycle_index: CycleIndex,
    *,
    touched: Iterable[Address] | None,
    state: StateName,
    block_number: int,
    after_transaction: Hash32 | None,
    before: PoolSet | None,
    screen: Screen | None = None,
    size: Callable[[Route], Sized | None] = best_size,
) -> list[Opportunity]:
    """Every cycle that pays at this state, largest profit first within each start token (tokens in the index's order).

    `touched` None searches all cycles. `before` is the state just before the target; `before_amount` is then what the
    best size of the same cycle paid there. A `screen` over the same index passes over what cannot pay, and changes
    nothing else; `size` is `best_size` on the hot path, `finest_size` where a millisecond a cycle does not matter.
    """
    numbers: Iterable[int]
    if screen is not None:
        screen.move_to(pool_set)
        numbers = screen.survivors(touched)
    else:
        numbers = range(len(cycle_index.cycles)) if touched is None else cycle_index.touched(touched)
    found: list[Opportunity] = []
    for number in numbers:
        cycle = cycle_index.cycles[number]
        route = route_of(cycle, pool_set)
        if route is None:
            continue
        sized = size(route)
        if sized is None:
            continue
        before_amount = 0
        route_before = None if before is None else route_of(cycle, before)
        if route_before is not None:
            sized_before = size(route_before)
            before_amount = 0 if sized_before is None else sized_before.gross
        found.append(
            Opportunity(
                state=state,
                block_number=block_number,
                after_transaction=after_transaction,
                legs=legs_of(cycle, route, sized.amounts),
                gross_amount=sized.gross,
                before_amount=before_amount,
                upper_bound_amount=sized.upper_bound,
                limited_by_state=sized.limited_by_state,
            )
        )
    rank = {token: position for position, token in enumerate(cycle_index.start_tokens)}
    found.sort(key=lambda o: (rank[o.start_token], -o.gross_amount, o.pools, o.legs[0].token_out))
    return found
