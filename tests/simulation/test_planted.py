"""The test of the test: bugs planted on purpose are found, and a failing world is made small."""

from __future__ import annotations

import msgspec
import pytest

from agent.devnet.virtual.campaign import find_bug, run_seeds, scenario_of
from agent.devnet.virtual.planted import BUGS, planted
from agent.devnet.virtual.program import AgentProgram
from agent.devnet.virtual.scenario import Scenario
from agent.devnet.virtual.shrink import regression_test, shrink
from agent.devnet.virtual.world import World

SEEDS = 200
QUICK = (
    "live-at-hello",
    "ids-begin-anew",
    "fill-applied-twice",
    "day-begins-at-restart",
    "old-book-traded",
    "fence-ignored",
    "fence-without-epoch",
    "halts-beside-a-guard",
)


def test_there_are_enough_of_them_and_each_changes_something() -> None:
    assert len(BUGS) >= 20
    for bug in BUGS.values():
        for swap in bug.swaps:
            assert getattr(swap.owner, swap.attribute) is not swap.replacement


@pytest.mark.parametrize("name", QUICK)
def test_it_is_found(name: str) -> None:
    assert find_bug(name, range(SEEDS), AgentProgram()).found


@pytest.mark.leisure
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(BUGS) - set(QUICK)))
def test_it_is_found_within_two_hundred_worlds(name: str) -> None:
    assert find_bug(name, range(SEEDS), AgentProgram()).found


def test_a_planted_bug_is_out_of_the_program_behind_its_block() -> None:
    before = [getattr(swap.owner, swap.attribute) for bug in BUGS.values() for swap in bug.swaps]
    for name in BUGS:
        with planted(name):
            pass
    assert before == [getattr(swap.owner, swap.attribute) for bug in BUGS.values() for swap in bug.swaps]


def test_a_failing_world_is_made_small_and_comes_with_a_test_that_keeps_it() -> None:
    name = "fill-applied-twice"
    detection = find_bug(name, range(SEEDS), AgentProgram())
    assert detection.first is not None
    whole = scenario_of(detection.first)
    with planted(name):
        shrunk = shrink(whole, AgentProgram())
    assert len(shrunk.scenario.actions) < len(whole.actions) // 4
    assert len(shrunk.scenario.profile.rates_ppm) < len(whole.profile.rates_ppm)

    namespace: dict[str, object] = {
        "msgspec": msgspec, "Scenario": Scenario, "World": World, "AgentProgram": AgentProgram
    }  # fmt: skip
    exec(regression_test(shrunk), namespace)
    (test,) = [value for key, value in namespace.items() if key.startswith("test_")]
    assert callable(test)
    test()  # the program is sound
    with planted(name), pytest.raises(AssertionError):
        test()


def test_a_world_that_breaks_no_law_cannot_be_made_smaller() -> None:
    with pytest.raises(ValueError, match="breaks no law"):
        shrink(scenario_of(0), AgentProgram())


def test_a_campaign_ends_when_enough_has_failed() -> None:
    with planted("ids-begin-anew"):
        campaign = run_seeds(range(50), AgentProgram(), stop_at=2)
    assert len(campaign.failures) == 2
    assert campaign.seeds < 50
