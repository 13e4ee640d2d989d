"""What the core is told of an opportunity: once as found, once as executed."""

from __future__ import annotations

from agent.core.events.chain import CandidateExecuted, OpportunityFound
from agent.engine.candidate import Candidate
from agent.engine.executor import is_plan
from agent.engine.tracked import Target
from agent.eth.hexes import to_data
from agent.sim.simulator import BlockEnv, Call
from agent.strategies.arb.opportunity import Opportunity


def found_event(
    opportunity: Opportunity, env: BlockEnv, *, head_hash: str, target: Target | None, is_asked: bool
) -> OpportunityFound:
    """A search result for the block `env`, at the state it names."""
    return OpportunityFound(
        id=opportunity.id,
        target_number=env.number,
        head_hash=head_hash,
        after_index=opportunity.state.after_index,
        target_transaction=None if target is None else to_data(target.hash),
        pools=tuple(to_data(pool) for pool in opportunity.pools),
        gross_amount=opportunity.gross_amount,
        before_amount=opportunity.before_amount,
        is_asked=is_asked,
    )


def executed_event(candidate: Candidate, env: BlockEnv, *, head_hash: str, call: Call | None) -> CandidateExecuted:
    """How it went when executed; `call` is what would be signed, None where there are no terms to send it on."""
    execution, terms = candidate.execution, candidate.terms
    gas_limit = terms.gas_limit if terms else execution.gas_used
    return CandidateExecuted(
        id=candidate.opportunity.id,
        head_hash=head_hash,
        is_success=execution.is_success,
        quoted_amount=candidate.opportunity.gross_amount,
        executed_amount=execution.gross_amount,
        value_wei=candidate.value_wei,
        gas_used=execution.gas_used,
        gas_cost_wei=candidate.gas_cost_wei(env.base_fee_wei),
        gas_limit_cost_wei=gas_limit * candidate.gas_price_wei(env.base_fee_wei),
        bid_wei=candidate.bid_wei,
        missing=len(execution.missing),
        refused=execution.refused,
        verdict=candidate.verdict or "",
        verdict_detail=candidate.verdict_detail,
        has_terms=terms is not None,
        is_plan=call is None or terms is None or is_plan(call.data, candidate.opportunity, terms),
        base_fee_wei=env.base_fee_wei,
        fee_cap_wei=0 if terms is None else terms.max_fee_wei,
    )
