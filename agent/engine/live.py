"""The agent watching a live chain in shadow: every decision is made, and nothing is sent.

Theory of operation. Heads come from a `HeadFeed`, pending transactions from a `MempoolFeed` where the node has one. The
pools are read at the first head and then moved by each block's logs; a reorg takes the pools of the ancestor, and
whatever cannot be followed is read afresh at the next head. No executor stands on the chain, so simulations pretend
that ours does, with throw-away operators: overrides of accounts of our own alone. A slot closes a second before the
next block is due, or when it comes; what would be sent then ends as the drop D_NOTHING_SENT.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from agent.chain.client import Rpc
from agent.chain.connect import is_stream, open_node
from agent.chain.discovery import PoolRecord
from agent.chain.head_chain import Extend, Rollback, Stop
from agent.chain.headers import Header
from agent.chain.heads import FeedDown, FeedUp, HeadEvent, HeadFeed
from agent.chain.known_pools import MAINNET, existing_pools, known_pools
from agent.chain.mempool import MempoolEvent, MempoolFeed
from agent.chain.pending import PendingTransaction
from agent.chain.websocket import WsRpc
from agent.core.codes import Code
from agent.core.events.chain import ChainFacts
from agent.core.limits import RiskLimits
from agent.core.step import Core
from agent.dex.pool_set import PoolSet
from agent.engine.candidate import Appraiser
from agent.engine.chain_facts import of_world, pretended_facts
from agent.engine.chain_guard import PATIENT_MS, ChainGuard, chain_guard
from agent.engine.chain_hunt import ChainHunt
from agent.engine.chain_view import ChainView
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.errors import OutcomeUnknown, ProtocolError, SetupError
from agent.eth.hexes import address_text, to_data, to_quantity
from agent.eth.keys import Signer
from agent.eth.units import Address, Hash32
from agent.journal.machine import core_settings
from agent.journal.records import Run
from agent.journal.settings import process_settings
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.sim.probe import probe_engine
from agent.sim.simulator import BlockEnv, Call, Override, Simulation, Simulator, Slot
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.screen import Screen

CLOSE_AFTER_S = 11.0
"""After a head: what is decided later than this would miss the next block."""
KEPT_HEADERS = 256
SLOT_GRACE_NS = 1_000_000_000
"""What is decided as the slot closes is still of it."""


@runtime_checkable
class Positionable(Protocol):
    """A simulator that can be put on the state of a block by its hash."""

    def on(self, at: str | Hash32) -> Simulator: ...


class HeadSimulator:
    """Simulates on the head it was last told, and finds there what `overrides` pretend."""

    def __init__(self, engine: Simulator, overrides: tuple[Override, ...]) -> None:
        self._engine = engine
        self._here = engine
        self._overrides = overrides

    def use(self, engine: Simulator) -> None:
        """From now on ask another node, or the same one over another connection."""
        self._engine = self._here = engine

    def stand_on(self, head: Hash32) -> None:
        """From now on the state is that of this block, however far the node has gone since."""
        if isinstance(self._engine, Positionable):
            self._here = self._engine.on(head)

    async def simulate(
        self,
        sequences: list[tuple[Call, ...]],
        env: BlockEnv,
        *,
        assume: frozenset[Slot] = frozenset(),
        overrides: tuple[Override, ...] = (),
    ) -> list[Simulation]:
        return await self._here.simulate(sequences, env, assume=assume, overrides=self._overrides + overrides)


class ShadowRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch, and as whom. `overrides` put the executor and its operators' gas money there."""

    url: str
    chain_id: int
    run: str
    folder: Path
    settings: HuntSettings
    executor: Executor
    operators: tuple[Signer, ...]
    probe: Address
    overrides: tuple[Override, ...]
    blocks: int | None = None
    """None: until it is stopped."""
    close_after_s: float = CLOSE_AFTER_S
    repeat: str = ""

    def __repr__(self) -> str:
        return f"ShadowRun({self.run})"  # the URL may hold a provider's key


