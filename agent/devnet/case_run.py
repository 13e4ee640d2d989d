"""The agent at work in a case: the block's own transactions as mempool traffic, the local relay, one block to land in.

The agent sees the parent as head and then each pending transaction on the block's own prefix, appraises, selects and
sends; the builder keeps the archived order and puts bundles where they ask to stand. A case has no next block: what
did not land has expired.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.core.events.chain import HeadSeen
from agent.core.step import Core
from agent.devnet.builder import Builder
from agent.devnet.builder.outcome import BuiltBlock
from agent.devnet.builder.rules import MAX_TRANSACTION_GAS, Ordering
from agent.devnet.case import Case
from agent.devnet.case_world import CaseWorld, Moment
from agent.devnet.losses import name_losses
from agent.devnet.mempool import Mempool
from agent.devnet.relay import Relay
from agent.devnet.schedule import best_schedule
from agent.devnet.survey import empty_result, name_rivals
from agent.dex.pool import StateName
from agent.engine.candidate import Appraiser
from agent.engine.chain_facts import of_world, read_facts
from agent.engine.chain_guard import PATIENT_MS, chain_guard
from agent.engine.ending import Aftermath, end_bundles
from agent.engine.hunter import Hunter
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.settings import HuntSettings
from agent.engine.summary import summarise
from agent.engine.tracked import Target
from agent.errors import UsageError
from agent.eth.hexes import to_data
from agent.eth.units import Hash32
from agent.journal.machine import core_settings
from agent.journal.records import Run
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.sim.node import NodeSimulator
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.select import best_compatible
from agent.strategies.arb.sizing import finest_size
from agent.venues.onchain.endpoints import FLASHBOTS, Endpoint
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.signer import RelaySigner
from agent.venues.onchain.wire import WireTransport


class CaseRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    case: Case
    run: str
    folder: Path
    settings: HuntSettings
    leave_out: tuple[Hash32, ...] = ()
    ordering: Ordering = Ordering.ARCHIVED
    repeat: str = ""
    seed: int = 0


async def run_case(asked: CaseRun, clock: Clock) -> RunResult:
    """Run the agent over the one block of a case."""
    world = await CaseWorld.open(asked.case, leave_out=asked.leave_out, seed=asked.seed)
    try:
        return await _run(world, asked, clock)
    finally:
        await world.close()


async def _run(world: CaseWorld, asked: CaseRun, clock: Clock) -> RunResult:
    case, settings = world.case, asked.settings
    mempool = Mempool()
    for transaction in world.node.transactions:
        mempool.add(transaction.raw, sender=transaction.sender)
    cap = MAX_TRANSACTION_GAS if case.hardfork == "osaka" else None  # EIP-7825
    builder = Builder(world.node.anvil, mempool, ordering=asked.ordering, max_transaction_gas=cap)
    builder.next_env = world.node.env
    limits = of_world(settings.limits, chain_id=case.chain_id, executor=world.executor, max_guard_age_ms=PATIENT_MS)
    journal = JournalWriter(
        asked.folder,
        Run(
            asked.run,
            "1",
            {"world": "case", "block": str(case.number), **core_settings(limits, needs_guard=True)},
        ),
        monotonic_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
    )
    async with Relay(builder) as relay:
        transport = WireTransport(relay.url)
        client = RelayClient(
            Endpoint(name="devnet", url=relay.url, dialect=FLASHBOTS, chain_id=case.chain_id),
            identity=RelaySigner(world.identities.relay),
            transport=transport,
        )
        appraiser = Appraiser(
            NodeSimulator(world.node.anvil.rpc),
            world.executor,
            settings,
            probe=world.identities.probe,
            unproved=world.unproved,
        )
        hunter = Hunter(
            core=Core(limits, needs_guard=True),
            journal=journal,
            clock=clock,
            stages=StageClock(),
            appraiser=appraiser,
            cycles=index_cycles(world.pools, start_tokens=settings.start_tokens, max_hops=settings.max_hops),
            screen=None,
            operators=world.identities.operators,
            relays=[client],
            chain_id=case.chain_id,
            settings=settings,
            size=finest_size,  # as the survey: a row of either repeats to the last unit in the other
        )
        try:
            async with chain_guard(asked.folder, run=asked.run, journal=journal, clock=clock) as guard:
                guard.watch(hunter)
                return await _hunt(world, hunter, appraiser, builder, asked)
        finally:
            journal.close()
            await client.close()


async def _hunt(world: CaseWorld, hunter: Hunter, appraiser: Appraiser, builder: Builder, asked: CaseRun) -> RunResult:
    case = world.case
    hunter.on_head(
        HeadSeen(
            number=case.parent.number,
            block_hash=to_data(case.parent.hash),
            parent_hash=to_data(case.parent.parent_hash),
            timestamp_s=case.header.timestamp,
            next_base_fee_wei=case.header.base_fee_wei,
        ),
        world.node.env,
        await read_facts(
            world.node.anvil.rpc,
            executor=world.executor,
            ledger=hunter.nonces,
            head_hash=case.parent.hash,
            endpoints=("devnet",),
            pools=None,  # one head: what lands behind it is read by nobody, and the case need not hold our balances
        ),
    )
    before: Moment | None = None
    raws = {transaction.hash: transaction.raw for transaction in case.transactions}
    moments = world.moments()
    for moment in moments:
        await world.node.position(moment.after_index)
        await hunter.on_moment(
            moment.pools,
            before=None if before is None else before.pools,
            touched=None if moment.transaction is None else moment.touched,
            state=StateName(case.parent.hash, moment.after_index),
            target=None
            if moment.transaction is None
            else Target(moment.transaction, raws[moment.transaction], moment.after_index, ()),
        )
        before = moment
    if unknown := hunter.never_seen():
        raise UsageError(
            f"block {case.number} has no opportunity {', '.join(unknown)}",
            hint="`mev-agent survey` lists the ids; another --leave-out or --assume makes another block",
        )
    held = hunter.held()
    # What a person allowed to be taken as zero must be zero on the chain that mines it, too.
    world.node.archive.allow(slot for one in held if one.candidate for slot in one.candidate.execution.assumed)
    schedule = await best_schedule(world, appraiser, held)
    for member in schedule:
        if member.candidate is not member.tracked.candidate:
            hunter.reappraise(member.tracked, member.candidate, behind=member.behind)
    await hunter.submit([member.tracked for member in schedule])
    await world.node.position(None)
    built = await builder.build()
    world.node.forget_position()
    return await _settle(world, hunter, built, moments, asked)


def _held_by_the_block(hunter: Hunter) -> int:
    """What the best set without a common pool is worth after gas, were nothing paid to the builder."""
    executed = [one for one in hunter.tracked.values() if one.candidate is not None]
    pools = [one.opportunity.pools for one in executed]
    gains = [0 if one.candidate is None else one.candidate.gain_wei(one.base_fee_wei) for one in executed]
    return best_compatible(pools, gains).value


def _aftermath(world: CaseWorld, built: BuiltBlock) -> Aftermath:
    """The block as built here. Its rival is looked for in the archived block, where others were at work."""
    return Aftermath(
        block=world.archived_block(), receipts=built.receipts, calls=(), env=world.node.env, simulator=None
    )


async def _settle(
    world: CaseWorld, hunter: Hunter, built: BuiltBlock, moments: list[Moment], asked: CaseRun
) -> RunResult:
    case = world.case
    result = empty_result(world, run=asked.run, command="run")
    result.left_out_transactions = [to_data(transaction.hash) for transaction in world.node.left_out]
    if world.replay is not None and (dropped := world.replay.dropped):
        result.warnings.append(
            f"without what was left out {len(dropped)} further transactions cannot run, "
            f"the first at {dropped[0].index}: {to_data(dropped[0].hash)}"
        )
    await end_bundles(hunter, _aftermath(world, built), world.executor, result, missed_as=Ending.EXPIRED)
    name_losses(hunter, built)
    summarise(result, hunter, repeat=asked.repeat)
    result.survey_net_wei = None if asked.settings.only else _held_by_the_block(hunter)
    await name_rivals(world, result)
    touched = frozenset().union(*(moment.touched for moment in moments))
    result.blocks.append(
        BlockResult(
            number=built.number,
            hash=to_data(built.hash),
            base_fee_wei=case.header.base_fee_wei,
            transactions=len(built.receipts),
            pools_touched=len(touched),
            evicted=tuple(to_data(hash_) for hash_ in built.evicted),
            newly_reverted=tuple(to_data(hash_) for hash_ in built.newly_reverted),
        )
    )
    return result
