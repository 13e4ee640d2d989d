"""What it costs to answer `--help`, in a process of its own, against the interpreter alone.

Counts the processor time of the processes, which on a quiet machine is what a user waits for; the time on the clock is
told beside it. Run with `python -m benchmarks.startup`; prints JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rounds import limit, medians_ns, row

COMMAND = Path(sys.executable).with_name("mev-agent")
GATE_RATIO = 6.0
GATE_MS = 200.0


def children_ns() -> int:
    """Processor time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)


def run() -> dict[str, object]:
    """Nanoseconds of one process each, and the ratio with its gate."""

    def bare() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    def ours() -> None:
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)

    help_text = subprocess.run([COMMAND, "--help"], check=True, capture_output=True, text=True).stdout
    if "Usage: mev-agent" not in help_text:
        raise AssertionError("the command must answer before it is timed")
    figures = medians_ns({"ours": ours, "bare": bare}, calls={"ours": 2, "bare": 4}, clock_ns=children_ns)
    started = time.perf_counter_ns()
    ours()
    wall_ns = time.perf_counter_ns() - started
    return {
        "name": "startup",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "wall_ns": wall_ns,
        "rows": [
            row(
                "P15",
                "--help, processor time: ours / python -c pass",
                figures,
                "ours",
                "bare",
                gate=GATE_RATIO,
                is_limit=True,
            ),
            limit("P15", "--help, processor time", [value / 1e6 for value in figures["ours"]], unit="ms", gate=GATE_MS),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
