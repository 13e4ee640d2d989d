"""What a built block tells: who is in it, who is not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agent.devnet.builder.bundles import Bundle
from agent.devnet.builder.rules import Ordering, Reason
from agent.eth.units import Hash32


class Placement(msgspec.Struct, frozen=True):
    """A bundle that is in the block."""

    bundle: Bundle
    indices: tuple[int, ...]
    """Positions of its transactions; those of the mempool among them included."""
    payment_wei: int
    """What the fee recipient's balance gained by the bundle's own transactions, before any refund."""
    dropped: tuple[Hash32, ...] = ()
    """Transactions left out, as the bundle allows."""
    refund_wei: int = 0
    """Paid back at the end of the block."""


class Drop(msgspec.Struct, frozen=True):
    """A bundle that is not in the block."""

    bundle: Bundle
    reason: Reason
    detail: str = ""


class BuiltBlock(msgspec.Struct, frozen=True):
    """One block as it stands on the node. Receipts are the node's own objects, in order."""

    number: int
    hash: Hash32
    ordering: Ordering
    receipts: tuple[Mapping[str, Any], ...]
    placements: tuple[Placement, ...]
    drops: tuple[Drop, ...]
    evicted: tuple[Hash32, ...] = ()
    """Archived order: mempool transactions of the undisturbed block that did not fit any more."""
    newly_reverted: tuple[Hash32, ...] = ()
    """Archived order: mempool transactions that succeed in the undisturbed block and revert in this one."""
    left_out: Mapping[Hash32, str] = {}
    """Mempool transactions that are not in the block though nothing of ours stood in their way, and why."""