def shadow_limits(asked: ShadowRun) -> RiskLimits:
    """Those of the configuration, for the chain that is watched and the executor that is pretended."""
    return of_world(
        asked.settings.limits, chain_id=asked.chain_id, executor=asked.executor, max_guard_age_ms=PATIENT_MS
    )


async def run_shadow(asked: ShadowRun, clock: Clock, say: Callable[[str], None]) -> tuple[RunResult, bool]:
    """Watch until `blocks` slots have passed or the task is cancelled; what was seen, and whether it was cancelled."""
    journal: JournalWriter | None = None
    shadow: Shadow | None = None
    rpc = await open_node(asked.url, chain_id=asked.chain_id, clock=clock)
    try:
        engine = await probe_engine(rpc)
        limits = shadow_limits(asked)
        journal = JournalWriter(
            asked.folder,
            Run(asked.run, "1", {"world": "live", "mode": "shadow", **core_settings(limits, needs_guard=True)}),
            monotonic_ns=clock.monotonic_ns(),
            wall_ns=clock.wall_ns(),
            settings=process_settings(),
        )
        async with chain_guard(asked.folder, run=asked.run, journal=journal, clock=clock, say=say) as guard:
            shadow = Shadow(asked, rpc, HeadSimulator(engine, asked.overrides), journal, guard, clock, say)
            await _watch(shadow, asked, say)
        return shadow.finish(), shadow.was_stopped
    finally:
        if journal is not None:
            journal.close()
        await (rpc if shadow is None else shadow.rpc).close()


