"""Archived order: the block's own transactions as they were, bundles at the places they ask for.

A bundle whose first transactions are mempool transactions goes directly behind the last of these, its target; one
without a target goes to the top. Several at one place stand by payment, then by id. Each is executed in place, and
out it goes if it does not stand there; nothing of ours ever stands before somebody's target. The block keeps its
gas limit, so transactions pushed off the tail are listed, and so are those that revert only now.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.devnet.builder.block import BlockMaker, MinedBlock
from agent.devnet.builder.bundles import Bundle
from agent.devnet.builder.outcome import BuiltBlock, Drop, Placement
from agent.devnet.builder.rules import Listed, Ordering, Reason
from agent.devnet.builder.verdict import Verdict, judge
from agent.devnet.pending import PendingTransaction
from agent.eth.units import Hash32
from agent.sim.simulator import BlockEnv


class _Placed(msgspec.Struct):
    """A bundle at its place: `own` shrinks when a transaction is left out by permission."""

    bundle: Bundle
    target: Hash32 | None
    target_count: int
    own: list[PendingTransaction]
    rank_wei: int = 0
    dropped: tuple[Hash32, ...] = ()


async def build_archived(
    maker: BlockMaker,
    env: BlockEnv,
    *,
    public: Sequence[PendingTransaction],
    bundles: Sequence[Bundle],
    undisturbed: MinedBlock | None = None,
) -> tuple[BuiltBlock, MinedBlock]:
    """Build the block on the parent state where the node stands; it stands on the new block afterwards.

    `undisturbed` spares the execution of the block without bundles, where that is known.
    """
    drops: list[Drop] = []
    if undisturbed is None:
        undisturbed = await maker.make(public, env)
        if not bundles:
            await maker.keep(undisturbed)
            return _outcome(undisturbed, undisturbed, public, [], [], drops), undisturbed
        await maker.undo(undisturbed)
    placed = _find_places(public, bundles, drops)
    await _rank_at_each_place(maker, env, public, placed)
    while True:
        block = await maker.make(_sequence(public, placed), env)
        if (failed := await _first_failure(maker, env, block, placed, drops)) is None:
            payments = await _payments(maker, env, block, placed)
            if (failed := _unpaid(placed, payments, drops)) is None:
                break
        await maker.undo(block)
        if isinstance(failed, _Placed):
            placed.remove(failed)
    await maker.keep(block)
    return _outcome(block, undisturbed, public, placed, payments, drops), block


def _find_places(public: Sequence[PendingTransaction], bundles: Sequence[Bundle], drops: list[Drop]) -> list[_Placed]:
    order = {transaction.hash: i for i, transaction in enumerate(public)}
    placed = []
    for bundle in bundles:
        hashes = [transaction.hash for transaction in bundle.transactions]
        count = next((i for i, h in enumerate(hashes) if h not in order), len(hashes))
        targets, own = hashes[:count], list(bundle.transactions[count:])
        positions = [order[target] for target in targets]
        if positions and positions != list(range(positions[0], positions[0] + count)):
            drops.append(Drop(bundle, Reason.NOT_AT_ITS_PLACE, "its targets are not neighbours in the block"))
        elif any(transaction.hash in order for transaction in own):
            drops.append(Drop(bundle, Reason.NOT_AT_ITS_PLACE, "a mempool transaction would stand behind our own"))
        elif not own:
            drops.append(Drop(bundle, Reason.EMPTY_BUNDLE, "all of it is in the mempool"))
        else:
            placed.append(_Placed(bundle, targets[-1] if targets else None, count, own))
    return placed


async def _rank_at_each_place(
    maker: BlockMaker, env: BlockEnv, public: Sequence[PendingTransaction], placed: list[_Placed]
) -> None:
    """Order the bundles of one place by what each pays when it stands there alone, ties by id."""
    by_place: dict[Hash32 | None, list[_Placed]] = {}
    for entry in placed:
        by_place.setdefault(entry.target, []).append(entry)
    for target, rivals in by_place.items():
        if len(rivals) == 1:
            continue
        end = 0 if target is None else next(i for i, tx in enumerate(public) if tx.hash == target) + 1
        for rival in rivals:
            block = await maker.make([*public[:end], *rival.own], env)
            hashes = [transaction.hash for transaction in rival.own]
            rival.rank_wei = sum((await maker.payments(block, hashes, env.fee_recipient)).values())
            await maker.undo(block)
    placed.sort(key=lambda entry: (-entry.rank_wei, str(entry.bundle.uuid)))


def _sequence(public: Sequence[PendingTransaction], placed: Sequence[_Placed]) -> list[PendingTransaction]:
    by_place: dict[Hash32 | None, list[PendingTransaction]] = {}
    for entry in placed:
        by_place.setdefault(entry.target, []).extend(entry.own)
    sequence = list(by_place.get(None, ()))
    for transaction in public:
        sequence.append(transaction)
        sequence += by_place.get(transaction.hash, ())
    return sequence


async def _first_failure(
    maker: BlockMaker, env: BlockEnv, block: MinedBlock, placed: list[_Placed], drops: list[Drop]
) -> _Placed | bool | None:
    """The first bundle in the block that does not stand; True when one only shed a transaction; None when all do.

    One at a time: what stands behind a failed bundle may be right without it.
    """
    last_at: dict[Hash32 | None, Hash32 | None] = {}
    for entry in sorted(placed, key=lambda entry: _index(block, entry.target)):  # stable: their rank at one place stays
        behind = last_at.get(entry.target, entry.target)
        targets = entry.bundle.transactions[: entry.target_count]
        if (verdict := _judge_targets(block, entry.bundle, targets)) is not None:
            drops.append(Drop(entry.bundle, verdict.reason or Reason.TARGET_NOT_IN_BLOCK, verdict.detail))
            return entry
        verdict = await judge(maker, block, entry.bundle, entry.own, env, behind=behind)
        if verdict.leave_out:
            entry.own = [transaction for transaction in entry.own if transaction.hash not in verdict.leave_out]
            entry.dropped += verdict.leave_out
            if entry.own:
                return True
            drops.append(Drop(entry.bundle, Reason.EMPTY_BUNDLE, "every transaction of its own was left out"))
            return entry
        if verdict.reason is not None:
            drops.append(Drop(entry.bundle, verdict.reason, verdict.detail))
            return entry
        last_at[entry.target] = entry.own[-1].hash
    return None


def _judge_targets(block: MinedBlock, bundle: Bundle, targets: Sequence[PendingTransaction]) -> Verdict | None:
    for target in targets:
        name = f"target 0x{target.hash.hex()}"
        if target.hash not in block.index_by_hash:
            return Verdict(Reason.TARGET_NOT_IN_BLOCK, f"{name} is not in the block any more")
        if not block.has_succeeded(target.hash) and bundle.listed(target.hash) is Listed.NONE:
            return Verdict(Reason.TRANSACTION_REVERTED, f"{name} reverted")
    return None


def _index(block: MinedBlock, target: Hash32 | None) -> int:
    index = -1 if target is None else block.index(target)
    return len(block.receipts) if index is None else index


async def _payments(maker: BlockMaker, env: BlockEnv, block: MinedBlock, placed: Sequence[_Placed]) -> list[int]:
    payments = []
    for entry in placed:
        hashes = [transaction.hash for transaction in entry.own]
        payments.append(sum((await maker.payments(block, hashes, env.fee_recipient)).values()))
    return payments


def _unpaid(placed: Sequence[_Placed], payments: Sequence[int], drops: list[Drop]) -> _Placed | None:
    for entry, payment_wei in zip(placed, payments, strict=True):
        if payment_wei <= 0:
            reason = Reason.NEGATIVE_PROFIT if payment_wei < 0 else Reason.NO_PROFIT
            drops.append(Drop(entry.bundle, reason, f"it pays the builder {payment_wei} wei"))
            return entry
    return None


def _outcome(
    block: MinedBlock,
    undisturbed: MinedBlock,
    public: Sequence[PendingTransaction],
    placed: Sequence[_Placed],
    payments: Sequence[int],
    drops: Sequence[Drop],
) -> BuiltBlock:
    placements = []
    for entry, payment_wei in zip(placed, payments, strict=True):
        kept = [tx.hash for tx in entry.bundle.transactions if tx.hash not in entry.dropped]
        indices = tuple(index for h in kept if (index := block.index(h)) is not None)
        placements.append(Placement(entry.bundle, indices, payment_wei, entry.dropped))
    before = [transaction.hash for transaction in public if transaction.hash in undisturbed.index_by_hash]
    return BuiltBlock(
        number=block.number,
        hash=block.hash,
        ordering=Ordering.ARCHIVED,
        receipts=block.receipts,
        placements=tuple(sorted(placements, key=lambda placement: placement.indices)),
        drops=tuple(drops),
        evicted=tuple(h for h in before if h not in block.index_by_hash),
        newly_reverted=tuple(
            h for h in before if h in block.index_by_hash and undisturbed.has_succeeded(h) > block.has_succeeded(h)
        ),
        left_out={
            tx.hash: undisturbed.refused.get(tx.hash, "the node left it out of the undisturbed block")
            for tx in public
            if tx.hash not in undisturbed.index_by_hash
        },
    )
