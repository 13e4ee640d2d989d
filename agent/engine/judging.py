"""What execution says of a quoted opportunity, and what many such rows come to: the sums of a report without an agent.

Amounts are raw token units; values, gas and nets are wei. Nothing here knows what world the figures come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.core.codes import Code
from agent.dex.pool import LeftOut
from agent.dex.pool_set import PoolSet
from agent.engine.candidate import unproved_lie
from agent.engine.execution import Execution, measuring_terms
from agent.engine.executor import Executor, run_call
from agent.engine.pricing import value_in_ether
from agent.engine.result import Ending, Mismatch, OpportunityResult, RunResult
from agent.eth.hexes import to_data
from agent.eth.units import Address, Hash32
from agent.sim.simulator import BlockEnv
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.select import best_compatible


class Seen(NamedTuple):
    """Where an opportunity was found: the pools there, and the transaction of the block that it stands behind."""

    pools: PoolSet
    transaction: Hash32 | None
    after_index: int | None


def clear_of(found: Sequence[Opportunity], stale: Sequence[LeftOut]) -> list[Opportunity]:
    """The opportunities that go through none of these pools."""
    gone = {one.pool for one in stale}
    return [one for one in found if not gone.intersection(one.pools)]


def canonical_start(opportunity: Opportunity, start_tokens: Sequence[Address]) -> Address:
    """The token in which the agent itself would begin this cycle."""
    held = {leg.token_in for leg in opportunity.legs}
    return next(token for token in start_tokens if token in held)


def judged(
    opportunity: Opportunity,
    execution: Execution,
    *,
    at: Seen,
    env: BlockEnv,
    executor: Executor,
    unproved: frozenset[Address],
    repeat: str,
) -> OpportunityResult:
    """The opportunity with what execution gave: profit, loss, reverts or unknown."""
    executed = execution.is_success and execution.is_known
    gross_amount = execution.gross_amount if executed else (0 if execution.is_known else opportunity.gross_amount)
    value_wei = value_in_ether(
        at.pools,
        opportunity.start_token,
        gross_amount,
        weth=executor.weth,
        unproved=unproved,
        moved=opportunity.pools,
    )
    gas_cost_wei = execution.gas_used * env.base_fee_wei
    terms = measuring_terms(opportunity, env)
    call = run_call(executor, opportunity, terms, operator=executor.operators[0], nonce=0)
    one = OpportunityResult(
        id=opportunity.id,
        block=opportunity.block_number,
        kind=opportunity.kind,
        after_transaction=None if at.transaction is None else to_data(at.transaction),
        after_index=at.after_index,
        legs=opportunity.legs,
        before_amount=opportunity.before_amount,
        quoted_amount=opportunity.gross_amount,
        gross_amount=gross_amount,
        value_wei=value_wei,
        gas_used=execution.gas_used,
        gas_cost_wei=gas_cost_wei,
        net_wei=0 if value_wei is None or not executed else value_wei - gas_cost_wei,
        upper_bound_amount=opportunity.upper_bound_amount,
        missing=execution.missing,
        assumed=execution.assumed,
        repeat=repeat.replace("{id}", opportunity.id),
        calldata=to_data(call.data),
    )
    if not execution.is_known:
        one.outcome = Ending.UNKNOWN
        one.code = Code.UNKNOWN_STATE if execution.missing else Code.SIM_REFUSED
        one.reason = execution.refused or f"{len(execution.missing)} slots missing"
    elif not executed:
        one.outcome, one.code, one.reason = Ending.REVERTS, Code.REVERTS, execution.error[:120]
    elif lie := unproved_lie(opportunity, execution, unproved):
        one.outcome, one.code, one.reason = Ending.DROPPED, Code.POOL_UNPROVED, lie
    elif value_wei is None:
        one.outcome, one.code, one.reason = Ending.UNPRICED, Code.NO_PRICE, "no pool prices the start token in ETH"
    elif value_wei <= gas_cost_wei:
        short_wei = gas_cost_wei - value_wei
        one.outcome, one.code, one.reason = Ending.LOSS, Code.BELOW_GAS, f"{short_wei} wei short of gas"
    else:
        one.outcome = Ending.PROFIT
    return one


def mismatches(opportunities: Sequence[OpportunityResult]) -> list[Mismatch]:
    """Executed, known, and not what the quote said."""
    return [
        Mismatch(one.id, one.quoted_amount, one.gross_amount)
        for one in opportunities
        if one.outcome in (Ending.PROFIT, Ending.LOSS, Ending.UNPRICED) and one.quoted_amount != one.gross_amount
    ]


def held_by_rows(opportunities: Sequence[OpportunityResult]) -> int:
    """What the best set without a common pool nets: what stands open at several moments is there once."""
    paying = [one for one in opportunities if one.outcome == Ending.PROFIT and not one.is_rotation]
    pools = [[leg.pool for leg in one.legs] for one in paying]
    return best_compatible(pools, [one.net_wei for one in paying]).value


def count_funnel(result: RunResult) -> None:
    """Funnel and drops from how the opportunities of a survey ended."""
    for one in result.opportunities:
        if one.code:
            result.drops[one.code] = result.drops.get(one.code, 0) + 1
    result.funnel = {
        "found": len(result.opportunities),
        "priced": sum(one.value_wei is not None for one in result.opportunities),
        "simulated": sum(one.outcome != Ending.UNKNOWN for one in result.opportunities),
        "passed_risk": 0,
        "sent": 0,
        "landed": 0,
    }
