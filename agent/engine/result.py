"""What a run or survey ends with: plain figures, from which every report is drawn.

Amounts ending in `_amount` are in units of the opportunity's start token, `_wei` is ETH.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from agent.dex.pool import LeftOut
from agent.sim.simulator import Slot
from agent.strategies.arb.opportunity import Leg
from agent.venues.onchain.outcomes import Outcome


class Ending(StrEnum):
    """How an opportunity stands or ended. What was sent and did not land ends with an `Outcome` of its own."""

    OPEN = "open"
    HELD = "held"
    """Passed, and waits for the selection of its block."""
    SENT = "sent"
    PROFIT = "profit"
    """Survey: executed, and worth more than its gas."""
    LOSS = "loss"
    """Survey: executed, and worth less than its gas."""
    UNPRICED = "unpriced"
    """Survey: executed, in a token that nothing prices in ETH."""
    REVERTS = "reverts"
    """Survey: execution gives nothing."""
    UNKNOWN = "unknown"
    """Not executed for want of state, or refused by the node."""
    DROPPED = "dropped"
    """Decided against; the code says why."""
    EXPIRED = "expired"
    """Its block passed without it, and there is no other."""
    LANDED = "landed"
    REVERTED = "reverted"
    """Mined with status 0: it cost its gas."""


class Rival(msgspec.Struct, frozen=True):
    """Who moved our pools instead, where in the block, and what the builder got for it."""

    transaction: str
    index: int
    paid_wei: int


class OpportunityResult(msgspec.Struct, kw_only=True):
    """One opportunity from found to its end."""

    id: str
    block: int
    kind: str
    after_transaction: str | None
    after_index: int | None
    legs: tuple[Leg, ...]
    before_amount: int
    quoted_amount: int
    gross_amount: int
    """By execution; by quote where the outcome is unknown; 0 where execution reverts."""
    value_wei: int | None = None
    gas_used: int = 0
    gas_cost_wei: int = 0
    bid_wei: int = 0
    net_wei: int = 0
    upper_bound_amount: int | None = None
    outcome: Ending | Outcome = Ending.OPEN
    code: str = ""
    reason: str = ""
    missing: tuple[Slot, ...] = ()
    assumed: tuple[Slot, ...] = ()
    rival: Rival | None = None
    bundle_hash: str | None = None
    transaction_hash: str | None = None
    repeat: str = ""
    calldata: str = ""
    behind: tuple[str, ...] = ()
    """Our own opportunities that stand before it in the block: its figures are those of its place there."""
    is_rotation: bool = False
    """The cycle of another row, begun in another start token: listed, not summed."""


class BlockResult(msgspec.Struct, frozen=True, kw_only=True):
    """One block that was watched or built."""

    number: int
    hash: str
    base_fee_wei: int
    transactions: int
    pools_touched: int
    evicted: tuple[str, ...] = ()
    newly_reverted: tuple[str, ...] = ()


class TransactionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction of ours that was mined."""

    hash: str
    block: int
    index: int
    status: int
    gas_used: int
    fee_wei: int
    coinbase_payment_wei: int
    profit_wei: int
    opportunity: str


class Mismatch(msgspec.Struct, frozen=True):
    """An opportunity whose execution paid another amount than its quote: a defect, counted and shown."""

    opportunity: str
    quoted: int
    executed: int


class StageLatency(msgspec.Struct, frozen=True):
    """Own time of one stage over a run, ns."""

    p50: int
    p99: int
    max: int
    n: int


class BookRow(msgspec.Struct, frozen=True, kw_only=True):
    """One account at the end of a run: what our own sums say it gained, and what the chain says."""

    account: str
    token: str
    booked: int
    chain: int


class RunResult(msgspec.Struct, kw_only=True):
    """All of it."""

    run: str
    command: str
    world: str
    mode: str
    chain_id: int
    executor_address: str
    executor_build: str
    executor_code_hash: str
    pools_known: int = 0
    pools_quotable: int = 0
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    left_out_transactions: list[str] = msgspec.field(default_factory=list)
    blocks: list[BlockResult] = msgspec.field(default_factory=list)
    opportunities: list[OpportunityResult] = msgspec.field(default_factory=list)
    transactions: list[TransactionResult] = msgspec.field(default_factory=list)
    mismatches: list[Mismatch] = msgspec.field(default_factory=list)
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    funnel: dict[str, int] = msgspec.field(default_factory=dict)
    latency_ns: dict[str, StageLatency] = msgspec.field(default_factory=dict)
    forecasts: dict[str, int] = msgspec.field(default_factory=dict)
    """Targets whose effect was foretold from calldata, and how many of them execution confirmed to the last unit."""
    survey_net_wei: int | None = None
    """After gas, the most that could be had together in the undisturbed block, where all of it is known."""
    books: list[BookRow] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
