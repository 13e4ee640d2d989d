"""The agent at work on a fork of a real chain: what stands open at the fork's head, and what people send to the front.

A fork has no traffic of its own. Whoever sends transactions to the front's URL is its public mempool; with pace `real`
a slot lasts twelve seconds, so that there is time to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from agent.chain.client import Rpc
from agent.chain.connect import header_at
from agent.chain.mempool import MempoolFeed
from agent.chain.pending import PendingTransaction
from agent.chain.pools import load_pools
from agent.devnet.builder import BuiltBlock
from agent.devnet.fork_world import ForkWorld
from agent.devnet.slots import SlotRun, run_slots
from agent.dex.pool_set import PoolSet
from agent.engine.chain_hunt import ChainHunt
from agent.engine.chain_view import ChainView
from agent.engine.result import RunResult
from agent.eth.hexes import to_quantity
from agent.ports.clock import Clock
from agent.sim.simulator import BlockEnv


class ForkRun(SlotRun, frozen=True, kw_only=True):
    """What to run. `repeat` has `{block}` where the number of the block goes that the fork began at."""

    url: str
    block: int | None
    chain_id: int

    def __repr__(self) -> str:
        return f"ForkRun({self.run})"  # the URL may hold a provider's key


class _Fork:
    """Strangers, and as long for them as the slot lasts."""

    kind = "fork"

    def __init__(self, world: ForkWorld, *, slot_s: float | None) -> None:
        self.chain_id = world.chain_id
        self.pools_known = len(world.records)
        self.noted = {"block": str(world.header.number)}
        self._world = world
        self._slot_s = slot_s

    async def view(self, rpc: Rpc) -> ChainView:
        # From the origin, which answers in batches; the fork would fetch every slot by itself.
        world = self._world
        at = to_quantity(world.header.number)
        loaded, left_out = await load_pools(world.origin, world.records, sender=world.identities.probe, block=at)
        return ChainView(rpc, await header_at(rpc, None), PoolSet(loaded), left_out)

    async def trade(self, hunt: ChainHunt, feed: MempoolFeed, rpc: Rpc, *, began_s: float) -> None:
        """Hunt behind what arrives while the slot lasts; at pace `fast`, behind what has arrived already."""
        ends_s = asyncio.get_running_loop().time() if self._slot_s is None else began_s + self._slot_s
        while True:
            try:
                async with asyncio.timeout_at(ends_s):
                    events = await feed.read()
            except TimeoutError:
                return
            await hunt.on_pending([event for event in events if isinstance(event, PendingTransaction)])

    async def build(self, env: BlockEnv) -> BuiltBlock:
        return await self._world.builder.build(env)


async def run_fork(asked: ForkRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    """Run the agent over `blocks` slots of a fork."""
    world = await ForkWorld.open(
        asked.url, block=asked.block, chain_id=asked.chain_id, ordering=asked.ordering, seed=asked.seed
    )
    try:
        number = world.header.number
        say(f"  fork     of block {number}, {len(world.records)} known pools are there")
        say(f"  node     {world.front.rpc_url} takes transactions   relay {world.relay.url}")
        asked = replace(asked, repeat=asked.repeat.replace("{block}", str(number)))
        result = await run_slots(world, _Fork(world, slot_s=asked.slot_s), asked, clock, say)
        if not world.records:
            result.warnings.append(f"no pool that we know of is on chain {world.chain_id} at block {number}")
        return result
    finally:
        await world.close()
