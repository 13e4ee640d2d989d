"""After a block of the devnet's builder: which of our bundles are in it, and why the others are not."""

from __future__ import annotations

from agent.devnet.builder import BuiltBlock
from agent.engine.booking import book, landed_transaction
from agent.engine.executor import Executor
from agent.engine.hunter import Hunter
from agent.engine.result import BlockResult, RunResult
from agent.eth.hexes import to_data


def settle_block(
    hunter: Hunter, built: BuiltBlock, result: RunResult, executor: Executor, *, base_fee_wei: int, pools_touched: int
) -> None:
    """Close every bundle that was sent for this block, by the chain's figures or the builder's reason, and list it."""
    drops = {str(drop.bundle.uuid): drop for drop in built.drops}
    for one in list(hunter.tracked.values()):
        if one.outcome != "sent":
            continue
        mined = landed_transaction(one, built.receipts, executor, base_fee_wei=base_fee_wei)
        if mined is not None:
            book(hunter, one, mined, result)
            continue
        drop = drops.get(str(one.bundle.replacement_uuid)) if one.bundle else None
        why = f"{drop.reason}: {drop.detail}" if drop else "not in its block"
        hunter.on_ended(one, outcome="missed", reason=why, gas_paid_wei=0, bid_paid_wei=0, net_wei=0)
    result.blocks.append(
        BlockResult(
            number=built.number,
            hash=to_data(built.hash),
            base_fee_wei=base_fee_wei,
            transactions=len(built.receipts),
            pools_touched=pools_touched,
        )
    )
