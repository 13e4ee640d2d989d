"""Memory of 10,000 pools with their cycles and screen, and whether it stays flat over an hour of blocks.

Each block moves 40 pools, screens and sizes what they touched. Run with `python -m benchmarks.memory`; prints JSON.
Gates: 400 MB for everything, growth below 2 MB from the 30th block to the last.
"""

from __future__ import annotations

import gc
import json
from pathlib import Path

from agent.dex.pool import StateName
from agent.eth.units import Hash32
from agent.strategies.arb.screen import Screen
from agent.strategies.arb.search import find_opportunities
from benchmarks.market import changed, index, market
from benchmarks.rounds import limit

BLOCKS = 300
"""An hour of twelve seconds each."""
GATE_MB = 400.0
GATE_GROWTH_MB = 2.0


def resident_mb() -> float:
    """Resident memory of this process, from the kernel."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def run() -> dict[str, object]:
    """Megabytes before, with everything built, and after an hour of blocks."""
    gc.collect()
    empty = resident_mb()
    pools = market()
    cycles = index(pools)
    screen = Screen(cycles, pools)
    # Every table from end to end: the most that lazily built ones can come to.
    for pool in pools:
        for token in (pool.token0, pool.token1):
            pool.quote_exact_in(token, 2**200)
    gc.collect()
    built = resident_mb()
    early = found = 0.0
    for block in range(BLOCKS):
        after = changed(pools, block)
        opportunities = find_opportunities(
            after,
            cycles,
            touched=after.differences(pools),
            state=StateName(Hash32(bytes(32)), None),
            block_number=block,
            after_transaction=None,
            before=pools,
            screen=screen,
        )
        found += len(opportunities)
        pools = after
        if block == 30:
            gc.collect()
            early = resident_mb()
    gc.collect()
    end = resident_mb()
    return {
        "pools": len(pools),
        "cycles": len(cycles.cycles),
        "blocks": BLOCKS,
        "opportunities": int(found),
        "empty_mb": round(empty, 1),
        "built_mb": round(built - empty, 1),
        "process_mb": round(end, 1),
        "growth_mb": round(end - early, 2),
        "rows": [
            limit("memory", "10,000 pools with cycles, whole process", [end], unit="MB", gate=GATE_MB),
            limit("memory", "growth over an hour of blocks", [end - early], unit="MB", gate=GATE_GROWTH_MB),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
