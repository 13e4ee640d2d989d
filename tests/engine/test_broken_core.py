"""An exception where orders are decided: nothing goes out any more, the guard cancels, the process says that it failed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = """schema = 1
mode = "devnet"
venue = "purpleflea"
[purpleflea]
ws_url = "{ws}"
rest_url = "{rest}"
auth = "x-api-key"
api_key = "env:PF_KEY"
guard_key = "env:PF_GUARD"
key_id = "{key_id}"
symbols = ["BTC-USDC"]
cancel_on_disconnect = false
[guard]
heartbeat_ms = 1000
"""
"""Without cancel-on-disconnect, so that it is the guard that cancels."""


def configured(folder: Path, venue: PurpleFleaVenue, keys: AccountKeys) -> tuple[Path, dict[str, str]]:
    """A configuration's file and the environment that goes with it."""
    path = folder / "agent.toml"
    path.write_text(CONFIG.format(ws=venue.ws_url, rest=venue.http_url, key_id=keys.trade.key_id))
    return path, {**os.environ, "PF_KEY": keys.trade.secret, "PF_GUARD": keys.guard.secret}


def open_orders(venue: PurpleFleaVenue, keys: AccountKeys) -> int:
    return sum(row["status"] == "open" for row in venue.books()["accounts"][keys.agent_id]["orders"])


@pytest.fixture
def leave_no_guard(tmp_path: Path) -> Iterator[None]:
    """An account's guard goes on asking for as long as it takes: here the venue ends with the test."""
    yield
    for process in psutil.process_iter(["cmdline"]):
        if str(tmp_path) in " ".join(process.info["cmdline"] or ()):
            process.kill()


@pytest.mark.parametrize("where", ["beat", "frame", "strategy", "journal"])
async def test_a_failure_ends_the_run_and_the_guard_takes_over(
    where: str, tmp_path: Path, leave_no_guard: None
) -> None:
    async with PurpleFleaVenue(seed=1) as venue:
        keys = venue.create_account(funds="100000")
        config, environment = configured(tmp_path, venue, keys)
        run = tmp_path / "run"
        asked = [sys.executable, "-m", "tests.engine.broken_child", where, "run"]
        child = await asyncio.create_subprocess_exec(
            *asked, "--config", str(config), "--out", str(run), "--seconds", "40",
            cwd=REPOSITORY, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = (text.decode() for text in await asyncio.wait_for(child.communicate(), 60))
        assert child.returncode not in (0, None), out + err
        assert "Traceback" not in out + err
        assert "STOPPED by Planted" in err
        crash = json.loads((run / "crash.json").read_text())
        assert crash["error"] == "Planted"
        assert crash["record"] > 0
        for _ in range(500):
            if not open_orders(venue, keys) and (run / "guard" / "latch").exists():
                break
            await asyncio.sleep(0.02)
        assert (run / "guard" / "latch").exists(), "a start needs a person"
        assert open_orders(venue, keys) == 0
