"""Worlds of bytes: client, protocol, shell and the whole simulated venue agree behind every fault of the connection."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from agent.devnet.virtual.planted import planted
from agent.devnet.virtual.wire_world import FAULTS, WireWorld

REPOSITORY = Path(__file__).resolve().parents[2]


def test_everything_agrees_in_a_few_worlds() -> None:
    for seed in range(5):
        outcome = WireWorld(seed).run()
        assert not outcome.problem, f"seed {seed}: {outcome.problem}"
        assert outcome.orders > 5
        assert outcome.connections >= 2, "there is a restart at least"


@pytest.mark.leisure
@pytest.mark.slow
def test_everything_agrees_in_a_hundred_worlds_and_every_fault_strikes() -> None:
    fired: Counter[str] = Counter()
    fills = 0
    for seed in range(100):
        outcome = WireWorld(seed).run()
        assert not outcome.problem, f"seed {seed}: {outcome.problem}"
        fired.update(outcome.fired)
        fills += outcome.fills
    assert fired.keys() == set(FAULTS)
    assert fills > 1_000


def test_the_same_seed_is_the_same_world_in_any_process() -> None:
    code = "from agent.devnet.virtual.wire_world import WireWorld\nprint([WireWorld(s).run().digest for s in (1, 2)])\n"
    told = set()
    for hash_seed in ("0", "random"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        )  # fmt: skip
        told.add(done.stdout.strip())
    assert told == {str([WireWorld(seed).run().digest for seed in (1, 2)])}


@pytest.mark.parametrize("name", ["ids-begin-anew", "fill-applied-twice"])
def test_a_planted_bug_is_seen_here_too(name: str) -> None:
    with planted(name):
        assert any(WireWorld(seed).run().problem for seed in range(25))
