"""How a submission ended: a closed list, and the order in which evidence decides.

The chain outranks a builder's statistics, and those outrank a relay's reply; a reply never proves inclusion
or exclusion. `decide` is a pure function of what was seen, so an outcome can be recomputed from the journal.
Deciding goes by steps: what the target block holds, the sender's nonce, its base fee, its timestamp, and last
replays of the bundle on the parent state and inside the block.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

LOWER_VALUE_PERCENT = 95
"""A builder undoes a bundle whose value where it is inserted fell under this share of its value alone."""


class Outcome(StrEnum):
    """Every way a submission can stand or end; `TRAITS` says of which kind each is."""

    ACCEPTED = "accepted"
    ACCEPTED_NO_RECEIPT = "accepted_no_receipt"
    REFUSED_AUTH = "refused_auth"
    REFUSED_INVALID = "refused_invalid"
    REFUSED_METHOD = "refused_method"
    REFUSED_RATE = "refused_rate"
    REFUSED_GEO = "refused_geo"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"
    SIM_INVALID_TX = "sim_invalid_tx"
    SIM_REVERTED = "sim_reverted"
    SIM_NO_PAYMENT = "sim_no_payment"
    SIM_REFUND_TOO_SMALL = "sim_refund_too_small"
    SIM_BLOCKLISTED = "sim_blocklisted"
    SIM_TIMESTAMP = "sim_timestamp"
    SIM_WRONG_BLOCK = "sim_wrong_block"
    UNDERPRICED_BASE_FEE = "underpriced_base_fee"
    LATE = "late"
    EXCLUDED_OUTBID = "excluded_outbid"
    EXCLUDED_LOWER_INSERTED_VALUE = "excluded_lower_inserted_value"
    EXCLUDED_GAS = "excluded_gas"
    NONCE_USED_ELSEWHERE = "nonce_used_elsewhere"
    BUILDER_LOST = "builder_lost"
    LOCAL_BLOCK = "local_block"
    QUOTE_MOVED = "quote_moved"
    SLOT_MISSED = "slot_missed"
    PAYLOAD_MISSED = "payload_missed"
    PAYLOAD_WITHHELD_EPBS = "payload_withheld_epbs"
    INCLUDED = "included"
    INCLUDED_WITH_ALLOWED_REVERT = "included_with_allowed_revert"
    INCLUDED_WITH_DROPPED_TX = "included_with_dropped_tx"
    INCLUDED_NONCONTIGUOUS = "included_noncontiguous"
    UNBUNDLED = "unbundled"
    INCLUDED_ELSEWHERE = "included_elsewhere"
    REORGED_OUT = "reorged_out"
    FINALIZED = "finalized"
    EXPIRED_BLOCK = "expired_block"
    EXPIRED_TIMESTAMP = "expired_timestamp"
    REPLACED = "replaced"
    CANCEL_REQUESTED = "cancel_requested"
    CANCEL_TOO_LATE = "cancel_too_late"
    REFUND_PENDING = "refund_pending"
    REFUND_RECEIVED = "refund_received"
    REFUND_MISSING = "refund_missing"


class Kind(StrEnum):
    """Which stage an outcome speaks of."""

    SUBMISSION = "submission"
    SIMULATION = "simulation"
    NOT_INCLUDED = "not_included"
    INCLUDED = "included"
    ANOMALY = "anomaly"
    """Something a private bundle must never see: alarm."""
    REORGED = "included->pending"
    CANCELLED = "cancelled"
    REFUND = "refund"


class Traits(NamedTuple):
    """The kind of an outcome, and whether nothing later can change it."""

    kind: Kind
    is_final: bool


_FINAL = {
    Kind.SUBMISSION: (
        Outcome.REFUSED_AUTH,
        Outcome.REFUSED_INVALID,
        Outcome.REFUSED_METHOD,
        Outcome.REFUSED_RATE,
        Outcome.REFUSED_GEO,
    ),
    Kind.SIMULATION: (
        Outcome.SIM_INVALID_TX,
        Outcome.SIM_REVERTED,
        Outcome.SIM_NO_PAYMENT,
        Outcome.SIM_REFUND_TOO_SMALL,
        Outcome.SIM_BLOCKLISTED,
        Outcome.SIM_TIMESTAMP,
        Outcome.SIM_WRONG_BLOCK,
    ),
    Kind.NOT_INCLUDED: (
        Outcome.UNDERPRICED_BASE_FEE,
        Outcome.LATE,
        Outcome.EXCLUDED_OUTBID,
        Outcome.EXCLUDED_LOWER_INSERTED_VALUE,
        Outcome.EXCLUDED_GAS,
        Outcome.NONCE_USED_ELSEWHERE,
        Outcome.BUILDER_LOST,
        Outcome.LOCAL_BLOCK,
        Outcome.QUOTE_MOVED,
        Outcome.EXPIRED_BLOCK,
        Outcome.EXPIRED_TIMESTAMP,
    ),
    Kind.INCLUDED: (Outcome.FINALIZED, Outcome.CANCEL_TOO_LATE),
    Kind.REFUND: (Outcome.REFUND_RECEIVED, Outcome.REFUND_MISSING),
}
_OPEN = {
    Kind.SUBMISSION: (Outcome.ACCEPTED, Outcome.ACCEPTED_NO_RECEIPT, Outcome.UNKNOWN, Outcome.DUPLICATE),
    Kind.NOT_INCLUDED: (Outcome.SLOT_MISSED, Outcome.PAYLOAD_MISSED, Outcome.PAYLOAD_WITHHELD_EPBS),
    Kind.INCLUDED: (
        Outcome.INCLUDED,
        Outcome.INCLUDED_WITH_ALLOWED_REVERT,
        Outcome.INCLUDED_WITH_DROPPED_TX,
    ),
    Kind.ANOMALY: (Outcome.INCLUDED_NONCONTIGUOUS, Outcome.UNBUNDLED, Outcome.INCLUDED_ELSEWHERE),
    Kind.REORGED: (Outcome.REORGED_OUT,),
    Kind.CANCELLED: (Outcome.REPLACED, Outcome.CANCEL_REQUESTED),
    Kind.REFUND: (Outcome.REFUND_PENDING,),
}

TRAITS: dict[Outcome, Traits] = {
    outcome: Traits(kind, is_final)
    for table, is_final in ((_FINAL, True), (_OPEN, False))
    for kind, members in table.items()
    for outcome in members
}
assert TRAITS.keys() == set(Outcome), "every outcome has its traits"


class Landing(msgspec.Struct, frozen=True, gc=False):
    """Where one of our transactions was mined, by its receipt."""

    block_number: int
    index: int
    is_success: bool


class Replay(msgspec.Struct, frozen=True, gc=False):
    """The bundle executed at one point: whether it ran, and what it paid the block's fee recipient (wei)."""

    after_index: int | None
    """None: on the parent's state; k: after transactions 0..k of the target block."""
    failure: Outcome | None
    """The simulation outcome that stopped it; None: it ran."""
    paid_wei: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that was seen of one bundle. None always means "not known", never "no"."""

    target_block: int
    head_block: int
    finalized_block: int = 0
    landings: tuple[Landing | None, ...]
    """For each transaction, in the bundle's order; None: no receipt at the head."""
    may_revert: frozenset[int] = frozenset()
    """Places in the bundle whose transaction may revert and stay."""
    may_drop: frozenset[int] = frozenset()
    """Places in the bundle whose transaction may be left out."""
    first_nonce: int
    sender_nonce_after_target: int | None = None
    max_fee_wei: int
    target_base_fee_wei: int | None = None
    target_timestamp_s: int | None = None
    min_timestamp_s: int | None = None
    max_timestamp_s: int | None = None
    target_gas_left: int | None = None
    """Gas limit less gas used of the target block."""
    gas_limit_sum: int = 0
    replays: tuple[Replay, ...] = ()
    """The first on the parent's state, then one after each prefix, in order; as far as they were made."""
    has_moving_quote: bool = False
    """A pool of the bundle is quoted inside the block by its maker."""
    was_landed: bool = False
    """It was seen mined before: without a receipt now, a reorg took it out."""
    was_sent_late: bool = False
    """By its own send time, or the receive time a service named, it came after the builder's last seal."""
    has_builder: bool | None = None
    """Whether a builder made the target block; False: the proposer's own."""
    is_reached_builder: bool | None = None
    """Whether the builder of the target block is one it was sent to."""
    replies: tuple[Outcome, ...] = ()
    """What each endpoint answered."""
    is_cancel_requested: bool = False
    is_replaced: bool = False


