"""Cycles of two to four hops, and which of them go through a pool.

A cycle with WETH in it starts and ends in WETH, because only there can the builder be paid from the profit; any
other starts in the first of the listed start tokens that it holds. Each closed walk appears once per direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address
from agent.strategies.arb.opportunity import Cycle, Hop


class CycleIndex:
    """Every cycle over a pool set, numbered in a deterministic order, and the numbers by pool."""

    __slots__ = ("_hops", "_rank", "by_pool", "cycles", "max_hops", "start_tokens", "token0_by_pool")

    def __init__(self, pools: Iterable[Pool] = (), *, start_tokens: Sequence[Address], max_hops: int) -> None:
        """`start_tokens` in order of preference, WETH first; `max_hops` is 2, 3 or 4."""
        if not 2 <= max_hops <= 4:
            raise ValueError(f"cycles have 2 to 4 hops, not {max_hops}")
        self.start_tokens = tuple(start_tokens)
        self.max_hops = max_hops
        self._rank = {token: rank for rank, token in enumerate(self.start_tokens)}
        self._hops: dict[Address, dict[Address, list[Hop]]] = {}
        self.cycles: list[Cycle] = []
        self.by_pool: dict[Address, list[int]] = {}
        self.token0_by_pool: dict[Address, Address] = {}
        self.add(pools)

    def add(self, pools: Iterable[Pool]) -> None:
        """Take in new pools: every cycle through at least one of them and the pools before."""
        for pool in sorted(pools, key=lambda pool: pool.address):
            if pool.address not in self.by_pool:
                self._add_one(pool)

    def touched(self, addresses: Iterable[Address]) -> list[int]:
        """Numbers of the cycles through any of these pools, ascending, each once."""
        numbers: set[int] = set()
        for address in addresses:
            numbers.update(self.by_pool.get(address, ()))
        return sorted(numbers)

    def _add_one(self, pool: Pool) -> None:
        down = Hop(pool.address, pool.token0, pool.token1)
        up = Hop(pool.address, pool.token1, pool.token0)
        self.by_pool[pool.address] = []
        self.token0_by_pool[pool.address] = pool.token0
        for hop in (down, up):
            for length in range(1, self.max_hops):
                for rest in self._paths(hop.token_out, hop.token_in, length):
                    self._keep((hop, *rest))
        for hop in (down, up):
            self._hops.setdefault(hop.token_in, {}).setdefault(hop.token_out, []).append(hop)

    def _paths(self, source: Address, goal: Address, length: int) -> list[tuple[Hop, ...]]:
        """Paths of `length` hops over the pools already here, no token twice.

        Built from the end with fewer neighbours: a hub token has thousands, the other end of its pools a handful.
        """
        from_source, from_goal = self._hops.get(source, {}), self._hops.get(goal, {})
        if length == 1:
            return [(hop,) for hop in from_source.get(goal, ())]
        if length == 2 and len(from_source) > len(from_goal):
            # Every pool goes both ways, so the neighbours of the goal are those who lead to it.
            between = [token for token in from_goal if token in from_source]
        elif length == 2:
            between = [token for token in from_source if token in from_goal]
        elif len(from_source) > len(from_goal):
            return [
                (*path, hop)
                for token in from_goal if token != source
                for path in self._paths(source, token, length - 1) if all(one.token_out != goal for one in path)
                for hop in self._hops[token][goal]
            ]  # fmt: skip
        else:
            return [
                (hop, *path)
                for token, hops in from_source.items() if token != goal
                for path in self._paths(token, goal, length - 1) if all(one.token_out != source for one in path)
                for hop in hops
            ]  # fmt: skip
        return [
            (first, second) for token in between for first in from_source[token] for second in self._hops[token][goal]
        ]

    def _keep(self, hops: tuple[Hop, ...]) -> None:
        ranks = [self._rank.get(hop.token_in) for hop in hops]
        known = [rank for rank in ranks if rank is not None]
        if not known:
            return
        first = ranks.index(min(known))
        number = len(self.cycles)
        self.cycles.append(Cycle(hops[first:] + hops[:first]))
        for hop in hops:
            self.by_pool[hop.pool].append(number)


def index_cycles(pool_set: PoolSet, *, start_tokens: Sequence[Address], max_hops: int) -> CycleIndex:
    """The index over all pools of a set."""
    return CycleIndex(pool_set, start_tokens=start_tokens, max_hops=max_hops)
