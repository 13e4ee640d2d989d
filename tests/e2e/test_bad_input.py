"""Bad files, bad options, full disks and Ctrl-C: one clear message, the right exit code, nothing left behind."""

from __future__ import annotations

import gzip
import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Started, assert_one_clear_message, files_of, mev_agent

BLOCK = 24647140
TOKEN0 = "0dfe1681"
"""Selector of token0(): whatever answers it is in its code."""
SLICE_SECONDS = 9.0
"""About what a run of the slice takes; interrupts are spread over it."""


@pytest.fixture(scope="module")
def case(mainnet: Path) -> Path:
    return mainnet / "public" / f"{BLOCK}.json.gz"


@pytest.fixture
def changed(case: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A copy of the case with something done to its tree."""

    def make(change: Callable[[dict[str, Any]], None]) -> Path:
        tree = json.loads(gzip.decompress(case.read_bytes()))
        change(tree)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(tree))
        return path

    return make


@pytest.mark.parametrize("command", ["survey", "run"])
def test_a_truncated_case_is_named_and_nothing_starts(case: Path, tmp_path: Path, command: str) -> None:
    short = tmp_path / "short.json.gz"
    short.write_bytes(case.read_bytes()[:100_000])
    completed = mev_agent(command, "--case", str(short), cwd=tmp_path)
    assert_one_clear_message(completed, exit_code=3, says=str(short))


def test_a_case_of_another_format_is_refused(changed: Any, tmp_path: Path) -> None:
    path = changed(lambda tree: tree.update(format="mainnet-capture/9"))
    completed = mev_agent("survey", "--case", str(path), cwd=tmp_path)
    assert_one_clear_message(completed, exit_code=3, says="mainnet-capture/1")


def test_a_file_that_is_no_case_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.json.gz"
    path.write_bytes(gzip.compress(b"<html>502</html>"))
    completed = mev_agent("run", "--case", str(path), cwd=tmp_path)
    assert_one_clear_message(completed, exit_code=3, says=str(path))


@pytest.mark.anvil
@pytest.mark.parametrize("command", ["survey", "run"])
def test_an_empty_mempool_is_a_normal_end(changed: Any, tmp_path: Path, command: str) -> None:
    path = changed(lambda tree: tree.update(transactions=[]))
    completed = mev_agent(command, "--case", str(path), "--report", "report.json", cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    data = json.loads((tmp_path / "report.json").read_text())["data"]
    assert all(one["kind"] == "head" for one in data["opportunities"])
    assert data["blocks"][0]["transactions"] == data["funnel"]["landed"]


@pytest.mark.anvil
def test_a_block_without_pools_is_a_normal_end(changed: Any, tmp_path: Path) -> None:
    def without_pools(tree: dict[str, Any]) -> None:
        tree["transactions"] = []
        asks_token0 = {code_hash for code_hash, code in tree["codes"].items() if TOKEN0 in code}
        tree["accounts"] = {at: row for at, row in tree["accounts"].items() if row["codeHash"] not in asks_token0}

    path = changed(without_pools)
    completed = mev_agent("run", "--case", str(path), "--report", "report.json", cwd=tmp_path)
    assert completed.returncode == 0, completed.stderr
    data = json.loads((tmp_path / "report.json").read_text())["data"]
    assert data["pools"]["known"] == 0 and data["opportunities"] == []


@pytest.mark.anvil
def test_an_unknown_id_is_a_mistake_of_the_command_line(case: Path, tmp_path: Path) -> None:
    completed = mev_agent("run", "--case", str(case), "--only", "0123456789ab", cwd=tmp_path)
    assert_one_clear_message(completed, exit_code=2, says="0123456789ab")


def test_a_foreign_hash_to_leave_out_is_named(case: Path, tmp_path: Path) -> None:
    foreign = "0x" + "ab" * 32
    completed = mev_agent("run", "--case", str(case), "--leave-out", foreign, cwd=tmp_path)
    assert completed.returncode in (2, 3)
    assert_one_clear_message(completed, exit_code=completed.returncode, says=foreign)


@pytest.mark.anvil
def test_a_report_that_cannot_be_written_is_said(case: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    target = tmp_path / "file" / "report.json"
    completed = mev_agent("survey", "--case", str(case), "--report", str(target), cwd=tmp_path)
    assert_one_clear_message(completed, exit_code=4, says=str(target))


@pytest.mark.anvil
@pytest.mark.parametrize("command", ["survey", "run"])
def test_a_full_disk_leaves_no_half_report(case: Path, tmp_path: Path, command: str) -> None:
    """A limit on the size of files stops a write half-way, as a full disk does."""
    completed = mev_agent(command, "--case", str(case), "--report", "report.json", cwd=tmp_path, file_size_bytes=1_000)
    assert_one_clear_message(completed, exit_code=4, says="report.json" if command == "survey" else "")
    reports = [name for name in files_of(tmp_path) if "report" in name]
    assert not reports, "neither the report nor a part of it"


def assert_interrupted(started: Started, folder: Path, seconds: float) -> None:
    """After Ctrl-C at that instant: exit 130, no process, no half-written file."""
    time.sleep(seconds)
    started.process.send_signal(signal.SIGINT)
    completed = started.end()
    if completed.returncode == 0:  # it had ended before
        assert json.loads((folder / "report.json").read_text())["ok"]
    else:
        assert completed.returncode == 130, (seconds, completed.returncode, completed.stderr)
    assert "Traceback" not in completed.stderr, (seconds, completed.stderr)
    assert not started.left_behind()
    for name in files_of(folder):
        assert not Path(name).name.startswith(".report"), "a part of a report is left"
        if name.endswith(".json"):
            json.loads((folder / name).read_text())


@pytest.mark.anvil
@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.45, 0.7])
def test_ctrl_c_ends_everything_at_any_instant(tmp_path: Path, share: float) -> None:
    started = Started("run", "--slice", "--blocks", "40", "--report", "report.json", cwd=tmp_path)
    assert_interrupted(started, tmp_path, share * SLICE_SECONDS)


@pytest.mark.anvil
def test_ctrl_c_in_a_survey_ends_everything(case: Path, tmp_path: Path) -> None:
    started = Started("survey", "--case", str(case), "--report", "report.json", cwd=tmp_path)
    assert_interrupted(started, tmp_path, 2.5)


@pytest.mark.anvil
@pytest.mark.slow
@pytest.mark.parametrize("number", range(16))
def test_ctrl_c_at_instants_by_lot(at_leisure: None, mainnet: Path, tmp_path: Path, number: int) -> None:
    dice = random.Random(number)
    case = mainnet / "public" / "24628607.json.gz"
    world = ["--case", str(case)] if number % 2 else ["--slice", "--blocks", "40"]
    started = Started("run", *world, "--report", "report.json", cwd=tmp_path)
    assert_interrupted(started, tmp_path, dice.uniform(0, SLICE_SECONDS))


@pytest.mark.anvil
def test_impatience_leaves_no_process_either(tmp_path: Path) -> None:
    """Ctrl-C again and again while the first one is being obeyed."""
    started = Started("run", "--slice", "--blocks", "40", cwd=tmp_path)
    started.wait_for_a_child()
    for _ in range(4):
        started.process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    completed = started.end()
    assert completed.returncode in (130, -signal.SIGINT)
    assert started.is_alone_within(SLICE_SECONDS)


@pytest.mark.anvil
def test_a_killed_agent_takes_its_chain_along(tmp_path: Path) -> None:
    started = Started("run", "--slice", "--blocks", "40", cwd=tmp_path)
    started.wait_for_a_child()
    started.process.kill()
    started.end()
    assert started.is_alone_within(SLICE_SECONDS)
