"""Try a set of bundles on the whole block before any of them is sent, and keep the best set that holds.

Two opportunities without a common pool can still meet through somebody else's transaction between them. In a case the
block is known, so the set is mined in place, and whoever does not do there what it did alone gives way to the next
best.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.devnet.case_world import CaseWorld
from agent.engine.candidate import Appraiser
from agent.engine.hunter import Tracked
from agent.eth.hexes import from_quantity, to_data
from agent.eth.keys import SignedTransaction, sign_dynamic_fee
from agent.eth.units import Hash32
from agent.strategies.arb.select import best_compatible


async def best_set(world: CaseWorld, appraiser: Appraiser, held: Sequence[Tracked]) -> list[Tracked]:
    """The most valuable compatible set of which every member holds in the block, at most one for each operator key."""
    allowed = list(held)
    while True:
        pools = [one.opportunity.pools for one in allowed]
        chosen = [allowed[i] for i in best_compatible(pools, [one.net_wei for one in allowed]).chosen]
        chosen = sorted(chosen, key=lambda one: (-one.net_wei, one.opportunity.id))[: len(world.identities.operators)]
        if not chosen:
            return []
        failed = await _failed(world, appraiser, chosen)
        if not failed:
            return chosen
        # The least valuable that fails goes first: another one's failure may be its doing.
        worst = min(failed, key=lambda one: (one.net_wei, one.opportunity.id))
        allowed.remove(worst)


async def _failed(world: CaseWorld, appraiser: Appraiser, chosen: Sequence[Tracked]) -> list[Tracked]:
    signed = {one.opportunity.id: _sign(world, appraiser, one, position) for position, one in enumerate(chosen)}
    behind: dict[Hash32 | None, list[Tracked]] = {}
    for one in sorted(chosen, key=lambda one: (-_bid(one), one.opportunity.id)):
        behind.setdefault(None if one.target is None else one.target.hash, []).append(one)
    sequence = [signed[one.opportunity.id].raw for one in behind.get(None, ())]
    for transaction in world.node.transactions:
        sequence.append(transaction.raw)
        sequence += [signed[one.opportunity.id].raw for one in behind.get(transaction.hash, ())]
    await world.node.mine_raw(sequence)
    receipts = {row["transactionHash"]: row for row in await world.node.block_receipts()}
    failed = []
    for one in chosen:
        row = receipts.get(to_data(signed[one.opportunity.id].hash))
        assert one.candidate is not None, "only what was executed is held"
        is_as_alone = row is not None and from_quantity(row["status"]) == 1
        if row is None or not is_as_alone or from_quantity(row["gasUsed"]) != one.candidate.execution.gas_used:
            failed.append(one)
    return failed


def _bid(one: Tracked) -> int:
    return 0 if one.candidate is None else one.candidate.bid_wei


def _sign(world: CaseWorld, appraiser: Appraiser, one: Tracked, position: int) -> SignedTransaction:
    signer = world.identities.operators[position]
    assert one.candidate is not None
    call = appraiser.call(one.candidate, operator=signer.address, nonce=0)
    return sign_dynamic_fee(
        signer,
        chain_id=world.case.chain_id,
        nonce=0,
        max_priority_fee_wei=call.max_priority_fee_wei,
        max_fee_wei=call.max_fee_wei,
        gas=call.gas,
        to=call.to,
        value_wei=0,
        data=call.data,
    )
