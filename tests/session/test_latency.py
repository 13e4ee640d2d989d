"""`mev-agent latency`: a run's histograms beside the article's claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import SetupError
from agent.session.latency import FILE_NAME, latency
from agent.venues.purpleflea.latency import Stages


def run_of(folder: Path, document: dict[str, Any] | bytes) -> str:
    folder.mkdir(parents=True)
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder / FILE_NAME).write_bytes(content)
    return str(folder)


def timed() -> dict[str, Any]:
    stages = Stages()
    for number in range(100):
        stages.sent(f"o{number}", 0, 2_000, 5_000, 9_000 + number)
        stages.answered(f"o{number}", 50_000)
    return stages.document()


def test_a_runs_stages_stand_beside_what_the_article_says(tmp_path: Path) -> None:
    answer = latency(run_of(tmp_path / "r1", timed()))
    stages = answer.data["stages"]
    assert stages["decode"]["p50_ns"] == 2_000
    assert stages["tick_to_order"]["article"] == "under 1 ms from call to wire"
    assert stages["venue"]["article"].startswith("sub-5 ms")
    assert "article" not in stages["decode"]
    line = next(line for line in answer.text.splitlines() if line.startswith("tick_to_order"))
    assert line.split()[:2] == ["tick_to_order", "100"] and "under 1 ms" in line
    assert line.split()[5] == "9.0"


def test_the_newest_timed_run_is_shown_if_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "runs" / "2026-01-01", timed())
    run_of(tmp_path / "runs" / "2026-01-02", timed())
    assert latency(None).data["run"] == "2026-01-02"
    assert latency("2026-01-01").data["run"] == "2026-01-01"


def test_a_run_on_chain_shows_the_stages_of_its_report(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    folder.mkdir()
    report = {
        "schema": "mev-agent/report/1",
        "data": {"latency_ns": {"search": {"p50": 1_500, "p99": 9_000, "max": 9_999, "n": 3}}},
    }
    (folder / "report.json").write_text(json.dumps(report))
    answer = latency(str(folder))
    assert answer.data["stages"]["search"] == {
        "n": 3,
        "p50_ns": 1_500,
        "p99_ns": 9_000,
        "p999_ns": None,
        "max_ns": 9_999,
    }
    assert "1.5" in answer.text and "answered" not in answer.text


def test_orders_that_were_not_timed_are_told(tmp_path: Path) -> None:
    answer = latency(run_of(tmp_path / "r1", {**timed(), "dropped": 7}))
    assert "7 orders were not timed" in answer.warnings[0]


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        {"schema": "other/1", "stages": {}},
        {"schema": "mev-agent/latency/1", "stages": {"a": {}}},
        Stages().document(),
    ],
)
def test_a_file_that_is_not_a_runs_is_refused(tmp_path: Path, document: dict[str, Any] | bytes) -> None:
    with pytest.raises(SetupError):
        latency(run_of(tmp_path / "r1", document))


def test_a_run_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for run in (None, "nothing"):
        with pytest.raises(SetupError):
            latency(run)
