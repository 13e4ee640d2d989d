"""A fast gate before sizing: sums of logarithms of marginal rates, over the cycles that a change touched.

Floats only rule out: a cycle is passed over when its summed logarithm is below -SLACK. Each rate is the difference of
two logarithms of integers below 2^700, each off by less than 2^-43, so the sum over at most four hops is off by less
than 2^-39 < 2e-12. SLACK is 500 times that: no cycle that pays is lost. Exact integers decide on the survivors.

One screen holds one state at a time and is moved from state to state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from agent.dex.pool import Pool
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address
from agent.strategies.arb.cycles import CycleIndex

SLACK = 1e-9

_Integers = npt.NDArray[np.intp]


class Screen:
    """Log rates by edge and the edges of each cycle, as arrays."""

    __slots__ = ("_cycle_edges", "_cycles_by_pool", "_edge_of_pool", "_index", "_log_rates", "_pools")

    def __init__(self, index: CycleIndex, pools: PoolSet) -> None:
        self._index = index
        self._edge_of_pool: dict[Address, int] = {}
        self._pools = pools
        self._rebuild(pools)

    def _rebuild(self, pools: PoolSet) -> None:
        """Take in the index as it is now; edge 0 is the missing hop of a shorter cycle, at rate 1."""
        self._edge_of_pool = {address: 1 + 2 * i for i, address in enumerate(self._index.by_pool)}
        self._log_rates = np.full(1 + 2 * len(self._edge_of_pool), -np.inf)
        self._log_rates[0] = 0.0
        edges = np.zeros((self._index.max_hops, len(self._index.cycles)), dtype=np.intp)
        for number, cycle in enumerate(self._index.cycles):
            for position, hop in enumerate(cycle.hops):
                edge = self._edge_of_pool[hop.pool]
                is_token0 = hop.token_in == self._index.token0_by_pool[hop.pool]
                edges[position, number] = edge if is_token0 else edge + 1
        self._cycle_edges = edges
        # As bytes, because joining forty of them takes a fifth of what numpy takes to join forty arrays.
        self._cycles_by_pool = {
            address: np.array(numbers, dtype=np.intp).tobytes() for address, numbers in self._index.by_pool.items()
        }
        self._pools = pools
        self._update(pools)

    def move_to(self, pools: PoolSet) -> None:
        """Make `pools` the state that is screened."""
        if len(self._edge_of_pool) != len(self._index.by_pool):
            self._rebuild(pools)
            return
        for address in pools.differences(self._pools):
            pool = pools.get(address)
            edge = self._edge_of_pool.get(address)
            if edge is None:
                continue
            if pool is None:
                self._log_rates[edge] = self._log_rates[edge + 1] = -np.inf
            else:
                self._update((pool,))
        self._pools = pools

    def _update(self, pools: Iterable[Pool]) -> None:
        for pool in pools:
            edge = self._edge_of_pool.get(pool.address)
            if edge is not None:
                self._log_rates[edge] = _log_rate(*pool.marginal_price(pool.token0))
                self._log_rates[edge + 1] = _log_rate(*pool.marginal_price(pool.token1))

    def survivors(self, touched: Iterable[Address] | None) -> list[int]:
        """Numbers of the cycles through any of these pools (None: of all) that may pay at the margin, ascending."""
        if touched is None:
            return np.flatnonzero(self._sums(self._cycle_edges) > -SLACK).tolist()
        cycles_of = self._cycles_by_pool
        groups = [cycles_of[address] for address in touched if address in cycles_of]
        if not groups:
            return []
        numbers = np.frombuffer(b"".join(groups), dtype=np.intp)
        passing = numbers[self._sums(self._cycle_edges.take(numbers, axis=1)) > -SLACK]
        passing.sort()
        return list(dict.fromkeys(passing.tolist()))  # a cycle through two of the pools is there twice

    def _sums(self, edges: _Integers) -> npt.NDArray[np.float64]:
        """Summed log rates of cycles, one row of edges a hop."""
        rates = self._log_rates.take(edges)
        sums: npt.NDArray[np.float64] = rates[0] + rates[1]
        for row in rates[2:]:
            sums += row
        return sums


def _log_rate(numerator: int, denominator: int) -> float:
    return math.log(numerator) - math.log(denominator) if numerator and denominator else -math.inf
