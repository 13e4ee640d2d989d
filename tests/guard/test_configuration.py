"""The guard's own configuration: closed, typed, and as the guide shows it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.guard.configuration import ConfigurationFault, load, parse
from tests.guard.stage import ROOT

GUIDE = ROOT / "docs" / "how-to" / "stop-it.md"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for name in ("guard.key", "agent.key", "button.token"):
        (tmp_path / name).write_text(f"secret of {name}\n" if name != "button.token" else "t" * 32)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def shown() -> str:
    """The file that the guide shows, with an address for the dots."""
    block = re.search(r"^    schema = 1\n(?:(?:    .*)?\n)+", GUIDE.read_text(), re.MULTILINE)
    assert block is not None
    return re.sub(r"^    ", "", block.group(), flags=re.MULTILINE).replace("0x…", "0x" + "ab" * 20)


def test_the_file_of_the_guide_is_one(keys: Path) -> None:
    (keys / "guard.toml").write_text(shown())
    found = load(keys / "guard.toml")
    assert found.venue is not None and found.chain is not None
    assert found.folder == keys / "runs/guard"
    assert found.venue.venue.key == "secret of guard.key"
    assert found.button is not None and found.button.port == 8_799
    assert found.limits.max_exposure == 5_000_000_000
    assert found.limits.beat_deadline_ms == 250 and not found.is_single_run and found.give_up_s == 0


CHANGES: list[tuple[tuple[str, ...], Any, str]] = [
    (("schema",), 2, "schema"),
    (("folder",), 1, "folder"),
    (("beat_deadline_ms",), 5, "beat_deadline_ms"),
    (("beat_deadline_ms",), True, "beat_deadline_ms"),
    (("is_single_run",), 1, "is_single_run"),
    (("limits",), [], "limits"),
    (("limits", "max_exposure_atoms"), -1, "max_exposure_atoms"),
    (("limits", "max_exposure_atoms"), 1.5, "max_exposure_atoms"),
    (("limits", "max_exposure"), 1, "max_exposure"),
    (("venue", "url"), "wss://x", "venue.url"),
    (("venue", "key_file"), "none.key", "venue.key_file"),
    (("venue", "deadman_ms"), 100, "deadman_ms"),
    (("venue", "paths"), {"orders": "orders"}, "venue.paths.orders"),
    (("venue", "paths"), {"orders": "/orders?all=1"}, "venue.paths.orders"),
    (("venue", "paths"), {"rotate": "/x"}, "rotate"),
    (("venue", "symbols"), [1], "symbols"),
    (("button", "port"), 65_536, "port"),
    (("button", "token_file"), "none", "token_file"),
    (("chain", "nodes"), [], "nodes"),
    (("chain", "executor"), "0x12", "executor"),
    (("chain", "guardian_password_file"), "", "belong together"),
    (("chian",), {}, "chian"),
]


@pytest.mark.parametrize(("path", "value", "word"), CHANGES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_named_by_its_key_and_without_its_value(
    keys: Path, path: tuple[str, ...], value: Any, word: str
) -> None:
    content: dict[str, Any] = tomllib.loads(shown())
    table = content
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value
    with pytest.raises(ConfigurationFault, match=word) as caught:
        parse(content, keys)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_none(keys: Path, mode: int) -> None:
    (keys / "guard.key").chmod(mode)
    with pytest.raises(ConfigurationFault, match="chmod 600"):
        parse(tomllib.loads(shown()), keys)


def test_a_link_to_a_key_is_none(keys: Path) -> None:
    (keys / "guard.key").rename(keys / "real.key")
    (keys / "guard.key").symlink_to(keys / "real.key")
    with pytest.raises(ConfigurationFault):
        parse(tomllib.loads(shown()), keys)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["schema", "folder", "limits", "venue", "chain", "is_single_run", "give_up_s", "x"]),
        json_values,
    )
)
def test_whatever_stands_in_the_file_is_a_configuration_or_a_named_fault(content: dict[str, Any]) -> None:
    try:
        parse(content, Path("/nowhere"))
    except ConfigurationFault as fault:
        assert str(fault)
