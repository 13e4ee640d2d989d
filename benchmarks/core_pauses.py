"""Pauses of the garbage collector, and memory, while the whole core works at full rate.

The workload: order lives (asked for, judged, sent, acknowledged, filled) without a break, buys and sells in turn at one
symbol, with a tick and a move of the book for each, and a beat every 50 ms, all written to a real journal (`process`);
the collector is as a run sets it. Everything that is kept is kept up to a bound (orders that ended, trades, fills, equal
orders of the last moment), so memory grows until the bounds are reached and is then flat: what is compared is the end
with the moment behind `FILL_LIVES`. Run with `python -m benchmarks.core_pauses [--minutes N]`, by default a third of a
minute behind the filling; prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from pathlib import Path

import msgspec

from agent.core.events.control import GuardPulse, TimerFired
from agent.core.events.market import BookDelta, MarketTick
from agent.core.instruments import Side
from agent.engine.collector import quiet_collector
from agent.journal.records import Run
from agent.journal.settings import MIB, process_settings
from agent.journal.writer import JournalWriter
from benchmarks.core_world import BID_TICKS, CoreWorld
from benchmarks.rounds import limit
from benchmarks.venue_market import BTC

FILL_LIVES = 60_000
"""Above every bound of what is kept: 17,408 fills of a position, and two generations of 8,192 orders and of trades."""
DEFAULT_MINUTES = 1 / 3
GATE_PAUSE_MS = 1.0
GATE_GROWTH_MB = 2.0
SAMPLE_LIVES = 2_000
RETAIN_BYTES = 512 * MIB


def own_mb() -> float:
    """Memory of this process without what is a file's: the journal's segments are the kernel's to keep or let go."""
    resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
    return (resident - shared) * 4096 / 1e6


class Pauses:
    """Processor time of each collection, by generation: what else runs on the machine does not count."""

    def __init__(self) -> None:
        self.longest_ns = [0, 0, 0]
        self.count = [0, 0, 0]
        self._start_ns = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._start_ns = time.thread_time_ns()
            return
        took, generation = time.thread_time_ns() - self._start_ns, info["generation"]
        self.count[generation] += 1
        self.longest_ns[generation] = max(self.longest_ns[generation], took)


class Busy:
    """The workload."""

    def __init__(self, world: CoreWorld) -> None:
        self.world = world
        self.lives = 0
        self._beat_ns = 0

    def run(self, lives: int) -> None:
        world = self.world
        for _ in range(lives):
            self.lives += 1
            now_ns = time.monotonic_ns()
            if now_ns >= self._beat_ns:
                self._beat_ns = now_ns + 50_000_000
                world.step(GuardPulse(is_armed=True))  # before the beat: a machine that stalled is no guard that died
                world.step(TimerFired("beat"))
            number = self.lives
            level = ((BID_TICKS - 1, 1 + number % 100),)
            world.step(BookDelta(symbol=BTC.symbol, book_seq=1 + number, bids=level, asks=(), exchange_ns=1))
            world.step(MarketTick(symbol=BTC.symbol, price_ticks=600_015, mark_ticks=600_015, exchange_ns=1))
            world.life(Side.BUY if number & 1 else Side.SELL)


def run(minutes: float = DEFAULT_MINUTES) -> dict[str, object]:
    """The longest pause behind the start, and how much memory grew behind the filling."""
    with tempfile.TemporaryDirectory(prefix="mev-agent-bench-") as name:
        settings = msgspec.structs.replace(process_settings(), retain_bytes=RETAIN_BYTES)
        now = {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        journal = JournalWriter(Path(name), Run("bench", "1", {}), settings=settings, **now)
        try:
            return _run(journal, minutes)
        finally:
            journal.close()


def _run(journal: JournalWriter, minutes: float) -> dict[str, object]:
    busy = Busy(CoreWorld(journal))
    pauses = Pauses()
    with quiet_collector():
        gc.callbacks.append(pauses)
        try:
            busy.run(FILL_LIVES)
            early_mb = own_mb()
            start, lives = time.monotonic(), busy.lives
            samples = []
            while time.monotonic() - start < 60 * minutes:
                busy.run(SAMPLE_LIVES)
                samples.append(own_mb())
            seconds = time.monotonic() - start
        finally:
            gc.callbacks.remove(pauses)
    growth_mb = samples[-1] - early_mb
    longest_ms = max(pauses.longest_ns) / 1e6
    return {
        "name": "core_pauses",
        "minutes": round(minutes, 2),
        "lives": busy.lives,
        "lives_per_s": round((busy.lives - lives) / seconds),
        "early_mb": round(early_mb, 1),
        "most_mb": round(max(samples), 1),
        "end_mb": round(samples[-1], 1),
        "collections": pauses.count,
        "longest_ms": [round(one / 1e6, 3) for one in pauses.longest_ns],
        "garbage": len(gc.garbage),
        "rows": [
            limit("C6", "longest collection while the core works", [longest_ms], unit="ms", gate=GATE_PAUSE_MS),
            limit("C7", f"growth of memory over {60 * minutes:.0f} s at full rate", [growth_mb], unit="MB",
                  gate=GATE_GROWTH_MB),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.core_pauses")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES)
    print(json.dumps(run(parser.parse_args().minutes), indent=2))
