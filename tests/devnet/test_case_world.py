"""A case as a world: what it says of others is said of the block as it was archived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.config import default_settings
from agent.devnet import case_world
from agent.devnet.case import load_case
from agent.devnet.case_run import CaseRun, run_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.survey import survey
from agent.dex.pool import Log
from agent.eth.hexes import from_data
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings

pytestmark = [pytest.mark.anvil, pytest.mark.slow]


async def test_a_rival_has_its_index_in_the_archived_block_whatever_is_left_out(mainnet: Path) -> None:
    case = load_case(mainnet / "public" / "13217637.json.gz")
    world = await CaseWorld.open(case, leave_out=[case.transactions[0].hash])
    try:
        moved = [(moment.transaction, moment.touched) for moment in world.moments() if len(moment.touched) > 1]
        transaction, touched = moved[0]
        [rival] = await world.rivals([(sorted(touched), None)])
    finally:
        await world.close()
    assert rival is not None and from_data(rival.transaction) == transaction
    assert case.transactions[rival.index].hash == transaction
    assert rival.index > 0


async def test_a_pool_that_moves_without_an_event_we_read_is_left_out(
    mainnet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = load_case(mainnet / "public" / "24628607.json.gz")
    world = await CaseWorld.open(case)
    try:
        moved = min(world.moments()[1].touched)
        known = world.pools.addresses
    finally:
        await world.close()
    read = case_world.logs_of

    def silent(receipt: dict[str, Any]) -> list[Log]:
        return [log for log in read(receipt) if log.address != moved]

    monkeypatch.setattr(case_world, "logs_of", silent)
    world = await CaseWorld.open(case)
    await world.close()
    assert moved in known and moved not in world.pools
    assert [one.pool for one in world.left_out if one.reason == "state_differs"] == [moved]
    assert set(world.pools.addresses) == set(known) - {moved}


async def test_what_the_survey_lists_is_taken_to_the_last_unit(mainnet: Path, tmp_path: Path) -> None:
    case = load_case(mainnet / "public" / "24628607.json.gz")
    surveyed = await survey(case, run="listed")
    row = max((one for one in surveyed.opportunities if one.outcome == "profit"), key=lambda one: one.net_wei)
    settings = hunt_settings(RunRequest(world=WorldRequest(kind="case"), only=(row.id,)), default_settings())
    ran = await run_case(CaseRun(case=case, run="taken", folder=tmp_path, settings=settings), SystemClock())
    [taken] = ran.opportunities
    assert (taken.id, taken.outcome) == (row.id, "landed")
    assert (taken.legs, taken.gross_amount, taken.before_amount) == (row.legs, row.gross_amount, row.before_amount)
