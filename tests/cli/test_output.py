"""What goes to which channel, and the shape of a JSON document."""

from __future__ import annotations

import io
import json

import pytest

from agent.cli.output import Output, plain
from agent.errors import AgentError, SetupError
from agent.requests import Answer
from tests.cli.leaves import LEAVES

ENVELOPE = {"schema", "ok", "mode", "data", "warnings", "errors"}
# Words that make each command fail, or answer, without any world.
ENOUGH: dict[str, list[str]] = {
    "survey": ["--case", "missing.json"],
    "run": ["--case", "missing.json", "--slice"],
    "devnet up": ["--case", "missing.json", "--slice"],
    "devnet purpleflea": ["--faults", "missing.toml"],
    "spreads": ["--case", "missing.json", "--slice"],
    "inspect": ["x", "--run", "r", "--case", "c"],
    "capture": ["0", "--rpc-url", "http://127.0.0.1:1", "--out", "x"],
    "quote": ["--case", "missing.json", "--pool", "0x12"],
    "deploy": [],
    "replay": ["no-such-run"],
    "journal verify": ["no-such-run"],
    "journal tail": ["no-such-run"],
    "journal export": ["no-such-run", "--out", "x"],
    "journal why": ["no-such-run", "x"],
    "explain": ["E_CONFIG"],
    "completion": ["bash"],
    "doctor": ["--set", "nonsense=1"],
    "guard run": ["--nonsense"],
    "guard reset": ["--nonsense"],
    "drill kill": ["--nonsense"],
}


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_with_json_stdout_is_exactly_one_envelope_whatever_happens(words, mev_agent) -> None:
    ran = mev_agent(*words, *ENOUGH.get(" ".join(words), []), "--json")
    document = json.loads(ran.stdout)
    assert set(document) == ENVELOPE
    assert document["schema"].startswith("mev-agent/") and document["schema"].endswith("/1")
    assert document["ok"] is (ran.code == 0)
    assert ran.code in (0, 1) or document["errors"][0]["code"].startswith("E_")


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_failure_leaves_stdout_empty_and_shows_no_traceback(words, mev_agent) -> None:
    ran = mev_agent(*words, *ENOUGH.get(" ".join(words), []))
    assert "Traceback" not in ran.stderr
    if ran.code > 1:
        assert ran.stdout == ""
        assert ran.stderr.startswith("error: ")


def test_an_answer_goes_to_stdout_and_progress_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output("quote", is_json=False, stdout=out, stderr=err)
    output.say("working")
    assert output.show(Answer(data={}, text="42", warnings=("stale",), exit_code=1)) == 1
    assert (out.getvalue(), err.getvalue()) == ("42\n", "working\nwarning: stale\n")


def test_quiet_silences_progress_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()
    output = Output("quote", is_json=False, is_quiet=True, stdout=out, stderr=err)
    output.say("working")
    output.show(Answer(data={}, text="42"))
    assert output.fail(SetupError("no anvil", hint="run make tools")) == 4
    assert out.getvalue() == "42\n"
    assert err.getvalue() == "error: no anvil\n  what to do: run make tools\n"


def test_a_run_keeps_the_schema_of_its_report() -> None:
    out = io.StringIO()
    Output("run", is_json=True, stdout=out).show(Answer(data={"x": 1}, schema="mev-agent/report/1", mode="shadow"))
    assert json.loads(out.getvalue()) == {
        "schema": "mev-agent/report/1",
        "ok": True,
        "mode": "shadow",
        "data": {"x": 1},
        "warnings": [],
        "errors": [],
    }


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (2**53, 2**53),
        (2**53 + 1, str(2**53 + 1)),
        (-(2**200), str(-(2**200))),
        (True, True),
        (b"\x01\xff", "0x01ff"),
        ((1, None, "x"), [1, None, "x"]),
        ({"a": {2**60}}, {"a": [str(2**60)]}),
    ],
)
def test_values_become_json_without_losing_a_digit(value: object, json_value: object) -> None:
    assert plain(value) == json_value
    assert json.loads(json.dumps(plain(value))) == json_value


@pytest.mark.parametrize(
    ("color", "variables", "is_colored"),
    [
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ("auto", {}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_the_option_then_the_variables(color, variables, is_colored, monkeypatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Output("x", is_json=False, color=color, stdout=io.StringIO()).has_color is is_colored
    assert not Output("x", is_json=True, color="always", stdout=io.StringIO()).has_color


def test_an_error_says_what_where_and_what_to_do() -> None:
    err = io.StringIO()
    output = Output("run", is_json=False, stderr=err)
    assert output.fail(AgentError("it broke", hint="mend it", where="pool 0x12")) == 70
    assert err.getvalue() == "error: it broke\n  where: pool 0x12\n  what to do: mend it\n"
