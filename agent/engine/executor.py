"""The executor as the engine knows it: where it is, who may call it, and the call that runs an opportunity."""

from __future__ import annotations

import msgspec

from agent.eth.units import Address, Hash32
from agent.sim.simulator import Call
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.plan import Plan, PlanError, decode_run, encode_run

GAS_BASE = 200_000
GAS_PER_LEG = 350_000
"""Upper guesses for the first simulation only; the measured gas sets the real limit."""


class Executor(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed executor. `vault` receives profit, `operators` may run it, each with one live bundle per block."""

    address: Address
    build: str
    code_hash: Hash32
    vault: Address
    weth: Address
    operators: tuple[Address, ...]


class Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a run offers and demands. `floor_amount` is in the start token and includes gas."""

    payment_bps: int
    floor_amount: int
    max_fee_wei: int
    max_priority_fee_wei: int
    gas_limit: int
    last_block: int
    parent_hash: Hash32 | None


def provisional_gas_limit(opportunity: Opportunity) -> int:
    """Gas for a first simulation, far above need."""
    return GAS_BASE + GAS_PER_LEG * len(opportunity.legs)


def calldata(opportunity: Opportunity, terms: Terms | None, *, last_block: int) -> bytes:
    """What the executor is called with; `terms` None demands and offers nothing, which measures and is never signed."""
    return encode_run(
        Plan(
            start_token=opportunity.start_token,
            legs=opportunity.legs,
            last_block=last_block,
            parent_hash=None if terms is None else terms.parent_hash,
            payment_bps=0 if terms is None else terms.payment_bps,
            floor_amount=0 if terms is None else terms.floor_amount,
        )
    )


def is_plan(data: bytes, opportunity: Opportunity, terms: Terms) -> bool:
    """Whether calldata, read as the contract reads it, does this opportunity on these terms and nothing else."""
    try:
        packed = decode_run(data)
    except PlanError:
        return False
    legs = opportunity.legs
    return (
        packed.start_token in (None, opportunity.start_token)
        and packed.amount_in == legs[0].amount_in
        and packed.lender == len(legs) - 1
        and packed.lent_token is None
        and (packed.last_block, packed.parent_hash) == (terms.last_block, terms.parent_hash)
        and (packed.payment_bps, packed.floor_amount) == (terms.payment_bps, terms.floor_amount)
        and len(packed.legs) == len(legs)
        and all(
            (one.pool, one.is_v3_style, one.is_zero_for_one, one.amount)
            == (
                leg.pool,
                leg.kind == "v3",
                leg.token_in < leg.token_out,
                leg.amount_in if leg.kind == "v3" else leg.amount_out,
            )
            for one, leg in zip(packed.legs, legs, strict=True)
        )
    )


def run_call(executor: Executor, opportunity: Opportunity, terms: Terms, *, operator: Address, nonce: int) -> Call:
    """The transaction that runs the opportunity, unsigned."""
    return Call(
        sender=operator,
        to=executor.address,
        data=calldata(opportunity, terms, last_block=terms.last_block),
        gas=terms.gas_limit,
        nonce=nonce,
        max_fee_wei=terms.max_fee_wei,
        max_priority_fee_wei=terms.max_priority_fee_wei,
    )
