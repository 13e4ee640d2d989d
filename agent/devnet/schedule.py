"""The best set of bundles for a block that is known whole: each sized and executed at its own place among the others.

Opportunities that share no pool simply add up, and the best set of those is the start. Further ones may still pay
behind our own: an arbitrage taken at the top leaves a later one where the archived block left it when somebody else took
the first. So every set is played through in block order, each member sized anew on the state that the members before
it leave, and a member is kept where the whole set then earns more. What is kept was mined in place, to the last gas unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.devnet.case_world import CaseWorld, logs_of
from agent.dex.pool_set import PoolSet
from agent.engine.candidate import Appraiser, Candidate
from agent.engine.execution import Seat
from agent.engine.tracked import Tracked
from agent.eth.hexes import from_quantity, to_data
from agent.eth.keys import SignedTransaction, Signer, sign_dynamic_fee
from agent.eth.units import Hash32
from agent.strategies.arb.opportunity import Cycle, Hop, Opportunity
from agent.strategies.arb.select import best_compatible
from agent.strategies.arb.sizing import finest_size, legs_of, route_of

TRIED = 24
"""Further members that are tried, the most valuable first: each trial mines the block's prefix once for each member."""


class Scheduled(msgspec.Struct, frozen=True):
    """A member of a set, as it stands in the block."""

    tracked: Tracked
    candidate: Candidate
    signed: SignedTransaction
    behind: tuple[str, ...]


async def best_schedule(world: CaseWorld, appraiser: Appraiser, held: Sequence[Tracked]) -> list[Scheduled]:
    """The set that earns most, in block order; at most one member for each operator key."""
    start = best_compatible([one.opportunity.pools for one in held], [one.net_wei for one in held])
    keys = len(world.identities.operators)
    best = await _play(world, appraiser, [held[i] for i in start.chosen][:keys])
    for one in held[:TRIED]:
        chosen = [member.tracked for member in best]
        if one in chosen or len(chosen) == keys:
            continue
        trial = await _play(world, appraiser, [*chosen, one])
        if _net(world, trial) > _net(world, best):
            best = trial
    return best


def _net(world: CaseWorld, members: Sequence[Scheduled]) -> int:
    return sum(member.candidate.net_wei(world.node.env.base_fee_wei) for member in members)


async def _play(world: CaseWorld, appraiser: Appraiser, members: Sequence[Tracked]) -> list[Scheduled]:
    """Each member at its place, in block order, without those that do not pay there; empty where the rest fails."""
    ordered = sorted(members, key=lambda one: (_place(one), -_bid(one), one.opportunity.id))
    placed: list[Scheduled] = []
    for one in ordered:
        signer = world.identities.operators[len(placed)]
        candidate = one.candidate if not placed else await _appraised_behind(world, appraiser, one, placed, signer)
        if candidate is not None and candidate.terms is not None:
            behind = tuple(member.tracked.opportunity.id for member in placed)
            placed.append(Scheduled(one, candidate, _sign(world, appraiser, candidate, signer), behind))
    return placed if await _holds(world, placed) else []


def _place(one: Tracked) -> int:
    """Index of the target; -1 for the top of the block."""
    if one.target is None:
        return -1
    assert one.target.index is not None, "in a case every target has its place"
    return one.target.index


def _bid(one: Tracked) -> int:
    return 0 if one.candidate is None else one.candidate.bid_wei


async def _appraised_behind(
    world: CaseWorld, appraiser: Appraiser, one: Tracked, placed: Sequence[Scheduled], signer: Signer
) -> Candidate | None:
    """The member sized and executed on the block's prefix with the placed ones in it."""
    await world.node.mine_raw(_sequence(world, placed, until=one))
    pools = world.pools
    for receipt in await world.node.block_receipts():
        pools, _ = pools.apply(logs_of(receipt))
    resized = _resized(one.opportunity, pools)
    if resized is None:
        return None
    seat = Seat((), signer.address, 0)
    [candidate] = await appraiser.appraise([resized], world.node.env, pools, seat=seat)
    is_exact = candidate.execution.is_known and candidate.execution.gross_amount == resized.gross_amount
    return candidate if is_exact else None


def _resized(opportunity: Opportunity, pools: PoolSet) -> Opportunity | None:
    cycle = Cycle(tuple(Hop(leg.pool, leg.token_in, leg.token_out) for leg in opportunity.legs))
    route = route_of(cycle, pools)
    sized = None if route is None else finest_size(route)
    if route is None or sized is None:
        return None
    return msgspec.structs.replace(
        opportunity,
        legs=legs_of(cycle, route, sized.amounts),
        gross_amount=sized.gross,
        upper_bound_amount=sized.upper_bound,
        limited_by_state=sized.limited_by_state,
    )


def _sequence(world: CaseWorld, placed: Sequence[Scheduled], *, until: Tracked | None) -> list[bytes]:
    """The block's transactions with the placed ones behind their targets; up to the place of `until`."""
    behind: dict[Hash32 | None, list[bytes]] = {}
    for member in placed:
        target = member.tracked.target
        behind.setdefault(None if target is None else target.hash, []).append(member.signed.raw)
    sequence = list(behind.get(None, ()))
    last = None if until is None else _place(until)
    for transaction in world.node.transactions:
        if last is not None and transaction.index > last:
            break
        sequence.append(transaction.raw)
        sequence += behind.get(transaction.hash, ())
    return sequence


async def _holds(world: CaseWorld, placed: Sequence[Scheduled]) -> bool:
    """Whether every member does in the whole block what was predicted of it, to the last gas unit."""
    if not placed:
        return True
    await world.node.mine_raw(_sequence(world, placed, until=None))
    receipts = {row["transactionHash"]: row for row in await world.node.block_receipts()}
    for member in placed:
        row = receipts.get(to_data(member.signed.hash))
        if row is None or from_quantity(row["status"]) != 1:
            return False
        if from_quantity(row["gasUsed"]) != member.candidate.execution.gas_used:
            return False
    return True


def _sign(world: CaseWorld, appraiser: Appraiser, candidate: Candidate, signer: Signer) -> SignedTransaction:
    call = appraiser.call(candidate, operator=signer.address, nonce=0)
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
