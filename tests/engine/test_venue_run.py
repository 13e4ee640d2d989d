"""A whole run at the simulated venue: what the agent's books say is what the venue's say, whatever happens on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from agent.config import load_settings
from agent.core.effects.orders import Place
from agent.core.events.orders import Fill
from agent.devnet.purpleflea_run import VenueBooks, VenueWorld, run_purpleflea_world
from agent.engine.venue_result import VenueResult
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT
from agent.journal.schema import decode_effects, decode_event
from agent.journal.settings import DEVNET, Durability, JournalSettings
from agent.ports.clock import SystemClock
from agent.session.purpleflea import desk_settings, strategies
from agent.venues.purpleflea.setup import options_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "purpleflea.toml"


def world(
    folder: Path,
    seconds: float,
    *,
    cut_after: float | None = None,
    journal: JournalSettings = DEVNET,
    faults: tuple[dict[str, object], ...] = (),
) -> VenueWorld:
    settings = load_settings((EXAMPLE,), environment={}).settings
    account = settings.purpleflea
    return VenueWorld(
        run="test",
        folder=folder,
        desk=desk_settings(account),
        options=options_of(account, settings.last_guard),
        auth=account.auth,
        strategies=strategies(account),
        seconds=seconds,
        seed=3,
        cut_after=cut_after,
        journal=journal,
        faults=faults,
    )


async def run(asked: VenueWorld) -> tuple[VenueResult, VenueBooks]:
    result, _, books, _ = await run_purpleflea_world(asked, SystemClock(), lambda line: None)
    return result, books


async def test_the_books_are_the_venues_after_a_cut_connection(tmp_path: Path) -> None:
    result, books = await run(world(tmp_path, 7, cut_after=0.5))
    assert books.differences == ()
    assert (result.open_orders, result.is_halted) == (0, False)
    assert result.connections >= 2
    assert len(result.fills) == books.fills > 0
    placed = [
        effect.client_order_id
        for record in JournalReader(tmp_path).records()
        if record.type == EFFECTS
        for effect in decode_effects(record)
        if isinstance(effect, Place)
    ]
    assert len(placed) == len(set(placed)) >= books.orders > 0
    for hash_seed in ("0", "random"):
        replayed = subprocess.run(
            [sys.executable, "-m", "agent.cli", "replay", str(tmp_path), "--verify"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr


async def test_lost_and_doubled_frames_cost_nothing_but_time(tmp_path: Path) -> None:
    faults = (
        {"knob": "F3", "when": {"probability": 0.3, "seed": 1}},
        {"knob": "F4", "when": {"probability": 0.05, "seed": 2}},
    )
    result, books = await run(world(tmp_path, 11, faults=faults))
    assert books.differences == ()
    assert not result.is_halted
    assert books.fills > 0


async def test_a_run_ends_when_it_has_compared_everything_with_the_venue(tmp_path: Path) -> None:
    """No fill comes through from some moment on, and none again before the run would end. Replays may fail meanwhile so
    often that it halts: that is judged elsewhere."""
    _, books = await run(
        world(tmp_path, 4, faults=({"knob": "F4", "when": {"at_s": 2, "for_s": 2.5}, "kind": "fill"},))
    )
    assert books.differences == ()
    assert books.fills > 0


async def test_orders_leave_after_their_record_is_on_the_disk(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(DEVNET, durability=Durability.POWER)
    result, books = await run(world(tmp_path, 5, journal=settings))
    assert books.differences == ()
    assert not result.is_halted
    assert result.counts["Place"] == books.orders > 0


async def test_without_its_guard_the_agent_cancels_and_halts_at_once(tmp_path: Path) -> None:
    running = asyncio.create_task(run(world(tmp_path, 20)))
    guard = await _guard_of(tmp_path)
    await asyncio.sleep(4)
    guard.send_signal(signal.SIGKILL)
    result, books = await running
    assert result.is_halted
    assert result.halt_reason.startswith("guard:")
    assert result.seconds < 18, "it did not trade on"
    assert (result.open_orders, books.differences) == (0, ())
    events = [record for record in JournalReader(tmp_path).records() if record.type == EVENT]
    gone = next(at for at, one in enumerate(events) if one.payload.startswith(b'{"type":"guard_gone"'))
    later = [decode_event(one) for one in events[gone:]]
    assert not [event for event in later if isinstance(event, Fill) and event.exec_seq > result.fills[-1].exec_seq]


async def _guard_of(folder: Path) -> psutil.Process:
    for _ in range(500):
        for child in psutil.Process().children(recursive=True):
            try:
                if str(folder) in " ".join(child.cmdline()):
                    return child
            except psutil.Error:
                continue
        await asyncio.sleep(0.02)
    pytest.fail("no guard was started")
