"""A fork of a node that serves the slice: what stands open there is landed on the fork, and the node is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from tests.session.conftest import Command

pytestmark = pytest.mark.anvil


async def test_heads_of_the_forked_chain_are_landed_and_the_books_agree(
    world: SliceWorld, flow: SliceFlow, mev_agent: Command, tmp_path: Path
) -> None:
    await flow.slot()
    head = await world.anvil.call("eth_blockNumber")
    report = tmp_path / "report.json"
    ran = await mev_agent("run", "--fork-url", world.front.rpc_url, "--blocks", 2, "--report", report)
    assert ran.code == 0, ran.stderr
    content = json.loads(report.read_text())["data"]
    assert (content["world"], content["pools"]["quotable"]) == ("fork", len(world.slice.pools))
    assert [block["number"] for block in content["blocks"]] == [int(head, 16) + 1, int(head, 16) + 2]
    landed = [one for one in content["opportunities"] if one["outcome"] == "landed"]
    assert landed and all(one["kind"] == "head" for one in landed)
    assert content["mismatches"] == []
    assert all(row["booked"] == row["chain"] for row in content["books"])
    assert await world.anvil.call("eth_blockNumber") == head, "the forked node is only read"
    assert world.front.rpc_url not in report.read_text(), "the address of a node may hold a key"


async def test_a_fork_at_an_older_block_begins_there(
    world: SliceWorld, flow: SliceFlow, mev_agent: Command, tmp_path: Path
) -> None:
    first = await flow.slot()
    await flow.slot()
    ran = await mev_agent(
        "run", "--fork-url", world.front.rpc_url, "--fork-block", first.number, "--blocks", 1, "--json"
    )
    assert ran.code == 0, ran.stderr
    assert [block["number"] for block in ran.content["blocks"]] == [first.number + 1]


async def test_a_block_that_the_node_does_not_have_is_told(world: SliceWorld, mev_agent: Command) -> None:
    ran = await mev_agent("run", "--fork-url", world.front.rpc_url, "--fork-block", 99_999_999)
    assert ran.code == 4
    assert "no block 99999999" in ran.stderr
