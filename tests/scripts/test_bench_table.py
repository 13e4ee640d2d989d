"""The tables of what was measured are the committed figures, and a gate is judged by the fair rules."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks import verdict

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("bench_table", REPOSITORY / "scripts" / "make_bench_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(value: float, *, is_limit: bool = False) -> dict:
    return {"id": "P0", "value": value, "min": value - 1, "max": value + 1, "gate": 10.0, "is_limit": is_limit}


def test_the_pages_show_the_committed_figures_and_nothing_else(script):
    document = json.loads(script.FIGURES.read_text())
    assert script.README.read_text() == script.with_table(script.README.read_text(), document)
    assert script.PAGE.read_text() == script.page(document)


def test_a_number_changed_by_hand_is_seen(script):
    document = json.loads(script.FIGURES.read_text())
    readme = script.README.read_text()
    shown = script.rounded(document["data"]["rows"][-1]["value"])
    begin = readme.index(script.BEGIN)
    changed = readme[:begin] + readme[begin:].replace(f"| {shown}", "| 12345", 1)
    assert changed != readme and script.with_table(changed, document) == readme


def test_a_run_of_some_benchmarks_alone_makes_no_table(script):
    with pytest.raises(ValueError, match="lacks P10"):
        script.small({"schema": "", "ok": True, "data": {"rows": [row(11) | {"id": "P5"}], "figures": {}}})


@pytest.mark.parametrize(
    ("values", "is_held", "shown"),
    [([11], True, 11), ([9, 11, 12], True, 11), ([9, 11, 8], False, 9), ([9, 8], False, 9), ([10], True, 10)],
)
def test_two_of_three_runs_decide_where_the_first_misses(values, is_held, shown):
    judged = verdict.judged([row(value) for value in values])
    assert (judged["is_held"], judged["value"], judged["runs"]) == (is_held, shown, len(values))


def test_a_limit_is_held_from_below():
    assert verdict.meets(row(10, is_limit=True)) and not verdict.meets(row(10.01, is_limit=True))
    assert not verdict.meets(row(9.99))


def test_measuring_ends_when_more_could_change_nothing():
    assert verdict.is_decided([row(11)])
    assert not verdict.is_decided([row(9)])
    assert verdict.is_decided([row(9), row(9)]) and not verdict.is_decided([row(9), row(11)])
    assert verdict.is_decided([row(9), row(11), row(11)])
