"""A guard for one run: started, linked, left; and the run cannot begin without one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.engine.guarded import GUARD_FILE, GuardedVenue, GuardPlan, guarded, is_standing, start_guard
from agent.errors import Halted, SetupError
from agent.guard.control import ask
from agent.ports.processes import Figures
from tests.engine.test_guard_link import Ear
from tests.guard.venue_double import AGENT_KEY, AGENT_KEY_ID, GUARD_KEY, VenueDouble

BUILD = b"b" * 16


def at_venue(venue: VenueDouble, folder: Path) -> GuardPlan:
    return GuardPlan(
        folder=folder,
        venue=GuardedVenue(url=venue.url, guard_key=GUARD_KEY, agent_key_ids=(AGENT_KEY_ID,), agent_keys=(AGENT_KEY,)),
    )


async def test_a_run_is_watched_from_start_to_end(tmp_path: Path) -> None:
    ear = Ear()
    folder = tmp_path / "guard"
    async with guarded(GuardPlan(folder=folder), run="r", run_epoch=1, build=BUILD, listener=ear) as guard:
        assert guard.is_armed and not guard.must_reduce
        for number in range(1, 12):
            guard.store_progress(number, 0)
            guard.beat(Figures(event_seq=number, event_crc=0, digest=number.to_bytes(16)))
            await asyncio.sleep(0.05)
        status = await asyncio.to_thread(ask, folder, {"ask": "status"})
    assert status["state"] == "armed" and status["beat"] >= 10
    assert len(ear.pulses) >= 8 and all(ear.pulses) and ear.gone == []
    assert not (folder / "latch").exists() and not (folder / "armed.json").exists()
    assert "left" in (folder / "guard.log").read_text()


async def test_what_a_run_leaves_at_the_venue_is_cancelled(tmp_path: Path) -> None:
    venue = VenueDouble()
    try:
        async with guarded(at_venue(venue, tmp_path), run="r", run_epoch=1, build=BUILD, listener=Ear()) as guard:
            guard.beat(Figures(event_seq=1, event_crc=0, digest=bytes(15) + b"1"))
            venue.orders["left"] = {"client_order_id": "left", "symbol": "BTC-USDC", "side": "buy", "quantity": "1"}
        assert venue.open_ids() == []
        assert venue.times("key_deleted") == []
        assert [entry.detail for entry in venue.ledger if entry.what == "deadman"][-1] == "0"
    finally:
        venue.stop()


async def test_no_run_begins_while_the_latch_is_set(tmp_path: Path) -> None:
    (tmp_path / "latch").touch()
    with pytest.raises(Halted):
        async with guarded(GuardPlan(folder=tmp_path), run="r", run_epoch=1, build=BUILD, listener=Ear()):
            raise AssertionError("it began")


async def test_a_guard_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    first = await start_guard(GuardPlan(folder=tmp_path))
    try:
        with pytest.raises(SetupError, match="another guard"):
            await start_guard(GuardPlan(folder=tmp_path))
    finally:
        first.terminate()
        first.wait()


async def test_a_guard_that_stands_already_is_the_one_and_stays(tmp_path: Path) -> None:
    standing = await start_guard(GuardPlan(folder=tmp_path))
    config = json.loads((tmp_path / "guard.json").read_text())
    standing.terminate()
    standing.wait()
    (tmp_path / "guard.json").write_text(json.dumps({**config, "is_single_run": False, "beat_deadline_ms": 777}))
    command = [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(tmp_path / "guard.json")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as guard:
        while not is_standing(tmp_path):
            await asyncio.sleep(0.01)
        for run in ("first", "second"):
            async with guarded(GuardPlan(folder=tmp_path), run=run, run_epoch=1, build=BUILD, listener=Ear()) as link:
                assert (link.guard_pid, link.beat_deadline_ms) == (guard.pid, 777)
            await asyncio.sleep(0.2)
        assert guard.poll() is None
        guard.terminate()


async def test_a_guard_that_cannot_reach_the_venue_is_not_armed(tmp_path: Path) -> None:
    venue = VenueDouble()
    venue.stop()
    async with guarded(at_venue(venue, tmp_path), run="r", run_epoch=1, build=BUILD, listener=Ear()) as guard:
        assert not guard.is_armed
        status = await asyncio.to_thread(ask, tmp_path, {"ask": "status"})
        assert "cannot be read" in status["why_unready"]
    # What is left at a venue that does not answer cannot be known: that guard looks for it on its own.
    subprocess.run(["kill", "-9", str(status["guard_pid"])], check=True)


async def test_secrets_are_readable_by_the_guard_alone(tmp_path: Path) -> None:
    venue = VenueDouble()
    process = await start_guard(at_venue(venue, tmp_path))
    process.terminate()
    process.wait()
    venue.stop()
    for name in ("guard.key", "agent-0.key", "guard.json"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert GUARD_KEY not in (tmp_path / "guard.json").read_text()
    assert GUARD_KEY not in (tmp_path / "guard.log").read_text()


def test_a_guard_runs_with_the_standard_library_alone(tmp_path: Path) -> None:
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "import agent.guard.main\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(root)], capture_output=True, check=True, text=True
    )
    foreign = set(json.loads(done.stdout)) - set(sys.stdlib_module_names) - {"agent", "__main__"}
    assert foreign == set()


async def test_starting_a_guard_takes_little_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    async with guarded(GuardPlan(folder=tmp_path), run="r", run_epoch=1, build=BUILD, listener=Ear()):
        took_s = time.monotonic() - begun
    print(
        f"guard started and linked in {1000 * took_s:.0f} ms, left in {1000 * (time.monotonic() - begun - took_s):.0f} ms"
    )
    assert took_s < 3
