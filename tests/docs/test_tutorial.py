"""The tutorial, typed in from top to bottom in an empty folder; set-up is what `make test` has done already."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BIN = Path(sys.executable).parent
TIMEOUT_S = 120
pytestmark = pytest.mark.anvil


def lines() -> list[str]:
    """Every indented line of the page: what a reader types."""
    return re.findall(r"^ {4}(\S.*)$", PAGE.read_text(), re.MULTILINE)


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        cwd=folder,
        env=os.environ | {"HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_line_of_the_tutorial_is_one_that_the_tests_understand() -> None:
    kinds = ("mev-agent ", "make run", "export PATH=")
    assert [line for line in lines() if not line.startswith(kinds)] == []


def test_the_commands_of_the_tutorial_do_what_it_says(tmp_path: Path) -> None:
    typed = [shlex.split(line) for line in lines() if line.startswith("mev-agent ")]
    assert ["mev-agent", "devnet", "up"] in typed and len(typed) >= 6
    for words in typed:
        if words[1:3] == ["devnet", "up"]:
            continue  # it does not end by itself: below
        runs = sorted((tmp_path / "runs").glob("*"))
        command = start([runs[-1].name if word == "RUN" else word for word in words], tmp_path)
        stdout, stderr = command.communicate(timeout=TIMEOUT_S)
        assert command.returncode == 0, f"{shlex.join(words)}\n{stdout}\n{stderr}"
        if "487c56b62027" in words:
            assert "487c56b62027" in stdout
    report = json.loads(next((tmp_path / "runs").glob("*/report.json")).read_text())
    assert report["data"]["funnel"]["landed"] > 0


def test_the_world_of_the_tutorial_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = start(["mev-agent", "devnet", "up"], tmp_path)
    try:
        assert command.stdout is not None
        shown = command.stdout.readline() + command.stdout.readline()
        assert "http://127.0.0.1:" in shown
        command.send_signal(signal.SIGTERM)  # a shell's background jobs ignore SIGINT, and so would this one there
        command.communicate(timeout=TIMEOUT_S)
        assert command.returncode in (0, 143)
    finally:
        command.kill()
