"""Whole worlds: no law is broken, the same seed gives the same bytes in any process, and nothing is tested in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent.devnet.virtual.actions import Blow, draw_actions
from agent.devnet.virtual.campaign import Campaign, run_seeds, scenario_of
from agent.devnet.virtual.faults import FAULTS
from agent.devnet.virtual.profile import draw
from agent.devnet.virtual.program import AgentProgram
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.scenario import ACTIVE_NS
from agent.devnet.virtual.world import World

REPOSITORY = Path(__file__).resolve().parents[2]
SEEDS = 300
STEPS_MIN = 1_000
QUICK = 25
WORTH_REACHING = (
    "a day began",
    "amendment sent",
    "an order in doubt",
    "cancel sent",
    "connection given up",
    "fence asked for",
    "frame of an epoch that is over",
    "halted by guard",
    "mode HALTED",
    "mode PAUSED",
    "mode REDUCE_ONLY",
    "order CANCELED",
    "order DENIED",
    "order FILLED",
    "order OPEN",
    "order REJECTED",
    "order UNKNOWN",
    "order rate at its limit",
    "replay asked for",
    "reset by a person",
    "start refused by the disk",
    "started from a journal",
    "status asked for",
    "torn tail cut",
    "wish of an earlier session",
)
"""What the worlds must come to now and then; otherwise what they say about it is worth nothing."""


def failures(campaign: Campaign) -> str:
    return "\n".join(f"seed {outcome.seed}: {outcome.violation}" for outcome in campaign.failures)


def test_no_law_is_broken_in_a_few_worlds() -> None:
    campaign = run_seeds(range(QUICK), AgentProgram())
    assert not campaign.failures, failures(campaign)
    assert campaign.steps > QUICK * STEPS_MIN // 2


def test_without_faults_all_settles_and_the_books_are_equal() -> None:
    campaign = run_seeds(range(5), AgentProgram(), name="calm")
    assert not campaign.failures, failures(campaign)
    assert campaign.fired.keys() <= {fault.name for fault in FAULTS if fault.name.startswith("signal.")}


@pytest.mark.slow
def test_no_law_is_broken_in_three_hundred_worlds_and_each_cell_and_state_is_met() -> None:
    campaign = run_seeds(range(SEEDS), AgentProgram())
    assert not campaign.failures, failures(campaign)
    assert campaign.steps >= SEEDS * STEPS_MIN
    assert not {fault.name for fault in FAULTS} - campaign.fired.keys(), "a fault that never struck tests nothing"
    assert not set(WORTH_REACHING) - campaign.reached.keys()


def test_a_world_is_the_same_to_the_last_byte_when_it_runs_again() -> None:
    for seed in (0, 7):
        first, second = (World(scenario_of(seed), AgentProgram()).run() for _ in range(2))
        assert first == second


def digest_in_a_process(hash_seed: str) -> str:
    code = (
        "from agent.devnet.virtual.campaign import run_seeds\n"
        "from agent.devnet.virtual.program import AgentProgram\n"
        "print(run_seeds(range(6), AgentProgram()).digest)\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip()


def test_the_digest_is_one_in_every_process_and_under_every_hash_seed() -> None:
    here = run_seeds(range(6), AgentProgram()).digest
    assert {digest_in_a_process(seed) for seed in ("0", "1", "random")} == {here}


def test_about_half_of_the_worlds_lack_each_fault() -> None:
    profiles = [draw(Streams(seed)) for seed in range(400)]
    for fault in FAULTS:
        share = sum(fault.name in profile.rates_ppm for profile in profiles) / len(profiles)
        assert (0.02 < share < 0.15) if fault.is_breach else (0.4 < share < 0.6), fault.name


def test_actions_are_in_order_of_time_and_end_with_the_active_part() -> None:
    for seed in range(20):
        actions = scenario_of(seed).actions
        assert [action.at_ns for action in actions] == sorted(action.at_ns for action in actions)
        assert all(0 <= action.at_ns < ACTIVE_NS + 100_000_000 for action in actions)


def test_taking_a_fault_from_a_profile_leaves_the_wishes_and_the_other_blows() -> None:
    streams, seed = Streams, 12
    profile = draw(streams(seed))
    blows = {name for name in profile.rates_ppm if name.startswith(("host.", "market."))}
    gone = sorted(blows)[0]
    less = {name: ppm for name, ppm in profile.rates_ppm.items() if name != gone}

    smaller = msgspec.structs.replace(profile, rates_ppm=less)
    before = draw_actions(streams(seed), profile, until_ns=ACTIVE_NS)
    after = draw_actions(streams(seed), smaller, until_ns=ACTIVE_NS)
    assert after == tuple(action for action in before if not (isinstance(action, Blow) and action.name == gone))
