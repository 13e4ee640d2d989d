"""A case as a world: what it says of others is said of the block as it was archived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.devnet import case_world
from agent.devnet.case import load_case
from agent.devnet.case_world import CaseWorld
from agent.dex.pool import Log
from agent.eth.hexes import from_data

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