async def _watch(shadow: Shadow, asked: ShadowRun, say: Callable[[str], None]) -> None:
    heads = HeadFeed(lambda: open_node(asked.url), chain_id=asked.chain_id)
    tasks = [asyncio.create_task(heads.run())]
    mempool: MempoolFeed | None = None
    if is_stream(asked.url):
        mempool = MempoolFeed(lambda: WsRpc.connect(asked.url), chain_id=asked.chain_id)
        tasks.append(asyncio.create_task(mempool.run()))
    else:
        shadow.result.warnings.append("an HTTP endpoint tells no pending transactions: heads only; give ws:// for more")
    try:
        await _follow(shadow, heads, mempool, tasks)
    except asyncio.CancelledError:
        # A person's Ctrl-C: the report of what was seen is what they want now.
        shadow.result.warnings.append("stopped before its end")
        shadow.was_stopped = True
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _follow(
    shadow: Shadow,
    heads: HeadFeed,
    mempool: MempoolFeed | None,
    tasks: Sequence[asyncio.Task[None]],
) -> None:
    next_head: asyncio.Task[HeadEvent] = asyncio.create_task(heads.events.get())
    arrivals: asyncio.Task[list[MempoolEvent]] | None = None if mempool is None else asyncio.create_task(mempool.read())
    try:
        while not shadow.is_done:
            waited = {next_head, *tasks} | (set() if arrivals is None else {arrivals})
            done, _ = await asyncio.wait(waited, timeout=shadow.open_for_s(), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await shadow.close()
                continue
            if next_head in done:
                event = next_head.result()
                next_head = asyncio.create_task(heads.events.get())
                await shadow.on_head_event(event, is_newest=_is_tip(event, heads))
            if mempool is not None and arrivals is not None and arrivals in done:
                await shadow.on_arrivals(arrivals.result())
                arrivals = asyncio.create_task(mempool.read())
            for task in tasks:
                if task.done() and not next_head.done():
                    task.result()
                    raise ProtocolError("the node can no longer be followed", hint="start again")
    finally:
        for waiting in (next_head, arrivals):
            if waiting is not None:
                waiting.cancel()


def _is_tip(event: HeadEvent, heads: HeadFeed) -> bool:
    """Whether the feed knows of no later block: what is behind it is history, and not hunted on."""
    return isinstance(event, Extend) and heads.chain.tip is not None and event.header.hash == heads.chain.tip.hash


class Shadow:
    """The state of a watch: the pools at the head, the hunt on them, and what has been seen."""

    def __init__(
        self,
        asked: ShadowRun,
        rpc: Rpc,
        simulator: HeadSimulator,
        journal: JournalWriter,
        guard: ChainGuard,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self.slots = 0
        """Slots that were opened by a head and closed."""
        self.was_stopped = False
        self.result = RunResult(
            run=asked.run,
            command="run",
            world="live",
            mode="shadow",
            chain_id=asked.chain_id,
            executor_address=address_text(asked.executor.address),
            executor_build=asked.executor.build,
            executor_code_hash=to_data(asked.executor.code_hash),
        )
        self._asked = asked
        self._guard = guard
        self.rpc = rpc
        """The connection over which state is asked; whoever made this closes it in the end."""
        self._is_cut_off = False
        self._simulator = simulator
        self._journal = journal
        self._clock = clock
        self._say = say
        self._records: list[PoolRecord] | None = None
        self._hunt: ChainHunt | None = None
        self._hunter: Hunter | None = None
        self._headers: OrderedDict[Hash32, Header] = OrderedDict()
        self._closes_at_ns: int | None = None
        self._unsent = 0

    @property
    def pools(self) -> PoolSet | None:
        """The pools at the head; None before the first, or where they are to be read afresh."""
        return None if self._hunt is None else self._hunt.view.pools

    @property
    def is_done(self) -> bool:
        """As many slots were closed as were asked for."""
        return self._asked.blocks is not None and self.slots >= self._asked.blocks

    def open_for_s(self) -> float | None:
        """How long the slot stays open; None where none is."""
        if self._closes_at_ns is None:
            return None
        return max(0, self._closes_at_ns - self._clock.monotonic_ns()) / 10**9

    async def on_head_event(self, event: HeadEvent, *, is_newest: bool) -> None:
        """One step of the chain. `is_newest` False: more have come already, so this one is history."""
        if isinstance(event, Stop):
            raise SetupError(f"the chain cannot be followed: {event.reason}", hint="start again, or use another node")
        if isinstance(event, FeedDown):
            self._say(f"no connection: {event.reason}")
            self._is_cut_off = True
        elif isinstance(event, FeedUp):
            self._say(f"watching {event.peer}")
        else:
            await self.close()
            if self.is_done:
                return
            try:
                await self._move(event, is_newest=is_newest)
            except (ProtocolError, OutcomeUnknown, SetupError) as error:
                # The node moved on or failed while it was asked: the next head starts from a fresh read.
                self._say(f"block {event.header.number} could not be read: {error.message}")
                self._hunt = None

    async def on_arrivals(self, events: Sequence[MempoolEvent]) -> None:
        """Pending transactions, while a slot is open."""
        if self._hunt is None or self._closes_at_ns is None:
            return
        pending = [event for event in events if isinstance(event, PendingTransaction)]
        if pending:
            try:
                await self._hunt.on_pending(pending)
            except (ProtocolError, OutcomeUnknown) as error:
                self._say(f"pending transactions could not be executed: {error.message}")

    async def close(self) -> None:
        """End the slot, if one is open: select as for sending, and send nothing."""
        if self._closes_at_ns is None:
            return
        self._closes_at_ns = None
        self.slots += 1
        if self._hunt is None:
            return
        chosen = await self._hunt.close()
        hunter = self._hunt.hunter
        for one in chosen:
            hunter.on_ended(one, outcome=Ending.DROPPED, reason="shadow mode sends nothing", code=Code.NOTHING_SENT)
            one.bundle = None
        # Nothing was sent, so every key is free again and no nonce has moved.
        hunter.on_block(number=self._hunt.view.header.number + 1, nonces=dict.fromkeys(hunter.operators, 0))
        self._unsent += len(chosen)
        self._say(f"block {self._hunt.view.header.number}  {len(chosen)} would have been sent for the next one")

    def finish(self) -> RunResult:
        """The result of everything seen so far."""
        if self._hunter is not None:
            summarise(self.result, self._hunter, repeat=self._asked.repeat)
            self.result.funnel["passed_risk"] += self._unsent
        return self.result

    async def _reconnect(self) -> None:
        """Ask over a new connection; what was known is read afresh, as nobody watched meanwhile."""
        self._hunt = None
        rpc = await open_node(self._asked.url, chain_id=self._asked.chain_id, clock=self._clock)
        await self.rpc.close()
        self.rpc = rpc
        self._simulator.use(await probe_engine(rpc))
        self._is_cut_off = False

    async def _move(self, event: Extend | Rollback, *, is_newest: bool) -> None:
        header = event.header
        if self._is_cut_off:
            await self._reconnect()
        if isinstance(event, Rollback):
            self._say(f"block {header.number} {to_data(header.hash)[:12]} was taken back")
            parent = self._headers.get(header.parent_hash)
            if parent is None or self._hunt is None:
                self._hunt = None
            else:
                self._hunt.view.roll_back(parent)
            return
        self._headers[header.hash] = header
        while len(self._headers) > KEPT_HEADERS:
            self._headers.popitem(last=False)
        touched: frozenset[Address] = frozenset()
        if self._hunt is not None:
            touched = await self._hunt.view.extend(header)
        elif is_newest:
            self._hunt = await self._begin(header)
        if not is_newest or self._hunt is None:
            return
        self._simulator.stand_on(header.hash)
        self._closes_at_ns = self._clock.monotonic_ns() + int(self._asked.close_after_s * 10**9)
        self.result.blocks.append(
            BlockResult(
                number=header.number,
                hash=to_data(header.hash),
                base_fee_wei=header.base_fee_wei,
                transactions=0,
                pools_touched=len(touched),
            )
        )
        await self._hunt.on_header(header)

    async def _begin(self, header: Header) -> ChainHunt:
        """Read the pools at this head, and hunt from here."""
        asked, settings = self._asked, self._asked.settings
        if self._records is None:
            block = to_quantity(header.number)
            known = known_pools() if asked.chain_id == MAINNET else []
            self._records = await existing_pools(self.rpc, known, block=block)
            if not self._records:
                self.result.warnings.append(f"no pool that we know of is on chain {asked.chain_id}")
        view = await ChainView.load(self.rpc, header, self._records, sender=asked.probe)
        self.result.pools_known, self.result.pools_quotable = len(self._records), len(view.pools)
        self.result.left_out = view.left_out
        if self._hunter is None:
            cycles = index_cycles(view.pools, start_tokens=settings.start_tokens, max_hops=settings.max_hops)
            self._hunter = Hunter(
                core=Core(shadow_limits(asked), needs_guard=True),
                journal=self._journal,
                clock=self._clock,
                stages=StageClock(),
                appraiser=Appraiser(self._simulator, asked.executor, settings, probe=asked.probe),
                cycles=cycles,
                screen=Screen(cycles, view.pools),
                operators=asked.operators,
                relays=(),
                chain_id=asked.chain_id,
                settings=settings,
            )
            self._guard.watch(self._hunter)
        return ChainHunt(self._hunter, view, self._simulator, self._facts, is_dated=True)

    async def _facts(self, header: Header) -> ChainFacts:
        """Pretended, as executor and operators are; the head is as old as its arrival here."""
        funded = [one.balance_wei for one in self._asked.overrides if one.balance_wei is not None]
        assert self._closes_at_ns is not None, "the slot was opened by this head"
        return pretended_facts(
            executor=self._asked.executor,
            chain_id=self._asked.chain_id,
            head_hash=header.hash,
            operators_wei=sum(funded),
            head_age_ns=0,
            cutoff_ns=self._closes_at_ns + SLOT_GRACE_NS,
        )
