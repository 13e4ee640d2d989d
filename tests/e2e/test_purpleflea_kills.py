"""SIGKILL while orders are at the venue: nothing that was acknowledged is lost, nothing is sent twice, the books agree."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from agent.devnet.purpleflea import PurpleFleaVenue
from tests.e2e.purpleflea_crashes import POINTS
from tests.e2e.purpleflea_stage import Stage

KILLS = 15


async def kill_and_restart(folder: Path, kills: int, *, seed: int) -> Stage:
    """Kill `kills` processes at random instants of their lives, judge after each, and let one live to its end."""
    dice = random.Random(f"kills {seed}")
    open_at_kill = 0
    async with PurpleFleaVenue(seed=seed) as venue:
        stage = Stage(venue, folder, seed=seed)
        try:
            for _ in range(kills):
                child = stage.start(has_cod=dice.random() < 0.5, is_power=dice.random() < 0.3)
                if dice.random() < 0.75:
                    await child.has_begun()
                await asyncio.sleep(dice.uniform(0.0, 1.5))
                child.kill()
                open_at_kill += stage.open_orders()
                assert await child.ended() == -signal.SIGKILL, child.words()
                stage.check_records()
                stage.check_orders()
            await stage.let_one_end(seconds=3.0)
        finally:
            await stage.close()
    assert open_at_kill > kills, "the kills missed what they are about"
    return stage


async def test_fifteen_kills_at_random_instants_cost_no_record_no_order_and_no_fill(tmp_path: Path) -> None:
    stage = await kill_and_restart(tmp_path, KILLS, seed=1)
    assert len(stage.placed_frames) > 100


@pytest.mark.slow
async def test_fifty_kills(tmp_path: Path) -> None:
    await kill_and_restart(tmp_path, 50, seed=2)


@pytest.mark.slow
async def test_a_thousand_kills(tmp_path: Path, at_leisure: None) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        await kill_and_restart(folder, 50, seed=100 + seed)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_death_at_this_point_of_an_orders_way_costs_nothing(point: str, tmp_path: Path) -> None:
    async with PurpleFleaVenue(seed=3) as venue:
        stage = Stage(venue, tmp_path, seed=3, segment_bytes=1 << 16)
        try:
            child = stage.start(crash_point=point, crash_at=AT.get(point.partition("_")[2], 40), has_cod=False)
            assert await child.ended() == -signal.SIGKILL, child.words()
            stage.check_records()
            stage.check_orders()
            assert stage.placed_frames, "it died before it traded"
            await stage.let_one_end(seconds=1.5)
        finally:
            await stage.close()


AT = {"fill_booked": 5, "snapshot_written": 2, "segment_rolled": 3}
"""At the how manieth passing it dies, where that is not the fortieth."""
