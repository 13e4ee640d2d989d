"""Who gives way to whom where bundles share a pool."""

from __future__ import annotations

from collections.abc import Sequence

from agent.engine.tracked import Tracked


def heirs_of(beaten: Sequence[Tracked], chosen: Sequence[Tracked]) -> dict[str, Tracked]:
    """For each chosen one the live bundle that it takes over, by id: the first that shares a pool, each only once."""
    heirs: dict[str, Tracked] = {}
    left = list(beaten)
    for one in chosen:
        pools = set(one.opportunity.pools)
        old = next((live for live in left if pools.intersection(live.opportunity.pools)), None)
        if old is not None:
            heirs[one.opportunity.id] = old
            left.remove(old)
    return heirs


def winner_over(loser: Tracked, chosen: Sequence[Tracked]) -> str:
    """The chosen one that the loser shares a pool with; the best of all where the set was picked otherwise."""
    pools = set(loser.opportunity.pools)
    for winner in chosen:
        if pools.intersection(winner.opportunity.pools):
            return winner.opportunity.id
    return chosen[0].opportunity.id if chosen else "none"
