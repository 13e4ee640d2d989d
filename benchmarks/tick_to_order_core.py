"""A tick's first byte sent to an order's last byte received, over loopback, through the whole agent.

The client is a run as `mev-agent run` makes it (`tick_core`): all checks with limits out of reach, breakers, journal,
beats to a live guard. Each order is acknowledged and filled behind the server's time stamp, and the next tick waits until
that is taken in; the article's client and the echo have it easier, since nobody answers them. The rest is as in
`tick_to_order`. Run with `python -m benchmarks.tick_to_order_core`; prints JSON.
"""

from __future__ import annotations

import json

from benchmarks.tick_to_order import compared, rows


def run() -> dict[str, object]:
    """Percentiles by round, and the four ratios with their gates; no rows where nothing compiles C."""
    found = compared("core")
    if "skipped" in found:
        return {**found, "name": "tick_to_order_core"}
    ids = ("C3", "C3b", "C4", "C5")
    return {**found, "name": "tick_to_order_core", "rows": rows(found["by_round"], "core", ids)}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
