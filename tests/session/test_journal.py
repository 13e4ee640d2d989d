"""What a person asks of a journal, on a journal with a known story."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from agent.cli import main
from agent.core.events import Stamp
from agent.core.events.control import HaltAsked
from agent.core.step import Core
from agent.engine.settings import HuntSettings
from agent.errors import SetupError, UsageError
from agent.journal.errors import UnknownFormat
from agent.journal.records import Run
from agent.journal.settings import JournalSettings
from agent.journal.writer import JournalWriter
from agent.requests import JournalRequest, ReplayRequest, RunRequest, WorldRequest
from agent.session.asked import recall, remember
from agent.session.journal import export, replay, tail, verify, why
from tests.core.test_bundles import EXECUTED, FOUND, HEAD, LIMITS


def say(_: str) -> None:
    """Nothing listens."""


@pytest.fixture
def run(tmp_path: Path) -> str:
    limits = msgspec.json.encode(LIMITS).decode()
    journal = JournalWriter(tmp_path / "run", Run("r", "1", {"limits": limits}), monotonic_ns=0, wall_ns=0)
    core = Core(LIMITS)
    for event in (HEAD, FOUND, EXECUTED, HaltAsked("person", "end")):
        journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event, Stamp(0, 0, 0)), monotonic_ns=3, wall_ns=4)
    journal.close()
    return str(tmp_path / "run")


def test_a_whole_journal_verifies_and_a_changed_one_says_how_far_it_is_sound(run: str) -> None:
    answer = verify(JournalRequest(run=run), say)
    assert (answer.exit_code, answer.data["is_whole"]) == (0, True)
    assert answer.data["is_closed"]
    path = Path(run) / "journal" / "0000000001.mvj"
    changed = bytearray(path.read_bytes())
    changed[changed.index(b'"run"')] ^= 1
    path.write_bytes(changed)
    broken = verify(JournalRequest(run=run), say)
    assert broken.exit_code == 1
    assert (broken.data["broken_at"], broken.data["records"]) == (1, 0)


def test_a_torn_tail_is_told_and_is_no_fault(run: str) -> None:
    path = Path(run) / "journal" / "0000000001.mvj"
    path.write_bytes(path.read_bytes()[:-1])
    answer = verify(JournalRequest(run=run), say)
    assert (answer.exit_code, answer.data["is_torn"], answer.data["is_closed"]) == (0, True, False)
    assert "torn" in answer.text


def test_a_journal_of_the_first_format_is_refused_by_its_version(tmp_path: Path) -> None:
    (tmp_path / "journal.mevj").write_bytes(b"MEVJ" + bytes(40))
    for name in (tmp_path, tmp_path / "journal.mevj"):
        with pytest.raises(UnknownFormat, match="format 1") as refused:
            verify(JournalRequest(run=str(name)), say)
        assert refused.value.version == 1


def test_the_tail_is_the_last_records(run: str) -> None:
    everything = tail(JournalRequest(run=run, last=1000), say).data
    assert tail(JournalRequest(run=run, last=2), say).data == everything[-2:]
    assert everything[0]["kind"] == "run"


def test_why_gives_what_led_to_it_and_nothing_else(run: str) -> None:
    found = why(JournalRequest(run=run, subject=FOUND.id), say)
    assert found.exit_code == 0
    assert [(row["kind"], row["is_cause"]) for row in found.data] == [
        ("event", False),
        ("effects", False),
        ("event", False),
        ("effects", False),
    ]
    assert all(FOUND.id in line for line in found.text.splitlines())
    assert f"execute id={FOUND.id}" in found.text
    assert why(JournalRequest(run=run, subject="nothing-like-it"), say).exit_code == 1


def test_why_of_a_place_ends_at_the_decision(run: str) -> None:
    decisions = why(JournalRequest(run=run, subject=FOUND.id), say).data
    executed = decisions[2]["sequence"]
    found = why(JournalRequest(run=run, subject=f"{executed}.0"), say)
    assert found.data == [{**row, "indexes": row["indexes"]} for row in decisions]
    earlier = why(JournalRequest(run=run, subject=f"{decisions[0]['sequence']}.0"), say)
    assert earlier.data == decisions[:2]
    with pytest.raises(UsageError, match="no effect 7"):
        why(JournalRequest(run=run, subject=f"{executed}.7"), say)


def test_the_export_holds_every_record_and_leaves_no_partial_file(run: str, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    answer = export(JournalRequest(run=run, out=out), say)
    with sqlite3.connect(out / "records.sqlite") as database:
        rows = database.execute("select sequence, content from records order by sequence").fetchall()
    lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [json.loads(content) for _, content in rows] == [line["content"] for line in lines]
    assert len(rows) == answer.data["records"]
    with (out / "records.csv").open(newline="") as file:
        assert [(int(row["sequence"]), row["content"]) for row in csv.DictReader(file)] == rows
    assert sorted(answer.data["paths"]) == sorted(str(path) for path in out.iterdir())
    assert not [path for path in out.iterdir() if path.suffix == ".partial"]


def test_an_exported_amount_is_exact_text_and_a_number_only_where_64_bits_hold_it(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "run", Run("r", "1", {}), monotonic_ns=0, wall_ns=0)
    for amount in (2**63 - 1, 2**63, 10**30 + 1):
        found = msgspec.structs.replace(FOUND, gross_amount=amount)
        journal.event(found, monotonic_ns=1, wall_ns=2)
    journal.close()
    export(JournalRequest(run=str(tmp_path / "run"), out=tmp_path / "out"), say)
    with sqlite3.connect(tmp_path / "out" / "records.sqlite") as database:
        rows = database.execute("select text, number from fields where path = 'gross_amount' order by sequence")
        assert rows.fetchall() == [
            (str(2**63 - 1), 2**63 - 1),
            (str(2**63), None),
            (str(10**30 + 1), None),
        ]


def test_duckdb_reads_parquet_with_every_digit(tmp_path: Path) -> None:
    """Where pyarrow and duckdb are: sums of wei that no float and no 64 bits would hold."""
    pytest.importorskip("pyarrow")
    duckdb = pytest.importorskip("duckdb")
    amounts = (10**30 + 1, 10**30 + 2, 2**200 + 7)
    journal = JournalWriter(tmp_path / "run", Run("r", "1", {}), monotonic_ns=0, wall_ns=0)
    for amount in amounts:
        journal.event(msgspec.structs.replace(FOUND, gross_amount=amount), monotonic_ns=1, wall_ns=2)
    journal.close()
    answer = export(JournalRequest(run=str(tmp_path / "run"), out=tmp_path / "out"), say)
    fields = f"'{tmp_path / 'out' / 'fields.parquet'}'"
    ((total, count),) = duckdb.sql(
        f"select sum(decimal), count(*) from {fields} where path = 'gross_amount' and decimal is not null"
    ).fetchall()
    assert (int(total), count) == (2 * 10**30 + 3, 2)
    ((largest,),) = duckdb.sql(f"select max(uint256) from {fields} where path = 'gross_amount'").fetchall()
    assert int.from_bytes(largest, "big") == amounts[2]
    rows = duckdb.sql(f"select count(*) from '{tmp_path / 'out' / 'records.parquet'}'").fetchall()
    assert rows == [(answer.data["records"],)]


def test_an_export_that_fails_leaves_what_was_there(run: str, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    export(JournalRequest(run=run, out=out), say)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "fields.csv.partial").mkdir()
    with pytest.raises(SetupError, match="cannot write into"):
        export(JournalRequest(run=run, out=out), say)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_a_replay_is_identical_and_a_planted_difference_is_a_no(run: str, tmp_path: Path) -> None:
    assert replay(ReplayRequest(run=run, is_verified=True), say).exit_code == 0
    limits = msgspec.structs.replace(LIMITS, min_net_wei=10**30)
    journal = JournalWriter(
        tmp_path / "other", Run("r", "1", {"limits": msgspec.json.encode(limits).decode()}), monotonic_ns=0, wall_ns=0
    )
    core = Core(LIMITS)
    for event in (HEAD, FOUND, EXECUTED):
        journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event, Stamp(0, 0, 0)), monotonic_ns=3, wall_ns=4)
    journal.close()
    other = str(tmp_path / "other")
    assert replay(ReplayRequest(run=other, is_verified=True), say).exit_code == 1
    assert replay(ReplayRequest(run=other), say).exit_code == 0


def test_a_replay_by_other_code_says_so(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay(ReplayRequest(run=run), say).warnings == ()
    monkeypatch.setattr("agent.session.journal.code_hash", lambda: b"\x01" * 32)
    (warning,) = replay(ReplayRequest(run=run, is_verified=True), say).warnings
    assert "replayed by 010101010101" in warning


def test_what_was_pruned_is_replayed_from_the_oldest_snapshot(tmp_path: Path) -> None:
    settings = JournalSettings(segment_bytes=16 * 1024, free_bytes_min=0, retain_bytes=0, is_threaded=False)
    limits = msgspec.json.encode(LIMITS).decode()
    journal = JournalWriter(
        tmp_path / "run", Run("r", "1", {"limits": limits}), monotonic_ns=0, wall_ns=0, settings=settings
    )
    core = Core(LIMITS)
    for number in range(420):
        found = msgspec.structs.replace(FOUND, id=str(number))
        for event in (msgspec.structs.replace(HEAD, number=number), found):
            sequence = journal.event(event, monotonic_ns=1, wall_ns=2)
            journal.effects(core.step(event, Stamp(sequence, 1, 2)), monotonic_ns=1, wall_ns=2)
        if number % 50 == 49:
            journal.snapshot(core.state(), monotonic_ns=1, wall_ns=2)
        journal.work()
    journal.close(state=core.state())
    assert not (tmp_path / "run" / "journal" / "0000000001.mvj").exists()
    answer = replay(ReplayRequest(run=str(tmp_path / "run"), is_verified=True), say)
    assert (answer.exit_code, answer.data["differences"]) == (0, [])
    assert 0 < answer.data["events"] < 400 and answer.data["states"] >= 2


def test_the_commands_reach_it_and_a_missing_run_is_told(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "verify", run]) == 0
    assert main(["replay", run, "--verify"]) == 0
    assert capsys.readouterr().out.count("identical") == 1
    assert main(["journal", "verify", run + "-absent"]) == 4
    assert "no journal" in capsys.readouterr().err


def test_a_second_run_into_the_same_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    JournalWriter(folder, Run("r", "1", {}), monotonic_ns=0, wall_ns=0).close()
    (folder / "asked.json").write_text("the first")
    hunt = HuntSettings(start_tokens=(), max_hops=2, share_bps=0, limits=LIMITS)
    remember(folder, RunRequest(world=WorldRequest()), hunt)
    assert (folder / "asked.json").read_text() == "the first"
    remember(tmp_path / "other", RunRequest(world=WorldRequest(), leave_out=(b"\x01" * 32,), seed=4), hunt)
    again = recall(tmp_path / "other")
    assert (again.request.seed, again.request.leave_out, again.hunt) == (4, (b"\x01" * 32,), hunt)
