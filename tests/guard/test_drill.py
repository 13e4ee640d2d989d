"""The drill itself: the real agent at the simulated venue, stopped in each way within what is promised."""

from __future__ import annotations

import json

import pytest

from agent.cli import main
from agent.cli.drill import FAULTS as OFFERED
from agent.session.drill import FAULTS, Times, kill


def drilled(capsys: pytest.CaptureFixture[str], *faults: str, trials: int) -> list[dict[str, object]]:
    words = [word for fault in faults for word in ("--fault", fault)]
    code = main(["drill", "kill", *words, "--trials", str(trials), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert code == 0, document["errors"] or document["data"]
    rows: list[dict[str, object]] = document["data"]["drills"]
    return rows


def test_the_drill_keeps_its_promise_with_the_agent_killed(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = drilled(capsys, "killed", trials=1)
    assert row["is_latched"]


@pytest.mark.slow
def test_a_cut_network_is_no_reason_for_a_person_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    [row] = drilled(capsys, "network-cut", trials=1)
    assert not row["is_latched"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_drill_keeps_its_promise_in_every_way_five_times(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(drilled(capsys, fault, trials=5)) == 5


def test_the_command_offers_every_fault() -> None:
    assert OFFERED == FAULTS


@pytest.mark.parametrize(
    ("cancelled_s", "last_accepted_s", "verified_s", "is_kept"),
    [
        (1.0, 2.0, 9.0, True),
        (1.001, 0.0, 2.0, False),
        (None, 0.0, 2.0, False),
        (0.1, 2.001, 2.0, False),
        (0.1, 0.0, None, False),
    ],
)
def test_a_broken_promise_is_called_broken(
    cancelled_s: float | None,
    last_accepted_s: float,
    verified_s: float | None,
    is_kept: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times(
        fault="killed",
        cancelled_s=cancelled_s,
        last_accepted_s=last_accepted_s,
        verified_s=verified_s,
        is_latched=True,
    )

    async def once(fault: str, *, seed: int) -> Times:
        return times

    monkeypatch.setattr("agent.session.drill._once", once)
    answer = kill(("killed",), 1, lambda line: None)
    assert answer.exit_code == (0 if is_kept else 1)
    assert ("BROKEN" in answer.text) is not is_kept
