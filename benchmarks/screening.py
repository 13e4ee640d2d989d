"""Screening after a block that moved 40 of 10,000 pools.

Against exact integers over the same cycles, and over all cycles. The exact sides have their fractions ready and do
nothing but multiply and compare. Every exact positive must be among the survivors. Run with
`python -m benchmarks.screening`; prints JSON. Gates: 5 and 500 times.
"""

from __future__ import annotations

import json
import statistics
import time

from agent.strategies.arb.screen import Screen
from benchmarks.market import changed, index, market
from benchmarks.rounds import medians_ns, row

GATE_SAME = 5.0
GATE_ALL = 500.0


def run() -> dict[str, object]:
    """Microseconds of the three, the two ratios, and what building and moving the screen costs beside."""
    pools = market()
    started = time.perf_counter_ns()
    cycles = index(pools)
    built_ns = time.perf_counter_ns() - started
    screen = Screen(cycles, pools)
    after = changed(pools, 1)
    touched = after.differences(pools)
    started = time.perf_counter_ns()
    screen.move_to(after)
    moved_ns = time.perf_counter_ns() - started

    fractions = {}
    for pool in after:
        for token in (pool.token0, pool.token1):
            fractions[pool.address, token] = pool.marginal_price(token)
    routes = [[fractions[hop.pool, hop.token_in] for hop in cycle.hops] for cycle in cycles.cycles]

    def exact(numbers: range | list[int]) -> list[int]:
        found = []
        for number in numbers:
            gain = loss = 1
            for numerator, denominator in routes[number]:
                gain *= numerator
                loss *= denominator
            if gain > loss:
                found.append(number)
        return found

    dirty = cycles.touched(touched)
    everything = range(len(routes))
    survivors, positives = set(screen.survivors(touched)), exact(dirty)
    assert set(positives) <= survivors, "the screen lost a cycle that pays"
    assert set(exact(everything)) & set(dirty) == set(positives)
    assert positives
    timed = medians_ns(
        {
            "all": lambda: exact(everything),
            "same": lambda: exact(dirty),
            "screen": lambda: screen.survivors(touched),
        },
        calls={"all": 1, "same": 60, "screen": 400},
    )
    return {
        "pools": len(pools),
        "cycles": len(cycles.cycles),
        "touched_pools": len(touched),
        "dirty_cycles": len(dirty),
        "exact_positives": len(positives),
        "survivors": len(survivors),
        "lost": 0,
        **{f"{name}_us": round(statistics.median(figures) / 1000, 2) for name, figures in timed.items()},
        "index_built_ms": round(built_ns / 1e6, 1),
        "screen_moved_us": round(moved_ns / 1000, 1),
        "rows": [
            row("P10", "screening after 40 changed pools: all cycles in integers / ours", timed, "all", "screen",
                gate=GATE_ALL),
            row("P10", "the same: the same cycles in integers / ours", timed, "same", "screen", gate=GATE_SAME),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
