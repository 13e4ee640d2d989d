"""Counting durations: exact counts, percentiles within a bucket, nothing on the hot path."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.venues.purpleflea.latency import STAGES, Histogram, Stages

durations = st.lists(st.integers(0, 10**11), min_size=1, max_size=200)


@given(durations, st.sampled_from([1, 500, 990, 999, 1_000]))
def test_a_percentile_is_the_nearest_rank_within_a_thirtieth(values: list[int], per_mille: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[-(-len(values) * per_mille // 1_000) - 1]
    assert exact <= histogram.at(per_mille) <= exact + exact // 31
    assert histogram.at(per_mille) <= max(values) == histogram.max_ns
    assert histogram.n == sum(histogram.counts.values()) == len(values)


@given(durations, durations)
def test_two_histograms_add_up(left: list[int], right: list[int]) -> None:
    parts, whole = (Histogram(), Histogram()), Histogram()
    for part, values in zip(parts, (left, right), strict=True):
        for value in values:
            part.add(value)
            whole.add(value)
    parts[0].merge(parts[1])
    assert parts[0] == whole


def test_it_is_of_bounded_size() -> None:
    histogram = Histogram()
    for bits in range(50):
        for value in range(1 << bits, (1 << bits) + 1_000 * max(1, (1 << bits) // 1_000), max(1, (1 << bits) // 100)):
            histogram.add(value)
    assert len(histogram.counts) <= 50 * 32 + 64


def test_without_a_duration_there_are_no_percentiles() -> None:
    assert Histogram().percentiles().max_ns == Histogram().at(500) == 0


def test_a_clock_that_went_back_counts_as_nothing() -> None:
    histogram = Histogram()
    histogram.add(-5)
    assert (histogram.n, histogram.max_ns) == (1, 0)


def test_the_stages_of_an_order() -> None:
    stages = Stages()
    stages.sent("aaa", 1_000, 1_300, 1_900, 2_000)
    assert stages.is_waiting
    stages.answered("bbb", 5_000)
    stages.answered("aaa", 9_000)
    stages.answered("aaa", 99_000)
    assert not stages.is_waiting
    assert all(histogram.n == 0 for histogram in stages.histograms.values())
    stages.drain()
    found = {name: (histogram.n, histogram.max_ns) for name, histogram in stages.histograms.items()}
    assert found == {
        "decode": (1, 300),
        "step": (1, 600),
        "send": (1, 100),
        "tick_to_order": (1, 1_000),
        "venue": (1, 7_000),
    }
    assert tuple(found) == STAGES


def test_an_answer_by_another_connection_is_not_timed() -> None:
    stages = Stages()
    stages.sent("aaa", 0, 1, 2, 3)
    stages.forget_in_flight()
    stages.answered("aaa", 10**12)
    stages.drain()
    assert stages.histograms["venue"].n == 0


def test_what_nobody_sums_up_is_bounded_and_counted() -> None:
    stages = Stages()
    for number in range(70_000):
        stages.sent(f"o{number}", 0, 1, 2, 3)
    assert stages.dropped == 70_000 - 65_536
    assert len(stages._in_flight) == 4_096


def test_the_document_holds_the_buckets_it_is_made_from() -> None:
    stages = Stages()
    for number in range(100):
        stages.sent(f"o{number}", 0, 100, 200, 1_000 * (number + 1))
    document = json.loads(msgspec.json.encode(stages.document()))
    assert document["schema"] == "mev-agent/latency/1"
    whole = document["stages"]["tick_to_order"]
    assert whole["n"] == sum(count for _, count in whole["buckets"]) == 100
    assert 50_000 <= whole["p50_ns"] <= 52_000
    assert whole["max_ns"] == 100_000
