"""What comes into the core from the chain and the search: one frozen struct each, tagged for the journal.

Amounts in a token's own units end in `_amount`, ETH amounts in `_wei`. Ids and hashes are hex text here, because the
journal and reports show them; the core only compares them.
"""

from __future__ import annotations

import msgspec


class HeadSeen(msgspec.Struct, frozen=True, tag="head", gc=False):
    """The chain has a new head; `target_number` is the block that can be aimed at now."""

    number: int
    block_hash: str
    parent_hash: str
    timestamp_s: int
    next_base_fee_wei: int


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What operators, executor and vault hold of one token together, in its own units, as the chain has it."""

    token: str
    """Address, or `ETH`."""
    amount: int | None
    """None where it was not answered."""
    value_wei: int | None
    """What the best pool of the head would pay for all of it, rounded down; None where none does in full."""


class ChainFacts(msgspec.Struct, frozen=True, tag="chain_facts", kw_only=True):
    """What was read beside the head: whether what we believe of chain, executor and keys is so. None is not known."""

    head_hash: str
    chain_id: int | None
    executor_code_hash: str | None
    is_synced: bool
    head_age_ns: int | None
    """Since the head's slot began; 0 in a world that waits for us."""
    chain_nonces: int | None
    """Sum of the operators' nonces as the chain has them."""
    ledger_nonces: int
    """The same as our own ledger has them."""
    operators_wei: int | None
    """ETH of all operators, to pay gas with."""
    holdings: tuple[Holding, ...] = ()
    """What the account is worth, token by token; empty where that is not followed."""
    cutoff_ns: int | None
    """Monotonic time from which on nothing that is sent is in time for the block."""
    endpoints: tuple[tuple[str, int], ...]
    """Name of each endpoint, and bundles it takes in a slot."""


class OpportunityFound(msgspec.Struct, frozen=True, tag="found"):
    """A search result at a named state."""

    id: str
    target_number: int
    head_hash: str
    after_index: int | None
    target_transaction: str | None
    pools: tuple[str, ...]
    gross_amount: int
    before_amount: int
    is_asked: bool = False
    """A person named it: taken although its target did not improve it."""


class CandidateExecuted(msgspec.Struct, frozen=True, tag="executed"):
    """The opportunity was executed as [target, ours] on the state it was found at."""

    id: str
    head_hash: str
    is_success: bool
    quoted_amount: int
    executed_amount: int
    value_wei: int | None
    """Gross in ETH; None where no price of the start token is known."""
    gas_used: int
    gas_cost_wei: int
    """At the target block's base fee and our priority fee."""
    gas_limit_cost_wei: int
    """The most the bundle can cost: gas limit at the fee cap."""
    bid_wei: int
    missing: int
    """Slots the state lacks; more than 0 makes the outcome unknown."""
    refused: str
    verdict: str
    """Empty, or the code of what execution showed of a token or pool on the route."""
    verdict_detail: str = ""
    has_terms: bool = True
    """Terms were found on which it would be sent; without them nothing is offered."""
    is_plan: bool = True
    """The calldata that would be signed decodes to the plan that was executed."""
    base_fee_wei: int = 0
    """The base fee it was priced with."""
    fee_cap_wei: int = 0


class SelectionMade(msgspec.Struct, frozen=True, tag="selected"):
    """The best compatible set for the target block, and for each loser the winner it conflicts with."""

    target_number: int
    chosen: tuple[str, ...]
    losers: tuple[tuple[str, str], ...]
    replaces: tuple[tuple[str, str], ...] = ()
    """Of the chosen, those that take over key, nonce and id of a live one; the two exclude each other."""


class BundleEnded(msgspec.Struct, frozen=True, tag="ended"):
    """A live bundle reached an outcome; figures are the chain's."""

    id: str
    outcome: str
    gas_paid_wei: int
    bid_paid_wei: int
    net_wei: int


class TargetGone(msgspec.Struct, frozen=True, tag="target_gone"):
    """A pending transaction will not be mined any more: replaced by its sender, or dropped."""

    target_transaction: str


class Superseded(msgspec.Struct, frozen=True, tag="superseded"):
    """A live bundle gives way to one that pays more for the same pools."""

    id: str
    by: str


ChainEvent = (
    HeadSeen | ChainFacts | OpportunityFound | CandidateExecuted | SelectionMade | BundleEnded | TargetGone | Superseded
)
