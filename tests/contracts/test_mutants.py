"""The list of mutants fits the sources, and a handful of them is killed; scripts/mutants.py runs them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import mutants  # noqa: E402


def test_every_mutant_changes_the_sources_in_exactly_one_place() -> None:
    assert len(mutants.MUTANTS) >= 20
    mutants.check()


@pytest.mark.slow
def test_a_handful_of_mutants_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "mutants.py"), "--quick"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
