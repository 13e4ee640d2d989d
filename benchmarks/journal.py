"""Appending to the journal against writing a log line of the same content, and what an append costs beyond encoding.

The log line is what a program writes that keeps its orders in a log: level, time and all of the value's fields,
through `logging` to a file. The journal's append has the same content in full, and what a log line has not: a sequence, two
clocks, a chained check sum, a digest, and a place on the disk that was taken beforehand. Both hand their bytes to the
kernel before they return. Run with `python -m benchmarks.journal`; prints JSON.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.core.effects.orders import Place
from agent.core.events.orders import OrderAck
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Run
from agent.journal.settings import process_settings
from agent.journal.writer import JournalWriter
from benchmarks.rounds import limit, medians_ns, row

GATE_AGAINST_LOG = 8.0
GATE_WITH_ENCODING = 5.5
GATE_BEYOND_ENCODING_US = 2.0
"""Half of it is check sum and digest; a quiet machine of 3 GHz needs little more than 1 us in all."""
CALLS = {"log": 3_000, "journal": 20_000, "encode": 20_000}

PLACE = Place(
    client_order_id="A1B2C3D4E5F6G7H8J9",
    symbol="BTC-PERP",
    side="buy",
    order_type="limit",
    lots=1_250,
    price_ticks=6_123_456,
    expire_ns=1_800_000_000_000_000_000,
    epoch=7,
)
EFFECTS_OF_STEP = (PLACE,)
ACK = OrderAck(
    exec_seq=918_273, client_order_id=PLACE.client_order_id, order_id="9f3c51a0b2d4", status="open", cum_lots=0, epoch=7
)


def run() -> dict[str, object]:
    """One event and the effects of its step, in nanoseconds for the pair of records, and the same two as log lines."""
    with tempfile.TemporaryDirectory(prefix="mev-agent-bench-") as name:
        return _run(Path(name))


def _run(folder: Path) -> dict[str, object]:
    journal = JournalWriter(
        folder, Run("bench", "1", {}), monotonic_ns=0, wall_ns=0, settings=process_settings()
    )  # fmt: skip
    encode = msgspec.json.Encoder().encode
    log = _log(folder / "orders.log")
    now, wall, written = time.monotonic_ns(), time.time_ns(), 0

    def step() -> None:
        nonlocal now, written
        now += 50_000
        written += 1
        journal.event(ACK, monotonic_ns=now, wall_ns=wall)
        journal.effects(EFFECTS_OF_STEP, monotonic_ns=now, wall_ns=wall)

    def encoded() -> None:
        encode(ACK)
        encode(EFFECTS_OF_STEP)

    def logged() -> None:
        log("%r", ACK)
        log("%r", PLACE)

    alternatives: dict[str, Callable[[], object]] = {"log": logged, "journal": step, "encode": encoded}
    figures = medians_ns(alternatives, calls=CALLS)
    slowest_ns = _slowest(step)
    journal.close()
    held = [record.type for record in JournalReader(folder).records()]
    if held.count(EVENT) != written or held.count(EFFECTS) != written:
        raise AssertionError("the journal must hold every record that was timed")
    figures["append"] = [ours - bare for ours, bare in zip(figures["journal"], figures["encode"], strict=True)]
    return {
        "name": "journal",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "step_p99_ns": slowest_ns[1],
        "step_max_ns": slowest_ns[2],
        "rows": [
            row("J1", "two log lines to a file / two appends to the journal", figures, "log", "append",
                gate=GATE_AGAINST_LOG),
            row("J2", "the same, with the records' encoding", figures, "log", "journal", gate=GATE_WITH_ENCODING),
            limit("J3", "one append beyond its encoding, digests and rolls included",
                  [pair / 2_000 for pair in figures["append"]], unit="us", gate=GATE_BEYOND_ENCODING_US),
        ],
    }  # fmt: skip


def _slowest(step: Callable[[], None]) -> tuple[int, int, int]:
    """Median, 99th percentile and maximum of single steps, by the clock on the wall."""
    times = []
    for _ in range(20_000):
        start = time.perf_counter_ns()
        step()
        times.append(time.perf_counter_ns() - start)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100], times[-1]


def _log(path: Path) -> Callable[..., None]:
    logger = logging.getLogger("benchmark.journal")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger.info


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
