"""What it costs to answer `--help`, in a process of its own, against the interpreter alone.

Run with `python -m benchmarks.startup`; prints JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.rounds import medians_ns, ratio

COMMAND = Path(sys.executable).with_name("mev-agent")
GATE_RATIO = 6.0
GATE_NS = 200_000_000


def run() -> dict[str, object]:
    """Nanoseconds of one process each, and the ratio with its gate."""

    def bare() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    def ours() -> None:
        subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)

    help_text = subprocess.run([COMMAND, "--help"], check=True, capture_output=True, text=True).stdout
    if "Usage: mev-agent" not in help_text:
        raise AssertionError("the command must answer before it is timed")
    figures = medians_ns({"ours": ours, "bare": bare}, calls={"ours": 2, "bare": 4}, clock_ns=time.perf_counter_ns)
    measured = ratio(figures, "ours", "bare")
    fastest_ns = min(figures["ours"])
    return {
        "name": "startup",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "rows": [
            {"id": "P15", "what": "--help, against python -c pass", **measured, "gate": GATE_RATIO,
             "passed": measured["min"] <= GATE_RATIO and fastest_ns < GATE_NS},
        ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
