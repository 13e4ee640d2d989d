"""Shadow on a node that serves the slice: every decision is made, nothing is sent, and reorgs are followed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.chain.connect import header_at
from agent.chain.head_chain import Extend, Rollback
from agent.chain.pools import differing
from agent.chain.rpc import HttpRpc
from agent.core.codes import Code
from agent.core.limits import RiskLimits
from agent.devnet.mainnet import WETH
from agent.devnet.slice.flow import SliceFlow
from agent.devnet.slice_run import SliceWorld
from agent.engine.chain_guard import ChainGuard
from agent.engine.live import HeadSimulator, Shadow, ShadowRun, run_shadow
from agent.engine.settings import HuntSettings
from agent.eth.units import SLOT_S
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports.clock import SystemClock
from agent.ports.processes import Figures
from agent.session.shadow import pretended, random_address
from agent.sim.node import NodeSimulator
from tests.session.conftest import Command, Ran

pytestmark = pytest.mark.anvil


def _asked(url: str, folder: Path) -> ShadowRun:
    executor, operators, overrides = pretended()
    limits = RiskLimits(min_net_wei=1, max_gas_wei_per_day=10**18, max_exposure_wei=10**18, max_bundles_per_block=8)
    return ShadowRun(
        url=url, chain_id=1, run="r", folder=folder, executor=executor, operators=operators, overrides=overrides,
        settings=HuntSettings(start_tokens=(WETH,), max_hops=2, share_bps=9_000, limits=limits),
        probe=random_address(),
    )  # fmt: skip


async def watched(mev_agent: Command, flow: SliceFlow, *words: object) -> Ran:
    """The command on a chain that goes on until it has ended."""
    running = asyncio.create_task(mev_agent("run", *words))
    while not running.done():
        await asyncio.wait([running], timeout=1.0)
        if not running.done():
            await flow.slot()
    return await running


async def test_backruns_and_heads_are_decided_and_none_is_sent(
    world: SliceWorld, flow: SliceFlow, mev_agent: Command, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    words = ("--rpc-url", world.front.ws_url, "--blocks", 3, "--report", report)
    ran = await watched(mev_agent, flow, *words)
    assert ran.code == 0, ran.stderr
    document = json.loads(report.read_text())
    content = document["data"]
    assert (document["mode"], content["world"]) == ("shadow", "live")
    assert (content["funnel"]["sent"], content["funnel"]["landed"], content["transactions"]) == (0, 0, [])
    unsent = [one for one in content["opportunities"] if one["code"] == "D_NOTHING_SENT"]
    assert unsent
    assert content["funnel"]["passed_risk"] == len(unsent)
    assert content["mismatches"] == []
    assert world.relay.requests == {}, "no relay was spoken to"
    ours = content["executor"]["address"].lower()
    assert await world.anvil.call("eth_getCode", ours, "latest") == "0x", (
        "the executor is pretended in simulation alone"
    )
    journal = await mev_agent("replay", next((tmp_path / "runs").iterdir()), "--verify")
    assert journal.code == 0, journal.stdout


async def test_plain_http_sees_heads_alone_and_says_so(world: SliceWorld, flow: SliceFlow, mev_agent: Command) -> None:
    ran = await watched(mev_agent, flow, "--rpc-url", world.front.rpc_url, "--blocks", 1, "--json")
    assert ran.code == 0, ran.stderr
    assert {one["kind"] for one in ran.content["opportunities"]} == {"head"}
    assert any("heads only" in warning for warning in json.loads(ran.stdout)["warnings"])


class StillGuard:
    """Armed, and never heard of again."""

    is_armed = True
    must_reduce = False

    def store_progress(self, event_seq: int, crc: int) -> None: ...
    def beat(self, figures: Figures) -> None: ...
    async def leave(self) -> None: ...
    def abandon(self) -> None: ...


async def test_a_reorg_takes_the_pools_back_and_goes_on_from_the_new_branch(
    world: SliceWorld, flow: SliceFlow, tmp_path: Path
) -> None:
    asked = _asked("", tmp_path)
    rpc = HttpRpc(world.front.rpc_url)
    journal = JournalWriter(tmp_path / "j", Run("r", "1", {}), monotonic_ns=0, wall_ns=0)
    guard = ChainGuard(journal, SystemClock())
    guard.guard = StillGuard()
    simulator = HeadSimulator(NodeSimulator(rpc), asked.overrides)
    shadow = Shadow(asked, rpc, simulator, journal, guard, SystemClock(), lambda line: None)
    try:
        await shadow.on_head_event(Extend(await header_at(rpc, None)), is_newest=True)
        snapshot = await world.anvil.call("evm_snapshot")
        await flow.slot()
        replaced = await header_at(rpc, None)
        await shadow.on_head_event(Extend(replaced), is_newest=True)
        assert await world.anvil.call("evm_revert", snapshot) is True
        await shadow.on_head_event(Rollback(replaced), is_newest=False)
        assert shadow.pools is not None
        assert await differing(rpc, shadow.pools, sender=asked.probe) == []
        await world.builder.build()
        await shadow.on_head_event(Extend(await header_at(rpc, None)), is_newest=True)
        assert await differing(rpc, shadow.pools, sender=asked.probe) == []
    finally:
        guard.end(None)
        journal.close()
        await rpc.close()


async def test_a_watch_that_is_stopped_still_tells_what_it_saw(
    world: SliceWorld, flow: SliceFlow, tmp_path: Path
) -> None:
    closed: asyncio.Queue[str] = asyncio.Queue()

    def say(line: str) -> None:
        if "would have been sent" in line:
            closed.put_nowait(line)

    asked = replace(_asked(world.front.ws_url, tmp_path), close_after_s=1.0)
    watching = asyncio.create_task(run_shadow(asked, SystemClock(), say))
    for _ in range(3):  # a block only when the slot before has been closed, so that its users are heard in time
        line = asyncio.create_task(closed.get())
        await asyncio.wait([line, watching], return_when=asyncio.FIRST_COMPLETED)
        assert not watching.done(), watching.result()
        await flow.slot()
    watching.cancel()
    result, was_stopped = await watching
    assert was_stopped
    unsent = [one for one in result.opportunities if one.code == "D_NOTHING_SENT"]
    assert {one.kind for one in unsent} == {"head", "backrun"}
    assert result.funnel["sent"] == 0 and result.mismatches == []


class SetClock:
    """The machine's monotonic clock, and a wall clock that somebody sets."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def set_to(self, timestamp_s: int) -> None:
        self._ahead_ns = timestamp_s * 10**9 - self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return self.monotonic_ns() + self._ahead_ns


