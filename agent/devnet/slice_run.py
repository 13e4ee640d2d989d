"""The agent at work in the slice: users trade in public, the agent backruns in private, the local builder decides.

One slot is: users send to the front, the agent reads head and mempool from the front as it would from any node, its
bundles go to the relay, the builder builds. With pace `fast` each step waits for the one before, so a seed gives the
same run every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.chain.client import Rpc
from agent.chain.connect import header_at
from agent.chain.mempool import MempoolFeed
from agent.chain.pending import PendingTransaction
from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, BuiltBlock, Ordering
from agent.devnet.builder.builder import DEVNET_FEE_RECIPIENT
from agent.devnet.front import Front
from agent.devnet.identities import Identities, devnet_identities
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.mempool import Mempool
from agent.devnet.relay import Relay
from agent.devnet.slice import (
    ANVIL_FLAGS,
    CHAIN_ID,
    GAS_LIMIT,
    HARDFORK,
    Slice,
    Traffic,
    build_slice,
    pool_records,
    token_code,
)
from agent.devnet.slice.storage import mapping_slot
from agent.devnet.slots import SlotRun, run_slots
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.chain_view import ChainView
from agent.engine.executor import Executor
from agent.engine.result import RunResult
from agent.errors import SetupError
from agent.eth.hexes import to_data, to_quantity
from agent.eth.units import WEI_PER_ETHER
from agent.ports.clock import Clock
from agent.sim.simulator import BlockEnv
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, runtime_code_hash, storage

WETH9_BALANCE_SLOT = 3
OPERATOR_BALANCE_WEI = 10 * WEI_PER_ETHER
FEE_RECIPIENT_BALANCE_WEI = WEI_PER_ETHER
ARRIVAL_TIMEOUT_S = 60
"""A slot's traffic reaches a subscriber in milliseconds: later than this, nothing will."""


class SliceRun(SlotRun, frozen=True, kw_only=True):
    """What to run."""


class SliceWorld:
    """Anvil with the slice planted, our executor on it, front, builder and relay. Open, use, close."""

    def __init__(
        self, *, anvil: Anvil, slice_: Slice, identities: Identities, executor: Executor, ordering: Ordering
    ) -> None:
        self.anvil = anvil
        self.slice = slice_
        self.identities = identities
        self.executor = executor
        self.mempool = Mempool()
        self.builder = Builder(anvil, self.mempool, ordering=ordering)
        self.front = Front(anvil, self.mempool, chain_id=CHAIN_ID, lock=self.builder.lock, mine=self.builder.build)
        self.builder.on_block(self.front.announce_soon)
        self.relay = Relay(self.builder)

    @classmethod
    async def open(
        cls, *, seed: int, ordering: Ordering, port: int | None = None, front_port: int = 0, relay_port: int = 0
    ) -> SliceWorld:
        """Plant everything and start to serve."""
        anvil = await Anvil.start(
            hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=CHAIN_ID, port=port, extra_flags=ANVIL_FLAGS
        )
        try:
            slice_ = await build_slice(anvil, seed)
            identities = devnet_identities(seed=seed)
            executor = await _plant_ours(anvil, slice_, identities)
            world = cls(anvil=anvil, slice_=slice_, identities=identities, executor=executor, ordering=ordering)
            await world.front.start(port=front_port)
            await world.relay.start(port=relay_port)
            return world
        except BaseException:
            await anvil.stop()
            raise

    async def close(self) -> None:
        """End every server and process; safe to repeat."""
        await self.relay.stop()
        await self.front.stop()
        await self.anvil.stop()


