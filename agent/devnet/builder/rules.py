"""The decisions of a block builder that need no chain: pure functions over integers.

Source: flashbots/rbuilder (order commit, sorting, replacement). Amounts are wei, percentages whole numbers.
Reasons are rbuilder's own names, so that a searcher finds them in its documentation and code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

KEPT_VALUE_PERCENT = 95
"""An order must keep this share of its top-of-block value at its place."""
MAX_TRANSACTION_GAS = 2**24
"""EIP-7825, from Osaka on."""


class Reason(StrEnum):
    """Why a bundle is not in a block. Each is final for that block unless said otherwise."""

    TARGET_BLOCK_INCORRECT = "TargetBlockIncorrect"
    INCORRECT_TIMESTAMP = "IncorrectTimestamp"
    INVALID_TRANSACTION = "InvalidTransaction"
    """Nonce, funds or fee: the transaction could not be executed at all."""
    TRANSACTION_REVERTED = "TransactionReverted"
    EMPTY_BUNDLE = "EmptyBundle"
    NEGATIVE_PROFIT = "NegativeProfit"
    NO_PROFIT = "NoProfit"
    """It executes and pays the builder nothing; such an order is never built."""
    NOT_ENOUGH_REFUND_FOR_GAS = "NotEnoughRefundForGas"
    LOWER_INSERTED_VALUE = "LowerInsertedValue"
    GAS_LEFT = "GasLeft"
    """The transactions' gas limits do not fit what is left of the block."""
    BLOCKED_ADDRESS = "BlockedAddress"
    TARGET_NOT_IN_BLOCK = "TargetNotInBlock"
    """Archived order: the transaction to be backrun is not in the block (any more)."""
    NOT_AT_ITS_PLACE = "NotAtItsPlace"
    """Archived order: other transactions would have come between its own."""
    STATE_UNKNOWN = "StateUnknown"
    """The world lacks state that the bundle touches: neither profit nor loss."""
    LOST_TO_OTHER_BUILDER = "LostToOtherBuilder"
    LOCAL_BLOCK = "LocalBlock"
    """The proposer built for itself, from the mempool alone."""
    EMPTY_PAYLOAD = "EmptyPayload"
    CANCELLED = "Cancelled"
    REPLACED = "Replaced"
    EXPIRED = "Expired"
    """No block that it may go into can come any more."""


class Ordering(StrEnum):
    """How a builder ranks orders."""

    ARCHIVED = "archived"
    """The block's own order; bundles at their places."""
    PROFIT = "profit"
    GAS_PRICE = "gas-price"


class Winner(StrEnum):
    """Whose block the slot gets. Only ours holds bundles; the others are scripted, to rehearse a loss."""

    OURS = "ours"
    OTHER_BUILDER = "other builder"
    LOCAL = "local"
    EMPTY = "empty"


LOSSES = {
    Winner.OTHER_BUILDER: Reason.LOST_TO_OTHER_BUILDER,
    Winner.LOCAL: Reason.LOCAL_BLOCK,
    Winner.EMPTY: Reason.EMPTY_PAYLOAD,
}


class Worth(msgspec.Struct, frozen=True, gc=False):
    """What an order paid the builder, and the gas it burnt, where it was executed."""

    order_id: str
    profit_wei: int
    gas_used: int


def sorting_value(worth: Worth, ordering: Ordering) -> int:
    """Wei, or wei per gas rounded down."""
    if ordering is Ordering.GAS_PRICE:
        return worth.profit_wei // worth.gas_used if worth.gas_used else 0
    return worth.profit_wei


def rank(orders: Iterable[Worth], ordering: Ordering) -> list[Worth]:
    """Best first, ties by id; orders that pay nothing are left out."""
    paying = (order for order in orders if order.profit_wei > 0 and order.gas_used > 0)
    return sorted(paying, key=lambda order: (-sorting_value(order, ordering), order.order_id))


def keeps_value(*, top: int, in_place: int) -> bool:
    """Whether a sorting value is still KEPT_VALUE_PERCENT of what it was at the top of the block."""
    return in_place * 100 >= top * KEPT_VALUE_PERCENT


def check_target(
    *, bundle_block: int | None, min_timestamp: int, max_timestamp: int, block: int, timestamp: int
) -> Reason | None:
    """Whether a bundle may go into this block. Bounds are inclusive; maximum 0 means none, no block means any."""
    if bundle_block is not None and bundle_block != block:
        return Reason.TARGET_BLOCK_INCORRECT
    if timestamp < min_timestamp or (max_timestamp and timestamp > max_timestamp):
        return Reason.INCORRECT_TIMESTAMP
    return None


class Execution(StrEnum):
    """How one transaction ended at its place."""

    OK = "ok"
    REVERT = "revert"
    INVALID = "invalid"


class Listed(StrEnum):
    """Which permission a bundle gives for one of its transactions."""

    NONE = "none"
    REVERTING = "reverting"
    DROPPING = "dropping"
    BOTH = "both"


class Fate(StrEnum):
    """What becomes of one transaction of a bundle."""

    KEPT = "kept"
    KEPT_REVERTED = "kept reverted"
    DROPPED = "dropped"


class Commit(msgspec.Struct, frozen=True):
    """The verdict over a bundle: `reason` is None when it goes in. `fates` ends at the transaction that failed it."""

    fates: tuple[Fate, ...]
    reason: Reason | None = None


def decide_transaction(execution: Execution, listed: Listed) -> Fate | Reason:
    """What one transaction does to its bundle. Dropping is tested before reverting.

    An invalid transaction on the reverting list is left out, as in rbuilder's usual mode.
    """
    if execution is Execution.OK:
        return Fate.KEPT
    may_drop = listed in (Listed.DROPPING, Listed.BOTH)
    if execution is Execution.REVERT:
        if may_drop:
            return Fate.DROPPED
        return Fate.KEPT_REVERTED if listed is Listed.REVERTING else Reason.TRANSACTION_REVERTED
    return Fate.DROPPED if may_drop or listed is Listed.REVERTING else Reason.INVALID_TRANSACTION


def decide_commit(transactions: Sequence[tuple[Execution, Listed]]) -> Commit:
    """The verdict over a whole bundle, whose transactions ended as given."""
    fates: list[Fate] = []
    for execution, listed in transactions:
        verdict = decide_transaction(execution, listed)
        if isinstance(verdict, Reason):
            return Commit(tuple(fates), verdict)
        fates.append(verdict)
    is_empty = all(fate is Fate.DROPPED for fate in fates)
    return Commit(tuple(fates), Reason.EMPTY_BUNDLE if is_empty else None)
