"""The kill switch at work: from the instant of the fault, in real processes, by the venue's own ledger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.guard.stage import Stage, wait_for
from tests.guard.venue_double import GUARD_KEY

CANCEL_WITHIN_S = 1.0
"""The promise: cancel-all is out within a second of the fault."""
SILENCE_AFTER_S = 2.0
"""The promise: nothing is accepted any more two seconds after the fault."""

TRIALS = [
    0,
    1,
    *(pytest.param(number, marks=[pytest.mark.slow, pytest.mark.leisure]) for number in range(2, 100)),
]
"""Two by default; a hundred where slow tests run."""

SetStage = Callable[..., Stage]


def check_promise(stage: Stage, trigger_ns: int, name: str) -> None:
    """Both promises in the venue's ledger, and the end state by its own books."""
    venue = stage.venue
    cancels = venue.times("cancel_all", trigger_ns)
    assert cancels, "nobody cancelled"
    cancelled_s = (cancels[0] - trigger_ns) / 1e9
    accepted = venue.times("accepted", trigger_ns)
    last_s = (accepted[-1] - trigger_ns) / 1e9 if accepted else 0.0
    print(f"{name}: cancel-all at {cancelled_s:.3f} s, last order accepted at {last_s:.3f} s")
    assert cancelled_s <= CANCEL_WITHIN_S
    assert last_s <= SILENCE_AFTER_S
    assert venue.open_ids() == []


@pytest.mark.parametrize("fault", ["killed", "stopped", "wedge", "wedge_trading", "wedge_beating"])
@pytest.mark.parametrize("trial", TRIALS)
def test_an_agent_that_fails_is_stopped(set_stage: SetStage, fault: str, trial: int) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent(fault)
    trigger_ns = time.monotonic_ns()
    agent.send_signal({"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}.get(fault, signal.SIGUSR1))
    verified = stage.wait_verified()
    check_promise(stage, trigger_ns, fault)
    assert agent.wait(1) == -signal.SIGKILL
    assert {rung["rung"] for rung in verified["rungs"]} - {"network"} == {"process", "revoke", "sweep"}
    assert (stage.guard_folder / "latch").exists()
    assert (
        verified["trip"]["code"]
        in {
            "killed": {"process_gone", "socket_closed"},
            "stopped": {"silent"},
            "wedge": {"silent"},
            "wedge_trading": {"silent"},
            "wedge_beating": {"frozen", "silent", "beat_sequence"},
        }[fault]
    )


@pytest.mark.parametrize("trial", TRIALS)
def test_when_the_guard_is_killed_the_agent_stops_itself_and_the_next_guard_looks(
    set_stage: SetStage, trial: int
) -> None:
    stage = set_stage()
    guard = stage.start_guard()
    agent = stage.start_agent()
    trigger_ns = time.monotonic_ns()
    guard.kill()
    assert agent.wait(5) == 6
    check_promise(stage, trigger_ns, "guard killed")
    guard.wait()
    stage.start_guard()
    verified = stage.wait_verified()
    assert verified["trip"]["code"] == "guard_restarted"
    assert stage.venue.times("key_deleted", trigger_ns)
    assert os.path.exists(stage.guard_folder / "latch")


def test_the_guard_cancels_with_its_own_key(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    stage.start_agent().kill()
    stage.wait_verified()
    assert {entry.who for entry in stage.venue.ledger if entry.what == "cancel_all"} == {GUARD_KEY}
    wait_for(lambda: stage.venue.times("refused_401"), "the old key was tried, and refused")
