"""What a person asks of a journal, on a journal with a known story."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from agent.cli import main
from agent.core.events import HaltAsked
from agent.core.step import Core
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.requests import JournalRequest, ReplayRequest
from agent.session.journal import export, replay, tail, verify, why
from tests.core.test_step import EXECUTED, FOUND, HEAD, LIMITS


def say(_: str) -> None:
    """Nothing listens."""


@pytest.fixture
def run(tmp_path: Path) -> str:
    limits = msgspec.json.encode(LIMITS).decode()
    journal = JournalWriter(tmp_path / "run", Run("r", "1", {"limits": limits}), monotonic_ns=0, wall_ns=0)
    core = Core(LIMITS)
    for event in (HEAD, FOUND, EXECUTED, HaltAsked("person", "end")):
        journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event), monotonic_ns=3, wall_ns=4)
    journal.close()
    return str(tmp_path / "run")


def test_a_whole_journal_verifies_and_a_changed_one_says_how_far_it_is_sound(run: str) -> None:
    answer = verify(JournalRequest(run=run), say)
    assert (answer.exit_code, answer.data["is_whole"]) == (0, True)
    path = Path(run) / "journal.mevj"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    broken = verify(JournalRequest(run=run), say)
    assert broken.exit_code == 1
    assert broken.data["broken_at"] == answer.data["records"] - 1


def test_the_tail_is_the_last_records(run: str) -> None:
    everything = tail(JournalRequest(run=run, last=1000), say).data
    assert tail(JournalRequest(run=run, last=2), say).data == everything[-2:]
    assert everything[0]["kind"] == "run"


def test_why_gives_every_record_of_one_opportunity_and_no_other(run: str) -> None:
    found = why(JournalRequest(run=run, subject=FOUND.id), say)
    assert found.exit_code == 0
    kinds = [row["kind"] for row in found.data]
    assert kinds.count("event") == 2 and "effects" in kinds
    assert all(FOUND.id in json.dumps(row["content"]) for row in found.data)
    assert why(JournalRequest(run=run, subject="nothing-like-it"), say).exit_code == 1


def test_the_export_holds_every_record_and_leaves_no_partial_file(run: str, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    answer = export(JournalRequest(run=run, out=out), say)
    with sqlite3.connect(out / "records.sqlite") as database:
        rows = database.execute("select sequence, content from records order by sequence").fetchall()
    lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [json.loads(content) for _, content in rows] == [line["content"] for line in lines]
    assert len(rows) == answer.data["records"]
    assert sorted(path.name for path in out.iterdir()) == ["records.jsonl", "records.sqlite"]


def test_a_replay_is_identical_and_a_planted_difference_is_a_no(run: str, tmp_path: Path) -> None:
    assert replay(ReplayRequest(run=run, is_verified=True), say).exit_code == 0
    limits = msgspec.structs.replace(LIMITS, min_net_wei=10**30)
    journal = JournalWriter(
        tmp_path / "other", Run("r", "1", {"limits": msgspec.json.encode(limits).decode()}), monotonic_ns=0, wall_ns=0
    )
    core = Core(LIMITS)
    for event in (HEAD, FOUND, EXECUTED):
        journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event), monotonic_ns=3, wall_ns=4)
    journal.close()
    other = str(tmp_path / "other")
    assert replay(ReplayRequest(run=other, is_verified=True), say).exit_code == 1
    assert replay(ReplayRequest(run=other), say).exit_code == 0


def test_the_commands_reach_it_and_a_missing_run_is_told(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "verify", run]) == 0
    assert main(["replay", run, "--verify"]) == 0
    assert capsys.readouterr().out.count("identical") == 1
    assert main(["journal", "verify", run + "-absent"]) == 4
    assert "no journal" in capsys.readouterr().err
