"""The best set of opportunities that do not touch each other: no pool in two of them.

Values of compatible ones add up; two that share a pool do not, so only one of them is taken. Exact by branch and bound
up to `EXACT_UP_TO` candidates, greedy by value above; either way with a proven bound on what any such set is worth.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from agent.eth.units import Address

EXACT_UP_TO = 24


class Selection(NamedTuple):
    """Positions of the chosen, ascending; their value; no compatible set is worth more than `upper_bound`."""

    chosen: tuple[int, ...]
    value: int
    upper_bound: int


def best_compatible(pools: Sequence[Collection[Address]], values: Sequence[int]) -> Selection:
    """The most valuable set; `pools[i]` are those of candidate i, worth `values[i]`. Worthless ones are never chosen.

    Deterministic: of equal values the earlier candidate.
    """
    order = sorted((i for i, value in enumerate(values) if value > 0), key=lambda i: (-values[i], i))
    conflicts = _conflicts(pools, order)
    if len(order) > EXACT_UP_TO:
        chosen = _greedy(order, conflicts)
        bound = _clique_bound(pools, values, order)
    else:
        chosen = _exact(order, values, conflicts)
        bound = sum(values[i] for i in chosen)
    return Selection(tuple(sorted(chosen)), sum(values[i] for i in chosen), bound)


def _conflicts(pools: Sequence[Collection[Address]], order: Sequence[int]) -> dict[int, int]:
    """Bit set of the candidates that share a pool with each."""
    by_pool: dict[Address, int] = {}
    for i in order:
        for pool in pools[i]:
            by_pool[pool] = by_pool.get(pool, 0) | 1 << i
    found = {}
    for i in order:
        mask = 0
        for pool in pools[i]:
            mask |= by_pool[pool]
        found[i] = mask & ~(1 << i)
    return found


def _greedy(order: Sequence[int], conflicts: dict[int, int]) -> list[int]:
    taken = 0
    chosen = []
    for i in order:
        if not conflicts[i] & taken:
            taken |= 1 << i
            chosen.append(i)
    return chosen


def _exact(order: Sequence[int], values: Sequence[int], conflicts: dict[int, int]) -> list[int]:
    best_value = -1
    best: list[int] = []
    # (candidates that may still be taken, value so far, chosen so far)
    stack: list[tuple[list[int], int, list[int]]] = [(list(order), 0, [])]
    while stack:
        rest, value, chosen = stack.pop()
        if value + sum(values[i] for i in rest) <= best_value:
            continue
        if not rest:
            best_value, best = value, chosen
            continue
        first, others = rest[0], rest[1:]
        free = [i for i in others if not conflicts[first] >> i & 1]
        if len(free) < len(others):
            stack.append((others, value, chosen))
        # Without a conflict there is no reason to leave it out. Pushed last: the greedy branch is looked at first.
        stack.append((free, value + values[first], [*chosen, first]))
    return best


def _clique_bound(pools: Sequence[Collection[Address]], values: Sequence[int], order: Sequence[int]) -> int:
    """Candidates that share one pool exclude each other, so each such group is worth at most its best."""
    bound = 0
    rest = list(order)
    while rest:
        head = rest[0]
        bound += values[head]
        counts = [(sum(1 for i in rest if pool in pools[i]), bytes(pool)) for pool in pools[head]]
        widest = max(counts)[1] if counts else None
        rest = [i for i in rest[1:] if widest not in pools[i]]
    return bound
