"""The survey: every moment of the undisturbed block, each opportunity executed at its own state, nothing sent."""

from __future__ import annotations

from collections.abc import Iterable

from agent.chain.pools import differing
from agent.devnet.case import Case
from agent.devnet.case_world import CaseWorld, Moment
from agent.devnet.mainnet import START_TOKENS
from agent.dex.pool import StateName
from agent.engine.execution import Execution, Seat, execute, measuring_terms
from agent.engine.judging import Seen, canonical_start, clear_of, count_funnel, held_by_rows, judged, mismatches
from agent.engine.latency import StageClock
from agent.engine.result import BlockResult, Ending, RunResult
from agent.engine.reverts import diagnose
from agent.eth.hexes import address_text, from_data, to_data
from agent.eth.units import Hash32
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.sim.node import NodeSimulator
from agent.sim.pool_probe import Prober
from agent.sim.simulator import Slot
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.rotations import rotated
from agent.strategies.arb.search import find_opportunities
from agent.strategies.arb.sizing import finest_size


async def survey(
    case: Case,
    *,
    run: str,
    assume: frozenset[Slot] = frozenset(),
    max_hops: int = 3,
    repeat: str = "",
    clock: Clock = SYSTEM_CLOCK,
) -> RunResult:
    """Search and execute all of it. `repeat` is the command line with {id} where an opportunity's id goes."""
    world = await CaseWorld.open(case)
    try:
        return await _survey(world, run=run, assume=assume, max_hops=max_hops, repeat=repeat, clock=clock)
    finally:
        await world.close()


async def _survey(
    world: CaseWorld, *, run: str, assume: frozenset[Slot], max_hops: int, repeat: str, clock: Clock
) -> RunResult:
    case = world.case
    stages = StageClock()
    start_tokens = [token.address for token in START_TOKENS]
    index = index_cycles(world.pools, start_tokens=start_tokens, max_hops=max_hops)
    result = empty_result(world, run=run, command="survey")
    moments = world.moments()
    prober = Prober(NodeSimulator(world.node.anvil.rpc), world.node.env, probe=world.identities.probe)
    before = None
    for moment in moments:
        started = clock.monotonic_ns()
        found = find_opportunities(
            moment.pools,
            index,
            touched=None if moment.after_index is None else moment.touched,
            state=StateName(case.parent.hash, moment.after_index),
            block_number=case.number,
            after_transaction=moment.transaction,
            before=before,
            size=finest_size,
        )
        for opportunity in tuple(found):
            found += rotated(opportunity, moment.pools, before=before, start_tokens=start_tokens, size=finest_size)
        stages.add("search", clock.monotonic_ns() - started)
        before = moment.pools
        found = await without_stale(world, moment, found, result)
        if found:
            started = clock.monotonic_ns()
            executions = await execute_at(world, moment, found, assume=assume)
            stages.add("simulate", clock.monotonic_ns() - started)
            for opportunity, execution in zip(found, executions, strict=True):
                row = judged(
                    opportunity,
                    execution,
                    at=Seen(moment.pools, moment.transaction, moment.after_index),
                    env=world.node.env,
                    executor=world.executor,
                    unproved=world.unproved,
                    repeat=repeat,
                )
                if row.outcome == Ending.REVERTS:
                    [(row.code, detail)] = await diagnose(prober, [opportunity], executor=world.executor.address)
                    row.reason = detail or row.reason
                row.is_rotation = opportunity.start_token != canonical_start(opportunity, start_tokens)
                result.opportunities.append(row)
    await name_rivals(world, result)
    result.mismatches = mismatches(result.opportunities)
    result.survey_net_wei = held_by_rows(result.opportunities)
    result.latency_ns = stages.summary()
    count_funnel(result)
    touched = frozenset().union(*(moment.touched for moment in moments))
    result.blocks.append(
        BlockResult(
            number=case.number,
            hash=to_data(case.header.hash),
            base_fee_wei=case.header.base_fee_wei,
            transactions=len(case.transactions),
            pools_touched=len(touched),
        )
    )
    return result


async def without_stale(
    world: CaseWorld, moment: Moment, found: list[Opportunity], result: RunResult
) -> list[Opportunity]:
    """The opportunities whose pools stand at this moment as the logs say; the others' pools are left out, aloud."""
    if not found:
        return found
    await world.node.position(moment.after_index)
    pools = [moment.pools[address] for address in sorted({pool for one in found for pool in one.pools})]
    stale = await differing(world.node.anvil.rpc, pools, sender=world.identities.probe)
    result.left_out += [one for one in stale if one not in result.left_out]
    return clear_of(found, stale)


def empty_result(world: CaseWorld, *, run: str, command: str) -> RunResult:
    """A result that knows its world and nothing yet."""
    return RunResult(
        run=run,
        command=command,
        world="case",
        mode="devnet",
        chain_id=world.case.chain_id,
        executor_address=address_text(world.executor.address),
        executor_build=world.executor.build,
        executor_code_hash=to_data(world.executor.code_hash),
        pools_known=world.known,
        pools_quotable=len(world.pools),
        left_out=list(world.left_out),
        warnings=list(world.warnings),
    )


async def name_rivals(world: CaseWorld, result: RunResult) -> None:
    """For each opportunity that is not ours in the end: who took it in the block as it was, and for how much."""
    open_rows = [row for row in result.opportunities if row.outcome != Ending.LANDED]
    wanted = [
        (
            [leg.pool for leg in row.legs],
            None if row.after_transaction is None else Hash32(from_data(row.after_transaction)),
        )
        for row in open_rows
    ]
    for row, rival in zip(open_rows, await world.rivals(wanted), strict=True):
        row.rival = rival


async def execute_at(
    world: CaseWorld, moment: Moment, found: list[Opportunity], *, assume: Iterable[Slot]
) -> list[Execution]:
    """Each opportunity alone, on the block's own prefix up to the moment."""
    await world.node.position(moment.after_index)
    env = world.node.env
    return await execute(
        NodeSimulator(world.node.anvil.rpc),
        env,
        world.executor,
        [(opportunity, measuring_terms(opportunity, env)) for opportunity in found],
        seat=Seat((), world.executor.operators[0], 0),
        assume=frozenset(assume),
    )
