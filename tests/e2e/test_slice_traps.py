"""A token of the slice begins to tax: the agent sees it in execution, sends nothing through it, and its books hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.config import load_settings
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.slice.world import SliceToken
from agent.devnet.slice_run import SliceRun, SliceWorld, run_slice
from agent.eth.hexes import to_data
from agent.observe.report import report
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings
from scripts.measure_witness import Seen, watched
from tests.e2e.planted import trap_codes

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("slice-traps")]

BLOCKS = 6


@pytest.fixture(scope="module")
def taxed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SliceToken, dict[str, Any], list[Seen]]:
    """The token, the report of a run with it, and what was seen on the chain."""
    chosen: list[SliceToken] = []
    opened = SliceWorld.open

    async def open_with_a_tax(**named: Any) -> SliceWorld:
        world = await opened(**named)
        starts = {token.address for token in START_TOKENS}
        count = {
            token.address: sum(token.address in (p.token0, p.token1) for p in world.slice.pools)
            for token in world.slice.tokens
            if token.address not in starts
        }
        token = world.slice.token(max(sorted(count), key=lambda address: count[address]))
        chosen.append(token)
        await world.anvil.call("anvil_setCode", to_data(token.address), to_data(trap_codes()["TaxedToken"]))
        return world

    request = RunRequest(world=WorldRequest(kind="slice"))
    asked = SliceRun(
        run="taxed",
        folder=tmp_path_factory.mktemp("run"),
        settings=hunt_settings(request, load_settings([], overrides=[]).settings),
        seed=0,
        blocks=BLOCKS,
    )
    with pytest.MonkeyPatch.context() as patch, watched() as seen:
        patch.setattr(SliceWorld, "open", open_with_a_tax)
        result = asyncio.run(run_slice(asked, SystemClock(), lambda _: None))
    return chosen[0], report(result)["data"], seen


def through(data: dict[str, Any], token: SliceToken) -> list[dict[str, Any]]:
    at = to_data(token.address)
    return [one for one in data["opportunities"] if at in {leg["token_in"] for leg in one["legs"]}]


def test_what_leads_through_it_is_dropped_with_its_reason(taxed: Any) -> None:
    token, data, _ = taxed
    found = through(data, token)
    left_out = [row for row in data["pools"]["left_out"] if row["reason"] == "taxed_token"]
    assert found or left_out
    for one in found:
        assert one["bundle_hash"] is None
        assert one["outcome"] in ("dropped", "unknown", "expired"), one
        assert one["gross_amount"] == "0" or one["code"] in ("D_SIM_MISMATCH", "D_POOL_QUARANTINED", "D_NOT_IMPROVED")
    codes = {one["code"] for one in found}
    assert left_out or "D_TOKEN_TAXED" in codes, codes


def test_everything_else_lands_and_the_books_are_the_chains(taxed: Any) -> None:
    token, data, seen = taxed
    landed = [one for one in data["opportunities"] if one["outcome"] == "landed"]
    assert landed and not set(map(id, landed)) & set(map(id, through(data, token)))
    assert data["mismatches"] == []
    assert all(row["booked"] == row["chain"] for row in data["books"])
    assert not any(one.fallen() for one in seen)
