"""Whole lives of orders through core and journal: asked for, judged by every check, sent, acknowledged, filled, booked.

A life is three events and the effects of their steps, each written to a real journal (`process`) before anything else
happens, as the engine does it; only sockets are missing. Limits are out of reach and a guard has shown itself, so that no
check is left out. What is counted is the processor time of the whole process, the journal's own thread included. The
gate is for a machine that signs in 27 us, as all absolute gates are. Run with `python -m benchmarks.order_life`; prints
JSON.
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from coincurve import PrivateKey

from agent.journal.reader import JournalReader
from agent.journal.records import EVENT, Run
from agent.journal.settings import process_settings
from agent.journal.writer import JournalWriter
from benchmarks.core_world import CoreWorld
from benchmarks.optimum import REFERENCE_SIGNATURE_NS

LIVES = 4_000
WARM_UP = 2_000
ROUNDS = 9
SIGNATURES = 1_000
EVENTS_OF_A_LIFE = 3
GATE_PER_S = 15_000.0


def run() -> dict[str, object]:
    """Lives a second in rounds, beside what a signature takes at that moment."""
    with tempfile.TemporaryDirectory(prefix="mev-agent-bench-") as name:
        return _run(Path(name))


def _run(folder: Path) -> dict[str, object]:
    now = {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
    journal = JournalWriter(folder, Run("bench", "1", {}), settings=process_settings(), **now)
    world = CoreWorld(journal)
    before = journal.sequence
    signs = partial(PrivateKey(bytes([7]) * 32).sign_recoverable, bytes([9]) * 32, hasher=None)
    world.lives(WARM_UP)
    gc.collect()
    gc.freeze()
    gc.disable()
    life_ns, wall_ns, signature_ns = [], [], []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(SIGNATURES):
            signs()
        signature_ns.append((time.process_time_ns() - start) / SIGNATURES)
        wall, start = time.perf_counter_ns(), time.process_time_ns()
        world.lives(LIVES)
        life_ns.append((time.process_time_ns() - start) / LIVES)
        wall_ns.append((time.perf_counter_ns() - wall) / LIVES)
    gc.enable()
    lives = WARM_UP + ROUNDS * LIVES
    journal.close()
    held = sum(record.type == EVENT for record in JournalReader(folder).records())
    desk = world.core.desk
    assert desk is not None
    if desk.orders.state.cursor != 2 * lives or held < EVENTS_OF_A_LIFE * lives or desk.orders.open_count():
        raise AssertionError("every life must have ended, and stand in the journal")
    scale = statistics.median(signature_ns) / REFERENCE_SIGNATURE_NS
    rates = [1e9 / one * scale for one in life_ns]
    return {
        "name": "order_life",
        "lives": lives,
        "records": journal.sequence - before,
        "life_us": round(statistics.median(life_ns) / 1e3, 1),
        "life_wall_us": round(statistics.median(wall_ns) / 1e3, 1),
        "best_wall_us": round(min(wall_ns) / 1e3, 1),
        "signature_us": round(statistics.median(signature_ns) / 1e3, 1),
        "rows": [
            {
                "id": "C1",
                "what": "whole order lives through core and journal, a second",
                "unit": "/s",
                "value": round(statistics.median(rates)),
                "min": round(min(rates)),
                "max": round(max(rates)),
                "gate": GATE_PER_S,
                "is_limit": False,
            }
        ],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
