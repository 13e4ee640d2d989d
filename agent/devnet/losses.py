"""Why a bundle of ours is not in the local block: the builder was there, and says more than the chain can."""

from __future__ import annotations

from agent.devnet.builder.outcome import BuiltBlock
from agent.engine.hunter import Hunter
from agent.venues.onchain.outcomes import Outcome

_UNEXPLAINED = frozenset({"expired", Outcome.EXPIRED_BLOCK.value})
"""What a bundle ends as where the chain gives no reason, and in a case always."""


def name_losses(hunter: Hunter, built: BuiltBlock) -> None:
    """Give each bundle of ours that this block lacks the builder's reason, where the chain gave none."""
    drops = {transaction.hash: drop for drop in built.drops for transaction in drop.bundle.transactions}
    for one in hunter.tracked.values():
        if one.signed is None or one.outcome not in _UNEXPLAINED:
            continue
        if (drop := drops.get(one.signed.hash)) is not None:
            one.reason = f"the builder left it out: {drop.reason}, {drop.detail}"
