"""The agent at work on a local chain that goes on: one loop over slots for the slice and for forks of real chains.

One slot is: the agent searches the head, the ground trades and the agent hunts behind it, its bundles go to the relay,
the builder builds, and every bundle is closed from the chain. The agent reads head and mempool from the front as it
would from any node. What differs from world to world is the `Ground`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from agent.chain.client import Rpc
from agent.chain.connect import header_at
from agent.chain.headers import Header
from agent.chain.mempool import MempoolFeed
from agent.chain.pools import differing
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.core.events.chain import ChainFacts
from agent.core.step import Core
from agent.devnet.builder import Builder, BuiltBlock, Ordering
from agent.devnet.front import Front
from agent.devnet.identities import Identities
from agent.devnet.relay import Relay
from agent.devnet.settling import end_block
from agent.engine.booking import Books
from agent.engine.bundle_drops import BundleDrops
from agent.engine.candidate import Appraiser
from agent.engine.chain_facts import of_world, read_facts
from agent.engine.chain_guard import GUARD_FOLDER, PATIENT_MS, chain_guard
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.chain_view import ChainView
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.eth.hexes import address_text, to_data
from agent.journal.machine import core_settings
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.sim.node import NodeSimulator
from agent.sim.simulator import BlockEnv
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.screen import Screen
from agent.venues.onchain.endpoints import FLASHBOTS, Endpoint
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.signer import RelaySigner
from agent.venues.onchain.wire import WireTransport


class SlotRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run in whichever world."""

    run: str
    folder: Path
    settings: HuntSettings
    blocks: int
    seed: int = 0
    ordering: Ordering = Ordering.PROFIT
    slot_s: float | None = None
    """None: as fast as possible; else the length of a slot in real time."""
    repeat: str = ""


class SlotWorld(Protocol):
    """The servers and keys of a local chain."""

    builder: Builder
    front: Front
    relay: Relay
    identities: Identities
    executor: Executor


class Ground(Protocol):
    """What a world is besides its servers."""

    kind: str
    """The name of the world in reports."""
    chain_id: int
    pools_known: int
    noted: dict[str, str]
    """What the journal notes of the world, so that it can be had again."""

    async def view(self, rpc: Rpc) -> ChainView:
        """The pools at the chain's head."""
        ...

    async def trade(self, hunt: ChainHunt, feed: MempoolFeed, rpc: Rpc, *, began_s: float) -> None:
        """One slot's traffic, hunted behind as it arrives. `began_s` is the loop's time at the slot's start."""
        ...

    async def build(self, env: BlockEnv) -> BuiltBlock:
        """The block of this slot. `env` is what the agent reckoned with."""
        ...


async def run_slots(
    world: SlotWorld, ground: Ground, asked: SlotRun, clock: Clock, say: Callable[[str], None]
) -> RunResult:
    """Run the agent over `blocks` slots of a world that stands."""
    settings, ours = asked.settings, world.identities
    rpc = HttpRpc(world.front.rpc_url, clock=clock)
    limits = of_world(settings.limits, chain_id=ground.chain_id, executor=world.executor, max_guard_age_ms=PATIENT_MS)
    journal = JournalWriter(
        asked.folder,
        Run(asked.run, "1", {"world": ground.kind, **ground.noted, **core_settings(limits, needs_guard=True)}),
        monotonic_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
    )
    client = RelayClient(
        Endpoint(name="devnet", url=world.relay.url, dialect=FLASHBOTS, chain_id=ground.chain_id),
        identity=RelaySigner(ours.relay),
        transport=WireTransport(world.relay.url),
    )
    feed = MempoolFeed(lambda: WsRpc.connect(world.front.ws_url), chain_id=ground.chain_id)
    watching = asyncio.create_task(feed.run())
    try:
        view = await ground.view(rpc)
        simulator = NodeSimulator(rpc)
        cycles = index_cycles(view.pools, start_tokens=settings.start_tokens, max_hops=settings.max_hops)
        hunter = Hunter(
            core=Core(limits, needs_guard=True),
            journal=journal,
            clock=clock,
            stages=StageClock(),
            appraiser=Appraiser(simulator, world.executor, settings, probe=ours.probe),
            cycles=cycles,
            screen=Screen(cycles, view.pools),
            operators=ours.operators,
            relays=[client],
            chain_id=ground.chain_id,
            settings=settings,
            drops=BundleDrops(asked.folder / GUARD_FOLDER),
        )

        async def facts(header: Header) -> ChainFacts:
            return await read_facts(
                rpc,
                executor=world.executor,
                ledger=hunter.nonces,
                head_hash=header.hash,
                endpoints=[client.name],
                pools=view.pools,
                tokens=settings.start_tokens,
            )

        hunt = ChainHunt(hunter, view, simulator, facts)
        async with chain_guard(asked.folder, run=asked.run, journal=journal, clock=clock, say=say) as guard:
            guard.watch(hunter)
            return await _slots(world, ground, hunt, feed, rpc, simulator, asked, say)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        journal.close()
        await client.close()
        await rpc.close()


async def _slots(
    world: SlotWorld,
    ground: Ground,
    hunt: ChainHunt,
    feed: MempoolFeed,
    rpc: HttpRpc,
    simulator: NodeSimulator,
    asked: SlotRun,
    say: Callable[[str], None],
) -> RunResult:
    executor = world.executor
    result = RunResult(
        run=asked.run,
        command="run",
        world=ground.kind,
        mode="devnet",
        chain_id=ground.chain_id,
        executor_address=address_text(executor.address),
        executor_build=executor.build,
        executor_code_hash=to_data(executor.code_hash),
        pools_known=ground.pools_known,
        pools_quotable=len(hunt.view.pools),
        left_out=hunt.view.left_out,
    )
    books = await Books.open(rpc, executor, tokens=asked.settings.start_tokens)
    for _ in range(asked.blocks):
        began_s = asyncio.get_running_loop().time()
        header = hunt.view.header
        await hunt.on_header(header)
        env = next_env(header)
        await ground.trade(hunt, feed, rpc, began_s=began_s)
        sent = await hunt.close()
        built = await ground.build(env)
        await end_block(hunt, built, rpc, simulator, executor, result)
        touched = await hunt.view.extend(await header_at(rpc, None))
        result.blocks.append(
            BlockResult(
                number=built.number,
                hash=to_data(built.hash),
                base_fee_wei=env.base_fee_wei,
                transactions=len(built.receipts),
                pools_touched=len(touched),
                evicted=tuple(map(to_data, built.evicted)),
                newly_reverted=tuple(map(to_data, built.newly_reverted)),
            )
        )
        landed = sum(one.outcome == Ending.LANDED for one in sent)
        say(
            f"block {built.number}  {len(built.receipts)} txs  {len(touched)} pools moved  "
            f"sent {len(sent)}  landed {landed}"
        )
    summarise(result, hunt.hunter, repeat=asked.repeat)
    if unknown := hunt.hunter.never_seen():
        result.warnings.append(f"no opportunity {', '.join(unknown)} was met: what was not taken changes later blocks")
    stale = await differing(rpc, hunt.view.pools, sender=world.identities.probe)
    result.warnings += [f"pool {address_text(one.pool)} differs from a fresh read: {one.detail}" for one in stale]
    result.books = await books.close(rpc, hunt.hunter, result)
    return result