class Decision(NamedTuple):
    """An outcome, why, and the index in the target block of the transaction that stood in the way."""

    outcome: Outcome
    reason: str
    rival_index: int | None = None


def decide(evidence: Evidence) -> Decision:
    """The outcome that the evidence allows now; one that is not final asks for more evidence."""
    landed = [landing for landing in evidence.landings if landing is not None]
    if landed:
        return _decide_landed(evidence, landed)
    if evidence.was_landed:
        return Decision(Outcome.REORGED_OUT, "it was mined and is not any more; its transactions are public now")
    if evidence.head_block < evidence.target_block:
        return _decide_waiting(evidence)
    return _decide_missed(evidence)


def _decide_landed(evidence: Evidence, landed: list[Landing]) -> Decision:
    places = [(place, landing) for place, landing in enumerate(evidence.landings) if landing is not None]
    missing = {place for place, landing in enumerate(evidence.landings) if landing is None}
    if any(landing.block_number != evidence.target_block for landing in landed):
        return Decision(Outcome.INCLUDED_ELSEWHERE, "a transaction was mined in a block that the bundle did not name")
    if missing - evidence.may_drop:
        return Decision(Outcome.UNBUNDLED, "only a part was mined that the bundle did not allow alone")
    failed = {place for place, landing in places if not landing.is_success}
    if failed - evidence.may_revert:
        return Decision(Outcome.UNBUNDLED, "a transaction that must not revert was mined reverted")
    indices = [landing.index for _, landing in places]
    if indices != sorted(indices):
        return Decision(Outcome.UNBUNDLED, "the transactions were mined in another order")
    if evidence.is_cancel_requested or evidence.is_replaced:
        return Decision(Outcome.CANCEL_TOO_LATE, "it was mined although it had been withdrawn")
    if indices[-1] - indices[0] != len(indices) - 1:
        return Decision(Outcome.INCLUDED_NONCONTIGUOUS, "mined in order, with other transactions between")
    if evidence.finalized_block >= evidence.target_block:
        return Decision(Outcome.FINALIZED, "mined, and its block is final")
    if missing:
        return Decision(Outcome.INCLUDED_WITH_DROPPED_TX, "mined without the transactions that may be left out")
    if failed:
        return Decision(Outcome.INCLUDED_WITH_ALLOWED_REVERT, "mined, with reverts that it allows")
    return Decision(Outcome.INCLUDED, "mined whole and in order")


