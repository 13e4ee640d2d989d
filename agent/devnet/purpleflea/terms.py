"""The venue's terms: what it trades, its limits, and which parts of the contract it speaks."""

from __future__ import annotations

import msgspec

from agent.devnet.purpleflea.markets import Market, default_markets

FEATURES = (
    "acks", "client_order_id", "session_epoch", "exec_seq", "book_seq", "checksum", "amend", "stp", "reduce_only",
    "expire_ns", "good_till_ns", "max_slippage_ticks", "fence", "fills_since", "cod", "deadman", "rest", "ping",
    "trade_bust", "rate_state",
)  # fmt: skip


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the venue that is fixed for a run."""

    markets: tuple[Market, ...] = msgspec.field(default_factory=default_markets)
    orders_per_s: int = 500
    cancels_per_s: int = 1_000
    reads_per_minute: int = 6_000
    max_open: int = 1_000
    max_frame: int = 1 << 20
    heartbeat_ms: int = 1_000
    silence_ms: int = 15_000
    """After so long without a frame a client is closed with 4408; with cancel-on-disconnect after three heartbeats."""
    outgoing_max_bytes: int = 8 << 20
    """A client that reads so slowly that more waits for it is closed with 1011."""
    funds: str = "100000"
    """What an account made by `create_account` starts with, in the first market's quote currency."""
    faucet_credit: str = "10000"
    faucet_claims_per_ip: int | None = None
    """Claims a day from one address; None for any number."""
    is_article: bool = False
    """The venue of the article: no hello, no acks, JSON numbers, fills without ids."""
    features: tuple[str, ...] = FEATURES
