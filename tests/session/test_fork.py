"""A fork of a node that serves the slice: what stands open there is landed on the fork, and the node is left alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.chain.rpc import HttpRpc
from agent.core.limits import RiskLimits
from agent.devnet.fork_run import ForkRun, run_fork
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.slice import Traffic
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from agent.engine.settings import HuntSettings
from agent.eth.hexes import to_data
from agent.ports.clock import SystemClock
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
    again = f"mev-agent run --fork-url env:ETH_RPC_URL --fork-block {int(head, 16)} --blocks 2"
    assert {one["repeat"] for one in content["opportunities"]} == {again}
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


async def test_what_people_send_to_the_forks_own_node_is_backrun_there(
    world: SliceWorld, flow: SliceFlow, tmp_path: Path
) -> None:
    limits = RiskLimits(min_net_wei=1, max_gas_wei_per_day=10**18, max_exposure_wei=10**18, max_bundles_per_block=16)
    tokens = tuple(token.address for token in START_TOKENS)
    asked = ForkRun(
        url=world.front.rpc_url, block=None, chain_id=1, run="r", folder=tmp_path, blocks=1, slot_s=3.0,
        settings=HuntSettings(start_tokens=tokens, max_hops=3, share_bps=9_000, limits=limits),
    )  # fmt: skip
    people = [signed.raw for signed in Traffic(world.slice, 3).next_slot(
        base_fee_wei=(await world.builder.upcoming()).base_fee_wei, timestamp_s=(await world.builder.upcoming()).timestamp
    )]  # fmt: skip
    sending: list[asyncio.Task[None]] = []

    async def send(url: str) -> None:
        async with HttpRpc(url) as rpc:
            for raw in people:
                await rpc.call("eth_sendRawTransaction", [to_data(raw)])

    def say(line: str) -> None:
        words = line.split()
        if words[0] == "node":
            sending.append(asyncio.create_task(send(words[1])))

    result = await run_fork(asked, SystemClock(), say)
    await asyncio.gather(*sending)
    landed = [one for one in result.opportunities if one.outcome == "landed"]
    assert {one.kind for one in landed} >= {"backrun"}
    assert result.blocks[0].transactions >= len(people)
    assert result.mismatches == []
    assert await world.anvil.call("eth_getTransactionCount", to_data(world.slice.users[0].address), "latest") == "0x0"


async def test_a_block_that_the_node_does_not_have_is_told(world: SliceWorld, mev_agent: Command) -> None:
    ran = await mev_agent("run", "--fork-url", world.front.rpc_url, "--fork-block", 99_999_999)
    assert ran.code == 4
    assert "no block 99999999" in ran.stderr
