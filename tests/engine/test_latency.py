"""Percentiles are nearest-rank: always a value that was measured."""

from __future__ import annotations

from agent.engine.latency import StageClock


def test_percentiles_are_measured_values() -> None:
    clock = StageClock()
    for duration in range(1, 101):
        clock.add("search", duration)
    summary = clock.summary()["search"]
    assert (summary.p50, summary.p99, summary.max, summary.n) == (50, 99, 100, 100)


def test_one_measurement_is_every_percentile() -> None:
    clock = StageClock()
    clock.add("sign", 7)
    summary = clock.summary()["sign"]
    assert (summary.p50, summary.p99, summary.max, summary.n) == (7, 7, 7, 1)
