"""The agent at work in the slice: users trade in public, the agent backruns in private, the local builder decides.

One slot is: users send to the front, the agent reads head and mempool from the front as it would from any node, its
bundles go to the relay, the builder builds. With pace `fast` each step waits for the one before, so a seed gives the
same run every time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.chain.headers import Header, WireHeader, header_from_wire
from agent.chain.mempool import MempoolFeed
from agent.chain.pending import PendingTransaction
from agent.chain.pools import differing
from agent.chain.rpc import HttpRpc
from agent.chain.websocket import WsRpc
from agent.core.step import Core
from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, Ordering
from agent.devnet.builder.builder import DEVNET_FEE_RECIPIENT
from agent.devnet.front import Front
from agent.devnet.identities import Identities, devnet_identities
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.mempool import Mempool
from agent.devnet.relay import Relay
from agent.devnet.settling import end_block
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
from agent.engine.booking import Books
from agent.engine.candidate import Appraiser
from agent.engine.chain_hunt import ChainHunt, next_env
from agent.engine.chain_view import ChainView
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.errors import SetupError
from agent.eth.hexes import address_text, to_data, to_quantity
from agent.eth.units import WEI_PER_ETHER
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports import Clock
from agent.sim.node import NodeSimulator
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.screen import Screen
from agent.venues.onchain.endpoints import FLASHBOTS, Endpoint
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, runtime_code_hash, storage
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.signer import RelaySigner
from agent.venues.onchain.wire import WireTransport

WETH9_BALANCE_SLOT = 3
OPERATOR_BALANCE_WEI = 10 * WEI_PER_ETHER
FEE_RECIPIENT_BALANCE_WEI = WEI_PER_ETHER
ARRIVAL_TIMEOUT_S = 60
"""A slot's traffic reaches a subscriber in milliseconds: later than this, nothing will."""


class SliceRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    run: str
    folder: Path
    settings: HuntSettings
    seed: int
    blocks: int
    ordering: Ordering = Ordering.PROFIT
    slot_s: float | None = None
    """None: as fast as possible; else the length of a slot in real time."""
    repeat: str = ""


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


async def run_slice(asked: SliceRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    """Run the agent over `blocks` slots of the slice."""
    world = await SliceWorld.open(seed=asked.seed, ordering=asked.ordering)
    try:
        return await _run(world, asked, clock, say)
    finally:
        await world.close()


async def _run(world: SliceWorld, asked: SliceRun, clock: Clock, say: Callable[[str], None]) -> RunResult:
    rpc = HttpRpc(world.front.rpc_url, clock=clock)
    journal = JournalWriter(
        asked.folder,
        Run(
            asked.run,
            "1",
            {"world": "slice", "seed": str(asked.seed), "limits": msgspec.json.encode(asked.settings.limits).decode()},
        ),
        monotonic_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
    )
    client = RelayClient(
        Endpoint(name="devnet", url=world.relay.url, dialect=FLASHBOTS, chain_id=CHAIN_ID),
        identity=RelaySigner(world.identities.relay),
        transport=WireTransport(world.relay.url),
    )
    feed = MempoolFeed(lambda: WsRpc.connect(world.front.ws_url), chain_id=CHAIN_ID)
    watching = asyncio.create_task(feed.run())
    try:
        records = pool_records(world.slice)
        view = await ChainView.load(rpc, await _latest(rpc), records, sender=world.identities.probe)
        simulator = NodeSimulator(rpc)
        cycles = index_cycles(view.pools, start_tokens=asked.settings.start_tokens, max_hops=asked.settings.max_hops)
        hunter = Hunter(
            core=Core(asked.settings.limits),
            journal=journal,
            clock=clock,
            stages=StageClock(),
            appraiser=Appraiser(simulator, world.executor, asked.settings, probe=world.identities.probe),
            cycles=cycles,
            screen=Screen(cycles, view.pools),
            operators=world.identities.operators,
            relays=[client],
            chain_id=CHAIN_ID,
            settings=asked.settings,
        )
        hunt = ChainHunt(hunter, view, simulator)
        return await _slots(world, hunt, feed, rpc, simulator, asked, say)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        journal.close()
        await client.close()
        await rpc.close()


async def _slots(
    world: SliceWorld,
    hunt: ChainHunt,
    feed: MempoolFeed,
    rpc: HttpRpc,
    simulator: NodeSimulator,
    asked: SliceRun,
    say: Callable[[str], None],
) -> RunResult:
    executor = world.executor
    result = RunResult(
        run=asked.run,
        command="run",
        world="slice",
        mode="devnet",
        chain_id=CHAIN_ID,
        executor_address=address_text(executor.address),
        executor_build=executor.build,
        executor_code_hash=to_data(executor.code_hash),
        pools_known=len(world.slice.pools),
        pools_quotable=len(hunt.view.pools),
        left_out=hunt.view.left_out,
    )
    books = await Books.open(rpc, executor, tokens=asked.settings.start_tokens)
    traffic = Traffic(world.slice, asked.seed)
    for _ in range(asked.blocks):
        started = asyncio.get_running_loop().time()
        header = hunt.view.header
        await hunt.on_header(header)
        env = next_env(header)
        expected = set()
        for signed in traffic.next_slot(base_fee_wei=env.base_fee_wei, timestamp_s=env.timestamp):
            await rpc.call("eth_sendRawTransaction", [to_data(signed.raw)])
            expected.add(to_data(signed.hash))
        await hunt.on_pending(await _arrivals(feed, expected))
        if asked.slot_s is not None:
            await asyncio.sleep(max(0.0, asked.slot_s - (asyncio.get_running_loop().time() - started)))
        sent = await hunt.close()
        built = await world.builder.build()
        traffic.settle(built.receipts)
        await end_block(hunt, built, rpc, simulator, executor, result)
        touched = await hunt.view.extend(await _latest(rpc))
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


async def _latest(rpc: HttpRpc) -> Header:
    return header_from_wire(msgspec.convert(await rpc.call("eth_getBlockByNumber", ["latest", False]), WireHeader))
