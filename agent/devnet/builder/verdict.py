"""Judging a bundle by the block it was mined in."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.devnet.builder.block import BlockMaker, MinedBlock
from agent.devnet.builder.bundles import Bundle
from agent.devnet.builder.rules import Commit, Execution, Fate, Reason, decide_transaction
from agent.devnet.pending import PendingTransaction
from agent.eth.units import Hash32
from agent.sim.simulator import BlockEnv


class Verdict(msgspec.Struct, frozen=True):
    """`reason` None: the bundle stands as it is. `leave_out`: listed transactions to be tried without."""

    reason: Reason | None = None
    detail: str = ""
    leave_out: tuple[Hash32, ...] = ()


async def judge(
    maker: BlockMaker,
    block: MinedBlock,
    bundle: Bundle,
    own: Sequence[PendingTransaction],
    env: BlockEnv,
    *,
    behind: Hash32 | None = None,
) -> Verdict:
    """Whether `own`, what is left of the bundle's transactions, stands in the block as its sender allows.

    `behind` is the transaction that must stand directly before them; None: they open the block. The first transaction
    that does not fit decides.
    """
    fates: list[Fate] = [Fate.DROPPED] * (len(bundle.transactions) - len(own))
    place = -1 if behind is None else block.index(behind)
    for transaction in own:
        listed = bundle.listed(transaction.hash)
        index = block.index(transaction.hash)
        if index is None:
            decision = decide_transaction(Execution.INVALID, listed)
            if decision is Fate.DROPPED:
                return Verdict(leave_out=(transaction.hash,))
            return await _absent(maker, block, transaction, env, place)
        if place is not None and index != place + 1:
            # A transaction with a nonce gap waits in the node's pool and lands further down.
            decision = decide_transaction(Execution.INVALID, listed)
            if decision is Fate.DROPPED:
                return Verdict(leave_out=(transaction.hash,))
            return Verdict(Reason.NOT_AT_ITS_PLACE, f"landed at {index}, not at {place + 1}")
        place = index
        execution = Execution.OK if block.has_succeeded(transaction.hash) else Execution.REVERT
        decision = decide_transaction(execution, listed)
        if decision is Fate.DROPPED:
            return Verdict(leave_out=(transaction.hash,))
        if isinstance(decision, Reason):
            return Verdict(decision, f"transaction 0x{transaction.hash.hex()} reverted")
        fates.append(decision)
    commit = Commit(tuple(fates), None if any(fate is not Fate.DROPPED for fate in fates) else Reason.EMPTY_BUNDLE)
    return Verdict(commit.reason, "nothing of it was executed" if commit.reason else "")


async def _absent(
    maker: BlockMaker, block: MinedBlock, transaction: PendingTransaction, env: BlockEnv, place: int | None
) -> Verdict:
    name = f"transaction 0x{transaction.hash.hex()}"
    used = block.gas_before(place + 1) if place is not None else 0
    if used + transaction.gas_limit > env.gas_limit:
        left = env.gas_limit - used
        return Verdict(Reason.GAS_LEFT, f"{name}: gas limit {transaction.gas_limit} does not fit {left}")
    if transaction.hash in block.refused:
        said, is_unknown = block.refused[transaction.hash], False
    else:
        said, is_unknown = await maker.explain(transaction, env)
    return Verdict(Reason.STATE_UNKNOWN if is_unknown else Reason.INVALID_TRANSACTION, f"{name}: {said}")
