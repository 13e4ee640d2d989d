"""scripts/soak_worlds.py: it counts worlds and events, and says which world broke a law."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "soak_worlds.py"
PLANTED = (
    "import runpy, sys\n"
    "from agent.devnet.virtual.planted import planted\n"
    "sys.argv = ['soak_worlds.py', *sys.argv[1:]]\n"
    "with planted('ids-begin-anew'):\n"
    f"    runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
)
FEW = ("--seeds", "0..2", "--jobs", "1", "--crash-seeds", "0")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )


def test_sound_worlds_are_counted_and_it_says_how_far_it_is() -> None:
    done = run(str(SCRIPT), *FEW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 seeds in" in done.stdout
    assert "2 worlds," in done.stdout and "0 broke a law in all" in done.stdout


def test_a_broken_law_is_told_with_the_command_that_shows_it() -> None:
    done = run("-c", PLANTED, *FEW)
    assert done.returncode == 1
    assert "seed 0: O" in done.stdout
    assert "again: mev-agent simulate --seeds 0..1" in done.stdout