async def _plant_ours(anvil: Anvil, slice_: Slice, ours: Identities) -> Executor:
    build = load_build(build_for_fork(HARDFORK))
    slots = storage(
        owner=ours.owner.address,
        operators=[key.address for key in ours.operators],
        guardian=ours.guardian.address,
        vault=ours.vault,
        tokens=[token.address for token in START_TOKENS],
        pools=[pool.address for pool in slice_.pools],
    )
    await anvil.call("anvil_setCode", to_data(ours.executor), to_data(runtime_code(build, weth=WETH)))
    for slot, value in slots.items():
        await anvil.call("anvil_setStorageAt", to_data(ours.executor), to_quantity(slot), f"0x{value:064x}")
    held = {token.address for token in slice_.tokens}
    for token in START_TOKENS:
        if token.address not in held:
            continue
        base = WETH9_BALANCE_SLOT if token.address == WETH else token_code.BALANCE_SLOT
        for holder in (ours.executor, ours.vault):
            place = to_quantity(mapping_slot(holder, base))
            await anvil.call("anvil_setStorageAt", to_data(token.address), place, f"0x{1:064x}")
    for operator in ours.operators:
        await anvil.call("anvil_setBalance", to_data(operator.address), to_quantity(OPERATOR_BALANCE_WEI))
    head = await anvil.call("eth_getBlockByNumber", "latest", False)
    # Paying an account that does not exist costs 25,000 gas more; no builder's account is like that.
    for recipient in (head["miner"], to_data(DEVNET_FEE_RECIPIENT)):
        await anvil.call("anvil_setBalance", recipient, to_quantity(FEE_RECIPIENT_BALANCE_WEI))
    return Executor(
        address=ours.executor,
        build=build.name,
        code_hash=runtime_code_hash(build, weth=WETH),
        vault=ours.vault,
        weth=WETH,
        operators=tuple(key.address for key in ours.operators),
    )


class _SliceGround:
    """The slice's users: all that they send in a slot comes at its start."""

    kind = "slice"
    chain_id = CHAIN_ID

    def __init__(self, world: SliceWorld, *, seed: int, slot_s: float | None) -> None:
        self.pools_known = len(world.slice.pools)
        self.noted = {"seed": str(seed)}
        self._world = world
        self._traffic = Traffic(world.slice, seed)
        self._slot_s = slot_s

    async def view(self, rpc: Rpc) -> ChainView:
        records = pool_records(self._world.slice)
        return await ChainView.load(rpc, await header_at(rpc, None), records, sender=self._world.identities.probe)

    async def trade(self, hunt: ChainHunt, feed: MempoolFeed, rpc: Rpc, *, began_s: float) -> None:
        """Hunt behind everything that the users send; then let the slot pass."""
        env = next_env(hunt.view.header)
        expected = set()
        for signed in self._traffic.next_slot(base_fee_wei=env.base_fee_wei, timestamp_s=env.timestamp):
            await rpc.call("eth_sendRawTransaction", [to_data(signed.raw)])
            expected.add(to_data(signed.hash))
        await hunt.on_pending(await _arrivals(feed, expected))
        if self._slot_s is not None:
            await asyncio.sleep(max(0.0, began_s + self._slot_s - asyncio.get_running_loop().time()))

    async def build(self, env: BlockEnv) -> BuiltBlock:
        """The world's own next block, whatever the agent reckoned with; the users learn what became of theirs."""
        built = await self._world.builder.build()
        self._traffic.settle(built.receipts)
        return built


async def run_slice(asked: SliceRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    """Run the agent over `blocks` slots of the slice."""
    world = await SliceWorld.open(seed=asked.seed, ordering=asked.ordering)
    try:
        return await run_slots(world, _SliceGround(world, seed=asked.seed, slot_s=asked.slot_s), asked, clock, say)
    finally:
        await world.close()


async def _arrivals(feed: MempoolFeed, expected: set[str]) -> list[PendingTransaction]:
    """Read the mempool until everything that was sent has been seen, in order of arrival."""
    arrived: list[PendingTransaction] = []
    missing = set(expected)
    try:
        async with asyncio.timeout(ARRIVAL_TIMEOUT_S):
            while missing:
                for event in await feed.read():
                    if isinstance(event, PendingTransaction):
                        arrived.append(event)
                        missing.discard(event.hash)
    except TimeoutError:
        raise SetupError(
            f"the devnet's mempool told of {len(expected) - len(missing)} of {len(expected)} transactions "
            f"in {ARRIVAL_TIMEOUT_S} s",
            hint="start again; on a machine that is very busy, with nothing beside it",
        ) from None
    return arrived
