"""A tracked opportunity as a row of the report."""

from __future__ import annotations

from agent.core.codes import Code
from agent.engine.executor import calldata
from agent.engine.result import Ending, OpportunityResult
from agent.engine.tracked import Tracked, bundle_digest
from agent.eth.hexes import to_data

_UNKNOWN = frozenset({Code.UNKNOWN_STATE, Code.SIM_REFUSED})
_UNDECIDED = frozenset({Ending.OPEN, Ending.HELD})


def opportunity_row(one: Tracked, *, repeat: str) -> OpportunityResult:
    """The row; figures are those of the execution that counts, gross by quote only where that is unknown."""
    opportunity, candidate, target = one.opportunity, one.candidate, one.target
    row = OpportunityResult(
        id=opportunity.id,
        block=opportunity.block_number,
        kind=opportunity.kind,
        after_transaction=None if target is None else to_data(target.hash),
        after_index=None if target is None else target.index,
        legs=opportunity.legs,
        before_amount=opportunity.before_amount,
        quoted_amount=opportunity.gross_amount,
        gross_amount=0,
        upper_bound_amount=opportunity.upper_bound_amount,
        outcome=Ending.EXPIRED if one.outcome in _UNDECIDED else one.outcome,
        reason=one.reason,
        rival=one.rival,
        behind=one.behind,
        repeat=repeat.replace("{id}", " --only ".join((*one.behind, opportunity.id))),
    )
    if one.drop is not None:
        row.code = one.drop.code
        row.outcome = Ending.UNKNOWN if one.drop.code in _UNKNOWN else Ending.DROPPED
    if candidate is not None:
        execution = candidate.execution
        row.gross_amount = execution.gross_amount if execution.is_known else opportunity.gross_amount
        row.value_wei = candidate.value_wei
        row.gas_used = execution.gas_used
        row.gas_cost_wei = candidate.gas_cost_wei(one.base_fee_wei)
        row.bid_wei = candidate.bid_wei
        row.net_wei = candidate.net_wei(one.base_fee_wei) if execution.is_success and execution.is_known else 0
        row.missing, row.assumed = execution.missing, execution.assumed
        row.calldata = to_data(calldata(opportunity, candidate.terms, last_block=one.block_number))
    if one.mined is not None:
        row.gross_amount, row.gas_used = one.mined.gross_amount, one.mined.gas_used
        row.gas_cost_wei, row.bid_wei, row.net_wei = one.gas_wei, one.bid_wei, one.net_landed_wei
        row.value_wei = row.net_wei + row.gas_cost_wei + row.bid_wei
    if one.bundle is not None:
        row.bundle_hash = bundle_digest(one.bundle)
    if one.signed is not None:
        row.transaction_hash = to_data(one.signed.hash)
    return row
