"""halt, status and reset: by a person, with the agent dead, hung or gone, and with no guard at all."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent.cli import main
from agent.guard import latch
from tests.guard.stage import ROOT, Stage, wait_for
from tests.guard.test_kill import SetStage, check_promise


class Ran(NamedTuple):
    code: int
    data: Any
    errors: list[dict[str, str]]


@pytest.fixture
def run_json(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """A command with --json, in this process."""

    def run(*words: str) -> Ran:
        code = main([*words, "--json"])
        document = json.loads(capsys.readouterr().out)
        return Ran(code, document["data"], document["errors"])

    return run


RunJson = Callable[..., Ran]


def at(stage: Stage) -> tuple[str, str]:
    return "--folder", str(stage.guard_folder)


def test_status_tells_of_guard_agent_and_last_beat(set_stage: SetStage, run_json: RunJson) -> None:
    stage = set_stage()
    before = run_json("status", *at(stage))
    assert before.code == 0 and [row["folder"] for row in before.data["guards"]] == [str(stage.guard_folder)]
    stage.start_guard()
    agent = stage.start_agent()
    ran = run_json("status", *at(stage))
    [row] = ran.data["guards"]
    assert ran.code == 0 and row["is_running"] and row["latch"] is None
    assert row["guard"]["agent_pid"] == agent.pid and row["guard"]["mode"] == "normal"
    assert 0 <= row["guard"]["beat_age_ms"] < 250
    agent.kill()
    stage.wait_verified()
    ran = run_json("status", *at(stage))
    assert ran.code == 6 and ran.data["guards"][0]["is_verified"]


@pytest.mark.parametrize("state", ["trading", "hung"])
def test_halt_goes_through_the_guard(set_stage: SetStage, run_json: RunJson, state: str) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent()
    trigger_ns = time.monotonic_ns()
    if state == "hung":
        agent.send_signal(signal.SIGSTOP)
    ran = run_json("halt", *at(stage), "--reason", "prices look wrong")
    check_promise(stage, trigger_ns, f"halt, agent {state}")
    assert ran.code == 0 and ran.data["guards"][0]["is_verified"]
    held = latch.read(stage.guard_folder)
    assert held is not None
    if state == "trading":
        assert held["code"] == "asked" and held["detail"] == "prices look wrong"


def test_halt_without_a_guard_latches_and_cannot_say_more(tmp_path: Path, run_json: RunJson) -> None:
    ran = run_json("halt", "--folder", str(tmp_path / "guard"), "--wait", "0")
    assert ran.code == 7 and ran.errors[0]["code"] == "E_HALT_UNVERIFIED"
    assert latch.is_set(tmp_path / "guard")


def test_halt_without_a_guard_and_with_its_configuration_stops_and_looks(
    set_stage: SetStage, run_json: RunJson
) -> None:
    stage = set_stage()
    stage.venue.orders["left"] = {"client_order_id": "left", "symbol": "BTC-USDC", "side": "buy", "quantity": "1"}
    ran = run_json("halt", "--config", str(stage.config))
    assert ran.code == 0, ran
    assert stage.venue.open_ids() == [] and stage.venue.times("key_deleted")


def test_a_latch_made_by_hand_stops_a_running_agent(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    stage.start_agent()
    trigger_ns = time.monotonic_ns()
    (stage.guard_folder / "latch").touch()
    stage.wait_verified()
    check_promise(stage, trigger_ns, "latch by hand")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, "signal"), (signal.SIGTERM, "guard_ended")])
def test_a_signal_to_the_guard_stops_a_running_agent(set_stage: SetStage, number: int, code: str) -> None:
    stage = set_stage()
    guard = stage.start_guard()
    stage.start_agent()
    guard.send_signal(number)
    assert stage.wait_verified()["trip"]["code"] == code


def test_a_guard_without_an_agent_ends_when_told(set_stage: SetStage) -> None:
    guard = set_stage().start_guard()
    guard.terminate()
    assert guard.wait(5) == 128 + signal.SIGTERM


def test_a_latch_that_is_taken_away_by_hand_comes_back(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    stage.start_agent().kill()
    stage.wait_verified()
    (stage.guard_folder / "latch").unlink()
    wait_for(lambda: latch.is_set(stage.guard_folder), "the latch is back")
    assert stage.status()["state"] == "tripped"


def halted(set_stage: SetStage) -> Stage:
    stage = set_stage()
    stage.start_guard()
    stage.start_agent().kill()
    stage.wait_verified()
    wait_for(lambda: (stage.guard_folder / "verified.json").exists(), "verified is written down")
    return stage


REASON = ("--reason", "venue was down, books agree")


def test_a_reset_needs_a_person(set_stage: SetStage, run_json: RunJson, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = halted(set_stage)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for words in ((), ("--yes-i-am-a-person", "yes"), ("--yes-i-am-a-person", "")):
        ran = run_json("guard", "reset", *at(stage), *REASON, *words)
        assert ran.code == 5 and ran.errors[0]["code"] == "E_RESET_REFUSED"
        assert latch.is_set(stage.guard_folder)


def test_after_a_reset_the_next_run_only_reduces(set_stage: SetStage, run_json: RunJson) -> None:
    stage = halted(set_stage)
    held = latch.read(stage.guard_folder)
    assert held is not None
    ran = run_json("guard", "reset", *at(stage), *REASON, "--yes-i-am-a-person", held["evidence"][:8], "--unverified")
    assert ran.code == 0
    record = json.loads(Path(ran.data["record"]).read_text())
    assert record["reason"] == REASON[1] and record["latch"] == held
    assert any("the agent's new key is not named" in check for check in record["checks"]), (
        "what was passed over is kept"
    )
    assert (stage.guard_folder / latch.MUST_REDUCE).exists()
    wait_for(lambda: stage.status()["state"] == "idle", "the guard rests")
    stage.venue.keys["pf_agent_secret"] = None
    stage.venue.key_ids["key_agent"] = "pf_agent_secret"
    stage.start_agent()
    assert not (stage.guard_folder / latch.MUST_REDUCE).exists()


def test_a_person_at_a_terminal_types_the_word(set_stage: SetStage) -> None:
    stage = halted(set_stage)
    held = latch.read(stage.guard_folder)
    assert held is not None
    terminal, line = pty.openpty()
    command = [sys.executable, "-m", "agent.cli", "guard", "reset", *at(stage), *REASON, "--unverified"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(terminal, f"{held['evidence'][:8]}\n".encode())
    assert process.wait(20) == 0, process.communicate()
    os.close(terminal)
    os.close(line)
    assert not latch.is_set(stage.guard_folder)


def test_nothing_is_reset_before_it_was_seen_to_stand_still(tmp_path: Path, run_json: RunJson) -> None:
    folder = tmp_path / "guard"
    run_json("halt", "--folder", str(folder), "--wait", "0")
    held = latch.read(folder)
    assert held is not None
    word = ("--yes-i-am-a-person", held["evidence"][:8])
    ran = run_json("guard", "reset", "--folder", str(folder), *REASON, *word)
    assert ran.code == 5 and "--unverified" in ran.errors[0]["hint"]
    assert run_json("guard", "reset", "--folder", str(folder), *REASON, *word, "--unverified").code == 0


def test_a_reset_says_why(set_stage: SetStage, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guard", "reset", "--reason", "ok"]) == 2
    assert main(["guard", "reset"]) == 2


def test_a_second_agent_is_refused_and_does_not_disturb_the_first(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    first = stage.start_agent()
    second = subprocess.run(
        [sys.executable, "-m", "tests.guard.toy_agent", str(stage.guard_folder), stage.venue.url, "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert "linked already" in second.stderr
    assert first.poll() is None and stage.status()["state"] == "armed"


@pytest.mark.parametrize(
    "content", ['{"schema": 1}', '{"schema": 2, "folder": "g"}', "not toml", '{"schema": 1, "folder": "g", "x": 1}']
)
def test_a_wrong_configuration_starts_no_guard(tmp_path: Path, run_json: RunJson, content: str) -> None:
    path = tmp_path / "guard.json"
    path.write_text(content)
    assert run_json("guard", "run", "--config", str(path)).code == 3


def test_a_missing_configuration_starts_no_guard(tmp_path: Path, run_json: RunJson) -> None:
    assert run_json("guard", "run", "--config", str(tmp_path / "none.toml")).code == 3


def test_a_venue_whose_requests_lie_elsewhere_is_stopped_there(set_stage: SetStage) -> None:
    names = ("orders", "executions", "positions", "balances", "deadman", "keys")
    stage = set_stage(venue={"paths": {name: f"/elsewhere/{name}" for name in names}})
    stage.start_guard()
    assert stage.status()["why_unready"] == ""
    stage.start_agent().kill()
    stage.wait_verified()
    assert stage.venue.times("key_deleted") and stage.venue.open_ids() == []
