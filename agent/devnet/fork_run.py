"""The agent at work on a fork of a real chain: what stands open at the fork's head, and what people send to the front.

A fork has no traffic of its own. Whoever sends transactions to the front's URL is its public mempool; with pace `real`
a slot lasts twelve seconds, so that there is time to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.chain.connect import header_at
from agent.chain.mempool import MempoolFeed
from agent.chain.pending import PendingTransaction
from agent.chain.pools import differing, load_pools
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.core.step import Core
from agent.devnet.builder import Ordering
from agent.devnet.fork_world import ForkWorld
from agent.devnet.settling import end_block
from agent.dex.pool_set import PoolSet
from agent.engine.booking import Books
from agent.engine.candidate import Appraiser
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.chain_view import ChainView
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.eth.hexes import address_text, to_data, to_quantity
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports import Clock
from agent.sim.node import NodeSimulator
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.screen import Screen
from agent.venues.onchain.endpoints import FLASHBOTS, Endpoint
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.signer import RelaySigner
from agent.venues.onchain.transport import AiohttpTransport


class ForkRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    url: str
    block: int | None
    chain_id: int
    run: str
    folder: Path
    settings: HuntSettings
    blocks: int
    ordering: Ordering = Ordering.PROFIT
    slot_s: float | None = None
    """None: as fast as possible; else the length of a slot in real time."""
    repeat: str = ""
    """With `{block}` where the number of the block goes that the fork began at."""
    seed: int = 0

    def __repr__(self) -> str:
        return f"ForkRun({self.run})"  # the URL may hold a provider's key


async def run_fork(asked: ForkRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    """Run the agent over `blocks` slots of a fork."""
    world = await ForkWorld.open(
        asked.url, block=asked.block, chain_id=asked.chain_id, ordering=asked.ordering, seed=asked.seed
    )
    try:
        say(f"  fork     of block {world.header.number}, {len(world.records)} known pools are there")
        say(f"  node     {world.front.rpc_url} takes transactions   relay {world.relay.url}")
        return await _run(world, asked, clock, say)
    finally:
        await world.close()


async def _run(world: ForkWorld, asked: ForkRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    settings, ours = asked.settings, world.identities
    rpc = HttpRpc(world.front.rpc_url, clock=clock)
    limits = msgspec.json.encode(settings.limits).decode()
    journal = JournalWriter(
        asked.folder,
        Run(asked.run, "1", {"world": "fork", "block": str(world.header.number), "limits": limits}),
        monotonic_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
    )
    client = RelayClient(
        Endpoint(name="devnet", url=world.relay.url, dialect=FLASHBOTS, chain_id=world.chain_id),
        identity=RelaySigner(ours.relay),
        transport=AiohttpTransport(world.relay.url),
    )
    feed = MempoolFeed(lambda: WsRpc.connect(world.front.ws_url), chain_id=world.chain_id)
    watching = asyncio.create_task(feed.run())
    try:
        # From the origin, which answers in batches; the fork would fetch every slot by itself.
        loaded, left_out = await load_pools(
            world.origin, world.records, sender=ours.probe, block=to_quantity(world.header.number)
        )
        view = ChainView(rpc, await header_at(rpc, None), PoolSet(loaded), left_out)
        simulator = NodeSimulator(rpc)
        cycles = index_cycles(view.pools, start_tokens=settings.start_tokens, max_hops=settings.max_hops)
        hunter = Hunter(
            core=Core(settings.limits),
            journal=journal,
            clock=clock,
            stages=StageClock(),
            appraiser=Appraiser(simulator, world.executor, settings, probe=ours.probe),
            cycles=cycles,
            screen=Screen(cycles, view.pools),
            operators=ours.operators,
            relays=[client],
            chain_id=world.chain_id,
            settings=settings,
        )
        return await _slots(world, ChainHunt(hunter, view, simulator), feed, rpc, simulator, asked, say)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        journal.close()
        await client.close()
        await rpc.close()


async def _slots(
    world: ForkWorld,
    hunt: ChainHunt,
    feed: MempoolFeed,
    rpc: HttpRpc,
    simulator: NodeSimulator,
    asked: ForkRun,
    say: Callable[[str], None],
) -> RunResult:
    executor = world.executor
    result = RunResult(
        run=asked.run,
        command="run",
        world="fork",
        mode="devnet",
        chain_id=world.chain_id,
        executor_address=address_text(executor.address),
        executor_build=executor.build,
        executor_code_hash=to_data(executor.code_hash),
        pools_known=len(world.records),
        pools_quotable=len(hunt.view.pools),
        left_out=hunt.view.left_out,
    )
    if not world.records:
        result.warnings.append(f"no pool that we know of is on chain {world.chain_id} at block {world.header.number}")
    books = await Books.open(rpc, executor, tokens=asked.settings.start_tokens)
    for _ in range(asked.blocks):
        header = hunt.view.header
        await hunt.on_header(header)
        env = next_env(header)
        await _listen(hunt, feed, slot_s=asked.slot_s)
        sent = await hunt.close()
        built = await world.builder.build(env)
        await end_block(hunt, built, rpc, simulator, executor, result)
        touched = await hunt.view.extend(await header_at(rpc, None))
        result.blocks.append(
            BlockResult(
                number=built.number,
                hash=to_data(built.hash),
                base_fee_wei=env.base_fee_wei,
                transactions=len(built.receipts),
                pools_touched=len(touched),
            )
        )
        landed = sum(one.outcome == Ending.LANDED for one in sent)
        say(f"block {built.number}  {len(built.receipts)} txs  sent {len(sent)}  landed {landed}")
    summarise(result, hunt.hunter, repeat=asked.repeat.replace("{block}", str(world.header.number)))
    stale = await differing(rpc, hunt.view.pools, sender=world.identities.probe)
    result.warnings += [f"pool {address_text(one.pool)} differs from a fresh read: {one.detail}" for one in stale]
    result.books = await books.close(rpc, hunt.hunter, result)
    return result


async def _listen(hunt: ChainHunt, feed: MempoolFeed, *, slot_s: float | None) -> None:
    """Hunt behind what arrives while the slot lasts; at pace `fast`, behind what has arrived already."""
    ends = asyncio.get_running_loop().time() + (slot_s or 0.0)
    while True:
        try:
            async with asyncio.timeout_at(ends):
                events = await feed.read()
        except TimeoutError:
            return
        await hunt.on_pending([event for event in events if isinstance(event, PendingTransaction)])
