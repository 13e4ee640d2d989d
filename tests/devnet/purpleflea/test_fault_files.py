"""Faults as files: what is read, what is refused, and when a fault acts."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.devnet.purpleflea.faults import Fault, When, load_faults, read_faults
from agent.devnet.purpleflea.faults.knobs import KNOBS
from agent.devnet.purpleflea.faults.trigger import Subject, Trigger
from agent.errors import ConfigError
from tests.conftest import REPOSITORY
from tests.devnet.purpleflea.bench import SECOND, StandingClock

TOML = """
[[fault]]
knob = "F1"
kind = "fill"
parameters = {ms = 250}
when = {at_s = 5, for_s = 10.5, probability = 0.2, seed = 7}

[[fault]]
knob = "F6"
order = "a-*"
when = {after_n = 3, count = 1}
"""


def test_toml_json_and_values_mean_the_same(tmp_path: Path) -> None:
    wanted = (
        Fault(knob="F1", kind="fill", parameters={"ms": 250}, when=When(at_s=5, for_s=10.5, probability=0.2, seed=7)),
        Fault(knob="F6", order="a-*", when=When(after_n=3, count=1)),
    )
    (tmp_path / "f.toml").write_text(TOML)
    (tmp_path / "f.json").write_text(
        '[{"knob": "F1", "kind": "fill", "parameters": {"ms": 250}, '
        '"when": {"at_s": 5, "for_s": 10.5, "probability": 0.2, "seed": 7}},'
        '{"knob": "F6", "order": "a-*", "when": {"after_n": 3, "count": 1}}]'
    )
    assert load_faults(tmp_path / "f.toml") == load_faults(tmp_path / "f.json") == read_faults(wanted) == wanted


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"knob": "F99"}, "no knob F99"),
        ({"knob": "F1", "parameters": {"sm": 1}}, "no parameter sm"),
        ({"knob": "F13", "parameters": {"mode": "full"}}, "mode is one of"),
        ({"knob": "F1", "when": {"probability": 2.0}}, "from 0 to 1"),
        ({"knob": "F1", "when": {"after": 2}}, "after"),
        ({"knob": "F1", "wen": {}}, "wen"),
        ({}, "knob"),
        ({"knob": "F26", "parameters": {"lose_ms": 100}}, "at_s"),
    ],
)
def test_what_is_wrong_is_said(row: dict, says: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_faults([{"knob": "F3"}, row])
    assert says in wrong.value.message and "fault 2" in wrong.value.message


@pytest.mark.parametrize("text", ["not [toml", "fault = 7"])
def test_a_file_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(ConfigError):
        load_faults(tmp_path / "f.toml")
    with pytest.raises(ConfigError):
        load_faults(tmp_path / "missing.toml")


def fired(fault: Fault, occasions: int, *, seed: int = 1, step_ns: int = SECOND) -> list[int]:
    clock = StandingClock()
    trigger = Trigger(fault, clock, seed=seed, index=0)
    found = []
    for index in range(occasions):
        if trigger.fires(Subject("fill", "ag_1", "BTC-USDC", "a-1")):
            found.append(index)
        clock.ns += step_ns
    return found


def test_time_count_and_order_of_occasions() -> None:
    assert fired(Fault(knob="F3", when=When(at_s=2, for_s=2)), 8) == [2, 3, 4]
    assert fired(Fault(knob="F3", when=When(after_n=2, count=3)), 8) == [2, 3, 4]
    assert fired(Fault(knob="F3", symbol="ETH-USDC"), 8) == []
    assert fired(Fault(knob="F3", order="a-*", account="ag_1", kind="fill", when=When(count=1)), 8) == [0]


def test_the_dice_are_the_faults_own() -> None:
    fault = Fault(knob="F3", when=When(probability=0.3, seed=5))
    assert fired(fault, 100, seed=1) == fired(fault, 100, seed=2)
    loose = Fault(knob="F3", when=When(probability=0.3))
    assert fired(loose, 100, seed=1) != fired(loose, 100, seed=2)
    assert 15 < len(fired(loose, 100)) < 45


def test_the_reference_page_has_every_knob_with_its_parameters() -> None:
    page = (REPOSITORY / "docs" / "reference" / "purpleflea-venue.md").read_text()
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    for name, knob in KNOBS.items():
        assert knob.says in rows[name]
        assert all(f"`{word}`" in rows[name] for word in (*knob.parameters, *knob.modes))
