"""A person's commands: taken once, in their order, from nobody else, and never half."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.cli.tell import ACTIONS as NAMED
from agent.core.events.control import OperatorCommand
from agent.engine.command_box import ACTIONS, BYTES_MAX, FOLDER_NAME, Asked, CommandBox, leave_command

GOOD: dict[str, Any] = {"action": "pause", "reason": "news", "target": "BTC-USDC"}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def box(tmp_path: Path, said: list[str]) -> CommandBox:
    return CommandBox(tmp_path, said.append)


def lay(box: CommandBox, content: Any, name: str = "1.json") -> Path:
    path = box.folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(0o600)
    return path


def test_commands_are_taken_once_and_in_order(box: CommandBox, tmp_path: Path) -> None:
    leave_command(tmp_path, Asked(action="pause", reason="first"), wall_ns=9)
    leave_command(tmp_path, Asked(action="reset_breaker", reason="second", target="day_loss", symbol="X"), wall_ns=10)
    assert box.take() == [
        OperatorCommand(action="pause", reason="first"),
        OperatorCommand(action="reset_breaker", reason="second", target="day_loss", symbol="X"),
    ]
    assert box.take() == []
    assert sorted(path.suffix for path in (tmp_path / FOLDER_NAME).iterdir()) == [".done", ".done"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff" * 9,
        GOOD | {"action": "buy"},
        GOOD | {"reason": " "},
        GOOD | {"more": 1},
        {"action": "pause"},
        GOOD | {"reason": "x" * BYTES_MAX},
        [GOOD],
    ],
)
def test_what_is_no_command_is_refused_and_put_away(content: Any, box: CommandBox, said: list[str]) -> None:
    path = lay(box, content)
    assert box.take() == []
    assert path.with_suffix(".refused").exists()
    assert len(said) == 1
    assert box.take() == []
    assert len(said) == 1, "and said once"


def test_nobody_elses_file_and_no_other_kind_of_file_is_taken(box: CommandBox, tmp_path: Path) -> None:
    lay(box, GOOD, "writable.json").chmod(0o622)
    outside = tmp_path / "outside"
    outside.write_text(json.dumps(GOOD))
    (box.folder / "link.json").symlink_to(outside)
    os.mkfifo(box.folder / "pipe.json", 0o600)
    (box.folder / "folder.json").mkdir()
    assert box.take() == []


def test_a_command_that_is_being_written_waits(box: CommandBox) -> None:
    lay(box, b'{"act', ".1.json")
    assert box.take() == []
    assert (box.folder / ".1.json").exists()


def test_without_its_folder_nothing_comes(box: CommandBox) -> None:
    box.folder.rmdir()
    assert box.take() == []


def test_every_command_of_the_core_can_be_told() -> None:
    assert sorted(NAMED) == sorted(ACTIONS)