def _decide_waiting(evidence: Evidence) -> Decision:
    """Before the target block is seen: withdrawn, refused by all, or somewhere out there."""
    if evidence.is_replaced:
        return Decision(Outcome.REPLACED, "a later sequence took its place; it may still land until its block is seen")
    if evidence.is_cancel_requested:
        return Decision(Outcome.CANCEL_REQUESTED, "a cancel is a request; it may still land until its block is seen")
    for open_reply in (Outcome.ACCEPTED, Outcome.ACCEPTED_NO_RECEIPT, Outcome.DUPLICATE, Outcome.UNKNOWN):
        if open_reply in evidence.replies:
            return Decision(open_reply, "at least one endpoint may hold it")
    if evidence.replies:
        return Decision(evidence.replies[0], "every endpoint refused it")
    return Decision(Outcome.UNKNOWN, "no endpoint has answered")


def _decide_missed(evidence: Evidence) -> Decision:
    """The target block is known and holds none of it."""
    nonce = evidence.sender_nonce_after_target
    if nonce is not None and nonce > evidence.first_nonce:
        return Decision(
            Outcome.NONCE_USED_ELSEWHERE, f"the sender's nonce is {nonce}, the bundle starts at {evidence.first_nonce}"
        )
    base_fee = evidence.target_base_fee_wei
    if base_fee is not None and base_fee > evidence.max_fee_wei:
        return Decision(Outcome.UNDERPRICED_BASE_FEE, f"the base fee is {base_fee} wei, the cap {evidence.max_fee_wei}")
    timestamp = evidence.target_timestamp_s
    if timestamp is not None and _is_outside(timestamp, evidence.min_timestamp_s, evidence.max_timestamp_s):
        return Decision(Outcome.EXPIRED_TIMESTAMP, f"the block's timestamp {timestamp} is outside the bundle's window")
    return _decide_by_replay(evidence)


def _decide_by_replay(evidence: Evidence) -> Decision:
    if not evidence.replays:
        return _decide_never_seen(evidence)
    alone = evidence.replays[0]
    if alone.failure is not None:
        return Decision(alone.failure, "it does not run on the state of the parent that the block really has")
    if alone.paid_wei <= 0:
        return Decision(Outcome.SIM_NO_PAYMENT, "it pays the builder nothing on the parent's state")
    for replay in evidence.replays[1:]:
        if replay.failure is not None:
            outcome = Outcome.QUOTE_MOVED if evidence.has_moving_quote else Outcome.EXCLUDED_OUTBID
            return Decision(
                outcome, f"transaction {replay.after_index} of the block leaves it unable to run", replay.after_index
            )
        if 100 * replay.paid_wei < LOWER_VALUE_PERCENT * alone.paid_wei:
            return Decision(
                Outcome.EXCLUDED_LOWER_INSERTED_VALUE,
                f"after transaction {replay.after_index} it pays {replay.paid_wei} wei instead of {alone.paid_wei}",
                replay.after_index,
            )
    if evidence.target_gas_left is not None and evidence.gas_limit_sum > evidence.target_gas_left:
        return Decision(
            Outcome.EXCLUDED_GAS,
            f"its gas limits are {evidence.gas_limit_sum}, the block had {evidence.target_gas_left} left",
        )
    return _decide_never_seen(evidence)


def _decide_never_seen(evidence: Evidence) -> Decision:
    """It could have run all along: it did not reach whoever made the block, or nobody can tell."""
    if evidence.has_builder is False:
        return Decision(Outcome.LOCAL_BLOCK, "the proposer made the block without a builder")
    if evidence.is_reached_builder is False:
        return Decision(Outcome.BUILDER_LOST, "the block is by a builder that it was not sent to")
    if evidence.was_sent_late:
        return Decision(Outcome.LATE, "it came after the builder's last seal")
    refused = bool(evidence.replies) and all(TRAITS[reply].is_final for reply in evidence.replies)
    if refused:
        return Decision(evidence.replies[0], "every endpoint refused it")
    return Decision(Outcome.EXPIRED_BLOCK, "its block has passed without it, and nothing tells why")


def _is_outside(value: int, low: int | None, high: int | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
