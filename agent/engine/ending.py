"""When a block has come: what became of each bundle that was meant for it.

The chain decides, then replays, then what relays said (`venues.onchain.outcomes`). A bundle that is not there is
replayed on the parent state, and behind the transaction that moved its pools first, which tells a rival from a bundle
that never reached the builder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.engine.booking import book, landed_transaction
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.result import Ending, Rival, RunResult
from agent.engine.tracked import Tracked
from agent.eth.hexes import to_data
from agent.eth.units import Hash32
from agent.sim.simulator import BlockEnv, Call, Simulation, Simulator
from agent.venues.onchain.outcomes import Decision, Evidence, Outcome, Replay, decide
from agent.venues.onchain.tracker import MinedBlock, PoolKey, find_rival, landings
from agent.venues.onchain.tracker import Rival as SeenRival


class Aftermath(msgspec.Struct, frozen=True, kw_only=True):
    """A block, and what is needed to ask why something is not in it. `simulator` stands on the parent."""

    block: MinedBlock
    receipts: tuple[Mapping[str, Any], ...]
    calls: tuple[Call, ...]
    """The block's own transactions, in order."""
    env: BlockEnv
    simulator: Simulator | None


async def end_bundles(
    hunter: Hunter, after: Aftermath, executor: Executor, result: RunResult, *, missed_as: Ending | None = None
) -> None:
    """Book what landed, and give everything else that was sent for this block its outcome.

    `missed_as` replaces the outcome's own word for what did not land (a case has no next block: `expired`).
    """
    ours = {one.signed.hash for one in hunter.tracked.values() if one.signed is not None}
    for one in hunter.sent():
        mined = landed_transaction(one, after.receipts, executor, base_fee_wei=after.block.base_fee_wei)
        if mined is not None:
            book(hunter, one, mined, result, is_state_known=missed_as is not None)
            continue
        rival = _rival(one, after.block, ours)
        decision = decide(await _evidence(hunter, one, after, rival))
        if one.is_replaced:
            decision = Decision(Outcome.REPLACED, "a better bundle took over its key and nonce")
        if rival is not None:
            paid_wei = rival.payment.paid_wei
            one.rival = Rival(transaction=to_data(rival.transaction), index=rival.index, paid_wei=paid_wei)
        hunter.on_ended(
            one,
            outcome=missed_as or decision.outcome,
            reason=f"{decision.outcome.value}: {decision.reason}" if missed_as else decision.reason,
            gas_paid_wei=0,
            bid_paid_wei=0,
            net_wei=0,
        )


def _rival(one: Tracked, block: MinedBlock, ours: set[Hash32]) -> SeenRival | None:
    pools = [PoolKey(pool) for pool in one.opportunity.pools]
    target = None if one.target is None else one.target.hash
    return find_rival(block, pools=pools, ours=ours, target=target)


async def _evidence(hunter: Hunter, one: Tracked, after: Aftermath, rival: SeenRival | None) -> Evidence:
    assert one.bundle is not None and one.claim is not None and one.candidate is not None
    assert one.candidate.terms is not None and one.signed is not None
    return Evidence(
        target_block=one.bundle.block_number,
        head_block=after.block.number,
        # The target is not ours: that it was mined without us is what missing it means.
        landings=landings(after.block, [one.signed.hash]),
        first_nonce=one.claim.nonce,
        max_fee_wei=one.candidate.terms.max_fee_wei,
        target_base_fee_wei=after.block.base_fee_wei,
        target_timestamp_s=after.block.timestamp_s,
        target_gas_left=after.block.gas_limit - after.block.gas_used,
        gas_limit_sum=one.candidate.terms.gas_limit,
        replays=await _replays(hunter, one, after, rival),
        replies=tuple(one.replies.values()),
        is_cancel_requested=one.is_withdrawn,
        is_replaced=one.is_replaced,
    )


async def _replays(hunter: Hunter, one: Tracked, after: Aftermath, rival: SeenRival | None) -> tuple[Replay, ...]:
    """Alone on the parent's state (its target before it), and in the block right behind the rival."""
    if after.simulator is None:
        return ()
    own = hunter.call_of(one)
    alone = (own,) if one.target is None else (*one.target.calls, own)
    sequences: list[tuple[Call, ...]] = [alone]
    if rival is not None:
        sequences.append((*after.calls[: rival.index + 1], own))
    simulations = await after.simulator.simulate(sequences, after.env)
    places = (None, None if rival is None else rival.index)
    return tuple(_replay(simulation, after_index=place) for simulation, place in zip(simulations, places, strict=False))


def _replay(simulation: Simulation, *, after_index: int | None) -> Replay:
    if simulation.refused or not simulation.calls:
        return Replay(after_index, Outcome.SIM_INVALID_TX, 0)
    if not simulation.calls[-1].is_success:
        return Replay(after_index, Outcome.SIM_REVERTED, 0)
    return Replay(after_index, None, max(1, simulation.calls[-1].gas_used))


def block_calls(transactions: Sequence[Call]) -> tuple[Call, ...]:
    """The transactions of a block as calls without nonces: what stood between them and their senders is not asked."""
    return tuple(msgspec.structs.replace(call, nonce=None) for call in transactions)
