"""What a machine does to a process: it stalls, its clock is set, its disk fails or fills up, its descriptors run out."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.core.effects.control import Alarm
from agent.core.effects.orders import Place, QueryAccount, QueryOpen
from agent.core.events.control import ClockStepped, JournalHealth
from agent.core.events.market import BookDelta, BookSnapshot, BookStale
from agent.core.events.orders import Fill
from agent.core.instruments import Side
from agent.devnet.purpleflea import PurpleFleaVenue
from agent.journal.records import EFFECTS, EVENT, HALT
from agent.journal.schema import decode_effects, decode_event
from tests.e2e.purpleflea_stage import Child, Stage

TRADES_FIRST = 20
STALL_S = 0.4


@asynccontextmanager
async def trading(folder: Path, **more: Any) -> AsyncIterator[tuple[Stage, Child]]:
    """An agent that has placed its first orders."""
    async with PurpleFleaVenue(seed=5) as venue:
        stage = Stage(venue, folder, seed=5)
        try:
            child = stage.start(**more)
            await until(lambda: len(stage.placed_frames) >= TRADES_FIRST, child)
            yield stage, child
        finally:
            await stage.close()


async def until(is_true: Callable[[], bool], child: Child, within_s: float = 40.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_true():
            assert child.process.poll() is None, child.words()
            await asyncio.sleep(0.01)


def steps(stage: Stage) -> Iterator[tuple[int, object, tuple[object, ...]]]:
    """Monotonic time, event and effects of each step of the journal."""
    event: object = None
    at_ns = 0
    effects: tuple[object, ...] = ()
    for record in stage.records():
        if record.type == EVENT:
            if event is not None:
                yield at_ns, event, effects
            event, at_ns, effects = decode_event(record), record.monotonic_ns, ()
        elif record.type == EFFECTS:
            effects = decode_effects(record)
    if event is not None:
        yield at_ns, event, effects


async def test_after_a_stall_the_first_thing_is_a_re_read_and_no_book_is_believed(tmp_path: Path) -> None:
    async with trading(tmp_path) as (stage, child):
        child.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STALL_S)
        child.process.send_signal(signal.SIGCONT)
        placed = len(stage.placed_frames)
        await until(lambda: len(stage.placed_frames) >= placed + TRADES_FIRST, child)
        child.kill()
        await child.ended()
        told = list(steps(stage))
        woken = next(at for at in range(1, len(told)) if told[at][0] - told[at - 1][0] > STALL_S * 0.8 * 1e9)
        asked = good = False
        for _, event, effects in told[woken:]:
            if isinstance(event, BookSnapshot):
                good = True
            kinds = {type(effect) for effect in effects}
            if Place in kinds:
                break
            asked = asked or {QueryOpen, QueryAccount} <= kinds
        else:
            pytest.fail("it did not trade again")
        assert isinstance(told[woken][1], BookStale), "the frames that waited are not the first it looks at"
        assert not isinstance(told[woken + 1][1], BookDelta)
        assert asked and good, "orders, account and books are read anew before the next order"
        await stage.let_one_end(seconds=1.5)


@pytest.mark.slow
async def test_a_wall_clock_that_is_set_lets_only_reducing_orders_out_until_it_agrees_again(tmp_path: Path) -> None:
    async with trading(tmp_path) as (stage, child):
        child.process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(1.0)
        child.process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(0.3)
        placed = len(stage.placed_frames)
        await until(lambda: len(stage.placed_frames) >= placed + TRADES_FIRST, child)
        child.kill()
        await child.ended()
        held: dict[str, int] = {}
        moves: list[int] = []
        has_agreed = False
        for _, event, effects in steps(stage):
            if isinstance(event, ClockStepped):
                moves.append(event.by_ns)
            if isinstance(event, Fill):
                held[event.symbol] = held.get(event.symbol, 0) + event.side.sign * event.lots
            for effect in effects:
                if isinstance(effect, Alarm) and effect.code == "CLOCK_AGREED":
                    has_agreed = True
                if isinstance(effect, Place) and len(moves) == 1:
                    assert not has_agreed
                    assert (effect.side is Side.SELL) == (held.get(effect.symbol, 0) > 0), "it adds to a position"
                    assert effect.lots <= abs(held[effect.symbol])
        assert [round(by_ns / 3.6e12) for by_ns in moves] == [1, -1]
        assert has_agreed
        await stage.let_one_end(seconds=1.5)


async def test_a_sync_that_fails_ends_the_process_and_the_next_one_is_whole(tmp_path: Path) -> None:
    async with trading(tmp_path, sync_fails_at=40) as (stage, child):
        assert await child.ended() not in (0, -signal.SIGKILL)
        assert "E_JOURNAL" in child.words()
        placed = len(stage.placed_frames)
        await asyncio.sleep(0.3)
        assert len(stage.placed_frames) == placed, "nothing leaves a journal that has failed"
        await stage.let_one_end(seconds=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("is_power", [False, True], ids=["process", "power"])
async def test_a_full_disk_stops_new_orders_first_and_the_run_then(
    tmp_path: Path, is_power: bool, small_disk: Path
) -> None:
    # Half a segment of this size lasts for several syncs and beats: one finds that there is no room, the other hears it.
    async with trading(small_disk, is_power=is_power, segment_bytes=1 << 20, sync_ms=10) as (stage, child):
        filler = small_disk / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), bytes(1 << 16))
            except OSError:
                pass
        assert await child.ended() not in (0, -signal.SIGKILL), child.words()
        told = list(steps(stage))
        ill = next(
            at for at, (_, event, _) in enumerate(told) if isinstance(event, JournalHealth) and not event.is_healthy
        )
        assert not [effect for _, _, effects in told[ill:] for effect in effects if isinstance(effect, Place)]
        assert stage.records()[-1].type == HALT, "the reason fits into the reserve"
        filler.unlink()
        await stage.let_one_end(seconds=1.5)


@pytest.mark.slow
async def test_without_descriptors_nothing_is_lost(tmp_path: Path) -> None:
    async with trading(tmp_path) as (stage, child):
        pid = child.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (psutil.Process(pid).num_fds(), limits[1]))
        stage.venue.cut()
        await asyncio.sleep(2.0)
        stage.check_records()
        stage.check_orders()
        if child.process.poll() is None:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            child.kill()
        assert await child.ended() != 0
        await stage.let_one_end(seconds=1.5)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
