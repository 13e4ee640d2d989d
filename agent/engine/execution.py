"""Execute opportunities on the state they were found at, and say what really happens.

The first execution runs with payment and floor zero: it measures the gross profit and the gas. Gross is what the
executor measures on its own balance and returns; nothing is taken from a quote.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.engine.executor import Executor, Terms, provisional_gas_limit, run_call
from agent.engine.reverts import revert_text
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, Override, Simulation, Simulator, Slot
from agent.strategies.arb.opportunity import Opportunity
from agent.strategies.arb.plan import decode_result


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How [target, ours] ended. Amounts in the start token; all zero where it reverts or could not run."""

    is_success: bool
    gross_amount: int
    payment_wei: int
    gas_used: int
    missing: tuple[Slot, ...]
    assumed: tuple[Slot, ...]
    refused: str
    error: str

    @property
    def is_known(self) -> bool:
        return not self.missing and not self.refused


def measuring_terms(opportunity: Opportunity, env: BlockEnv) -> Terms:
    """Terms that demand and offer nothing: for measuring only, never signed."""
    return Terms(
        payment_bps=0,
        floor_amount=0,
        max_fee_wei=env.base_fee_wei,
        max_priority_fee_wei=0,
        gas_limit=provisional_gas_limit(opportunity),
        last_block=env.number,
        parent_hash=None,
    )


class Seat(msgspec.Struct, frozen=True):
    """Where in a block our transaction sits, and who signs it. `before` runs first, where the state lacks it."""

    before: tuple[Call, ...]
    operator: Address
    nonce: int


async def execute(
    simulator: Simulator,
    env: BlockEnv,
    executor: Executor,
    runs: Sequence[tuple[Opportunity, Terms]],
    *,
    seat: Seat,
    assume: frozenset[Slot] = frozenset(),
    overrides: tuple[Override, ...] = (),
) -> list[Execution]:
    """Each run alone on the same state, in the same seat."""
    sequences = [seated(executor, opportunity, terms, seat) for opportunity, terms in runs]
    simulations = await simulator.simulate(sequences, env, assume=assume, overrides=overrides)
    return [execution_of(simulation, position=len(seat.before)) for simulation in simulations]


def seated(executor: Executor, opportunity: Opportunity, terms: Terms, seat: Seat) -> tuple[Call, ...]:
    """What runs: the calls before ours, then ours."""
    return (*seat.before, run_call(executor, opportunity, terms, operator=seat.operator, nonce=seat.nonce))


def execution_of(simulation: Simulation, *, position: int) -> Execution:
    """How our call ended, `position` calls having run before it."""
    if not simulation.calls:
        return _nothing(simulation, refused=simulation.refused, error="")
    ours = simulation.calls[position]
    if not ours.is_success:
        return _nothing(simulation, refused=simulation.refused, error=revert_text(ours.return_data))
    gross_amount, payment_wei = decode_result(ours.return_data)
    return Execution(
        is_success=True,
        gross_amount=gross_amount,
        payment_wei=payment_wei,
        gas_used=ours.gas_used,
        missing=simulation.missing,
        assumed=simulation.assumed,
        refused=simulation.refused,
        error="",
    )


def _nothing(simulation: Simulation, *, refused: str, error: str) -> Execution:
    gas_used = simulation.calls[-1].gas_used if simulation.calls else 0
    return Execution(
        is_success=False,
        gross_amount=0,
        payment_wei=0,
        gas_used=gas_used,
        missing=simulation.missing,
        assumed=simulation.assumed,
        refused=refused,
        error=error,
    )
