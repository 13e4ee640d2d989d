"""Clocks that err apart, and random numbers that depend on seed and name alone."""

from __future__ import annotations

import pytest

from agent.devnet.virtual.clock import WALL_START_NS, Timeline, VirtualClock
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.randomness import SeededEntropy, Streams

S = 1_000_000_000


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def clock(timeline: Timeline) -> VirtualClock:
    return VirtualClock(timeline)


def test_true_time_never_goes_back(timeline: Timeline) -> None:
    timeline.advance_to(5)
    timeline.advance_to(3)
    assert timeline.now_ns == 5


def test_both_clocks_follow_true_time(timeline: Timeline, clock: VirtualClock) -> None:
    before = clock.monotonic_ns()
    timeline.advance_to(7 * S)
    assert clock.monotonic_ns() - before == 7 * S
    assert clock.wall_ns() == WALL_START_NS + 7 * S


@pytest.mark.parametrize("by_ns", [3_600 * S, -3_600 * S])
def test_a_step_of_the_wall_clock_leaves_the_monotonic_one(clock: VirtualClock, by_ns: int) -> None:
    before = clock.monotonic_ns()
    clock.step_wall(by_ns)
    assert clock.wall_ns() == WALL_START_NS + by_ns
    assert clock.monotonic_ns() == before


def test_a_suspended_machine_s_monotonic_clock_stands(timeline: Timeline, clock: VirtualClock) -> None:
    before = clock.monotonic_ns()
    timeline.advance_to(30 * S)
    clock.suspend(30 * S)
    assert clock.monotonic_ns() == before
    assert clock.wall_ns() == WALL_START_NS + 30 * S


def test_drift_gains_on_true_time_from_its_beginning_only(timeline: Timeline, clock: VirtualClock) -> None:
    timeline.advance_to(10 * S)
    clock.drift_wall(1_000)
    assert clock.wall_ns() == WALL_START_NS + 10 * S
    timeline.advance_to(20 * S)
    assert clock.wall_ns() == WALL_START_NS + 20 * S + S // 100
    clock.drift_wall(0)
    timeline.advance_to(30 * S)
    assert clock.wall_ns() == WALL_START_NS + 30 * S + S // 100


def test_a_boot_begins_the_monotonic_clock_anew(timeline: Timeline, clock: VirtualClock) -> None:
    timeline.advance_to(100 * S)
    clock.reboot()
    assert clock.monotonic_ns() == 0
    assert clock.wall_ns() == WALL_START_NS + 100 * S


def test_streams_are_functions_of_seed_and_name() -> None:
    draws = [Streams(seed)[name].random() for seed in (1, 2) for name in ("faults", "workload")]
    assert len(set(draws)) == 4
    assert draws == [Streams(seed)[name].random() for seed in (1, 2) for name in ("faults", "workload")]


def test_drawing_more_from_one_stream_shifts_no_other() -> None:
    few, many = Streams(9), Streams(9)
    for _ in range(1_000):
        many["faults"].random()
    assert few["workload"].random() == many["workload"].random()


def test_a_fault_without_a_rate_never_strikes_and_draws_nothing() -> None:
    streams = Streams(3)
    faults = Faults({"network.cut": 0}, streams)
    assert not any(faults.strikes("network.cut") for _ in range(1_000))
    assert streams["fault.network.cut"].random() == Streams(3)["fault.network.cut"].random()
    assert faults.fired == {}


def test_a_fault_strikes_about_as_often_as_its_rate_says_and_is_counted() -> None:
    faults = Faults({"network.cut": 100_000}, Streams(3))
    struck = sum(faults.strikes("network.cut") for _ in range(10_000))
    assert 850 < struck < 1_150
    assert faults.fired == {"network.cut": struck}


def test_a_fault_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError):
        Faults({"network.meteor": 1}, Streams(3))


def test_taking_a_fault_away_leaves_the_strikes_of_the_others() -> None:
    def cuts(rates: dict[str, int]) -> list[bool]:
        faults = Faults(rates, Streams(5))
        struck = []
        for _ in range(500):
            faults.strikes("network.slow")
            struck.append(faults.strikes("network.cut"))
        return struck

    assert cuts({"network.cut": 50_000, "network.slow": 500_000}) == cuts({"network.cut": 50_000})


def test_entropy_stays_in_its_bounds() -> None:
    entropy = SeededEntropy(Streams(1)["entropy"])
    assert {entropy.below(3) for _ in range(100)} == {0, 1, 2}
    assert len(entropy.token(16)) == 16