async def test_a_wall_clock_that_is_set_lets_nothing_out_until_a_head_agrees(
    world: SliceWorld, flow: SliceFlow, tmp_path: Path
) -> None:
    closed: asyncio.Queue[str] = asyncio.Queue()
    rpc = HttpRpc(world.front.rpc_url)
    first = await header_at(rpc, None)
    await rpc.close()
    clock = SetClock()
    clock.set_to(first.timestamp + 2)
    asked = replace(_asked(world.front.ws_url, tmp_path), close_after_s=1.0, blocks=3)
    watching = asyncio.create_task(
        run_shadow(asked, clock, lambda line: closed.put_nowait(line) if "would have been sent" in line else None)
    )
    async with asyncio.timeout(60):
        await closed.get()
        clock.set_to(first.timestamp + 3_600)
        await flow.slot()
        await closed.get()
        clock.set_to(first.timestamp + 2 * SLOT_S + 2)
        await flow.slot()
        result, _ = await watching
    codes = {
        block: {one.code for one in result.opportunities if one.block == first.number + block and one.code}
        for block in (1, 2, 3)
    }
    assert Code.NOTHING_SENT in codes[1] and Code.NOTHING_SENT in codes[3]
    assert Code.NOTHING_SENT not in codes[2] and Code.REDUCE_ONLY in codes[2]
    assert sum("CLOCK_STEP" in warning for warning in result.warnings) == 2


async def test_a_node_that_goes_away_and_comes_back_is_watched_again(
    world: SliceWorld, flow: SliceFlow, tmp_path: Path
) -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def until(word: str) -> None:
        async with asyncio.timeout(60):
            while word not in await lines.get():
                pass

    asked = replace(_asked(world.front.ws_url, tmp_path), close_after_s=1.0, blocks=2)
    watching = asyncio.create_task(run_shadow(asked, SystemClock(), lines.put_nowait))
    await until("would have been sent")
    port = world.front.port
    await world.front.stop()
    await until("no connection")
    await world.front.start(port=port)
    await until("watching")
    await flow.slot()
    async with asyncio.timeout(60):
        result, was_stopped = await watching
    assert not was_stopped
    assert [block.number for block in result.blocks] == [result.blocks[0].number, result.blocks[0].number + 1]
    assert result.mismatches == []


async def test_a_chain_with_real_funds_is_not_traded(mev_agent: Command, tmp_path: Path) -> None:
    config = tmp_path / "live.toml"
    config.write_text('mode = "live"\n')
    ran = await mev_agent("run", "--rpc-url", "http://127.0.0.1:9", "--live", "--config", config)
    assert ran.code == 3
    assert "onchain.signer" in ran.stderr
    config.write_text(
        'mode = "live"\n[onchain]\nsigner = "keystore:a"\nrelay_identity = "keystore:b"\n'
        'executor = "0x30BFb20F52f3474020cee298023f0aDb15E372b9"\n'
        '[[onchain.endpoints]]\nname = "x"\nurl = "https://relay.invalid"\n'
    )
    ran = await mev_agent("run", "--rpc-url", "http://127.0.0.1:9", "--live", "--config", config)
    assert ran.code == 5
    assert "real funds is not traded" in ran.stderr
