"""What the configuration's commands say, and the file that `init` writes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import load_settings, resolve
from agent.config.load import keys
from agent.config.show import check, schema, show
from agent.config.template import text, write
from agent.errors import ConfigError, UsageError
from agent.settings import Reference

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_key_is_shown_with_its_origin() -> None:
    Path("mev-agent.toml").write_text('schema = 1\n[risk]\nmin_net_wei = "0.3 ether"\n')
    answer = show((), ("onchain.http_url=https://node.example/secret",))
    rows = {line.split()[0]: line for line in answer.text.splitlines()}
    assert set(rows) == {name for name, _ in keys()}
    assert rows["risk.min_net_wei"].split() == ["risk.min_net_wei", "300000000000000000", "mev-agent.toml:3"]
    assert rows["venue"].split() == ["venue", '"onchain"', "default"]
    assert answer.data["values"]["onchain.http_url"]["origin"] == "--set onchain.http_url"
    assert "secret" not in answer.text + json.dumps(answer.data)


def test_a_variable_that_holds_a_secret_is_named_and_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOT_KEY", "very-secret")
    answer = show((), ("onchain.signer=env:HOT_KEY",))
    assert "env:HOT_KEY (env, not shown)" in answer.text
    assert "very-secret" not in answer.text + json.dumps(answer.data)


def test_the_hash_follows_the_values_and_not_the_layers() -> None:
    Path("a.toml").write_text("[risk]\nmin_net_wei = 5\n")
    by_file = check((Path("a.toml"),), ())
    by_option = check((), ("risk.min_net_wei=5",))
    assert by_file.data["hash"] == by_option.data["hash"] != check((), ()).data["hash"]


def test_the_schema_accepts_amounts_as_text_and_closes_every_table() -> None:
    document = schema().data
    risk = document["$defs"]["Risk"]
    assert {option["type"] for option in risk["properties"]["min_net_wei"]["anyOf"]} == {"integer", "string"}
    tables = [
        document,
        *(table for table in document["$defs"].values() if table.get("type") == "object" and "properties" in table),
    ]
    assert all(table["additionalProperties"] is False for table in tables if table.get("title") != "Reference")
    assert json.loads(schema().text) == document


def test_the_written_file_loads_and_gives_the_defaults() -> None:
    path = Path(write(Path("new")).data["path"])
    assert load_settings((path,), environment={}).settings == load_settings(environment={}).settings


def uncommented(template: str) -> Iterator[str]:
    """Every `# key = value` of the template as a line of its own; prose stays a comment."""
    names = {name.rpartition(".")[2] for name, _ in keys()}
    for line in template.splitlines():
        key = line.removeprefix("# ").partition(" = ")[0]
        yield line.removeprefix("# ") if key in names and " = " in line else line


def test_the_written_file_holds_every_key_and_is_right_when_uncommented() -> None:
    document = "\n".join(uncommented(text()))
    Path("all.toml").write_text(document)
    settings = load_settings((Path("all.toml"),), environment={}).settings
    defaults = load_settings(environment={}).settings
    assert settings.risk == defaults.risk
    assert (settings.guard, settings.observe, settings.mode) == (defaults.guard, defaults.observe, defaults.mode)
    tree = tomllib.loads(document)
    for name, _ in keys():
        table, _, key = name.rpartition(".")
        assert key in (tree[table] if table else tree), name


def test_a_file_that_is_there_is_not_written_over() -> None:
    write(Path("."))
    with pytest.raises(UsageError, match="is there already"):
        write(Path("."))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_each_example_loads(path: Path) -> None:
    load_settings((path,), environment={})


def test_a_reference_leads_to_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE", "http://127.0.0.1:1")
    Path("key").write_text("value\n")
    assert resolve(Reference("env", "NODE"), key="x") == "http://127.0.0.1:1"
    assert resolve(Reference("file", "key"), key="x") == "value"
    assert resolve(Reference("literal", "http://h"), key="x") == "http://h"


@pytest.mark.parametrize(
    "reference",
    [
        Reference("env", "MEV_AGENT_TEST_ABSENT"),
        Reference("file", "absent"),
        Reference("file", "empty"),
        Reference("keystore", "k"),
    ],
)
def test_a_reference_that_leads_nowhere_names_the_key_and_the_place(reference: Reference) -> None:
    Path("empty").touch()
    with pytest.raises(ConfigError, match=r"^onchain\.http_url: "):
        resolve(reference, key="onchain.http_url")
