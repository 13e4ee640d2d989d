"""Imports run downwards only, and the rule that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(folder), "PATH": ""}
    )


def test_every_contract_is_kept() -> None:
    done = lint_imports(REPOSITORY)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_each_kind_of_breach_is_reported(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "agent", tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__", "*.json"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    breaches = {
        "agent/dex/_upward.py": "from agent.engine import __doc__",
        "agent/core/_clock.py": "def now():\n    import time\n    return time",
        "agent/venues/_sideways.py": "from agent.sim import simulator",
        "agent/journal/_models.py": "import pydantic",
        "agent/guard/_shared.py": "from agent.core import __doc__",
        "agent/stray/__init__.py": "",
    }
    for path, text in breaches.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    for sign in (
        "agent.dex._upward",
        "agent.core._clock",
        "agent.venues._sideways",
        "agent.journal._models",
        "agent.guard._shared",
        "stray",
    ):
        assert sign in done.stdout, f"{sign} was not reported:\n{done.stdout}"
