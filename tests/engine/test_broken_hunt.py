"""An exception where bundles are decided: none leaves any more, the guard takes over, the process says that it failed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from agent.cli.failure import DEFECT

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.anvil
@pytest.mark.parametrize("where", ["beat", "ending", "search", "journal"])
async def test_a_failure_ends_the_run_and_the_guard_takes_over(where: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.engine.broken_hunt_child", where, "run", "--blocks", "40", "--out", str(run)],
        cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = (text.decode() for text in await asyncio.wait_for(child.communicate(), 120))
    assert child.returncode == DEFECT, out + err
    assert "Traceback" not in out + err
    assert "STOPPED by Planted" in err
    assert "SENT" in out and "AFTER" not in out
    crash = json.loads((run / "crash.json").read_text())
    assert crash["error"] == "Planted"
    assert crash["record"] > 0
    for _ in range(500):
        if (run / "guard" / "latch").exists():
            break
        await asyncio.sleep(0.02)
    assert (run / "guard" / "latch").exists(), "a start needs a person"
