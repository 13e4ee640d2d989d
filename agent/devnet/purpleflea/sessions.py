"""A connection that has logged in, and what it asked to hear."""

from __future__ import annotations

import msgspec

from agent.devnet.purpleflea.keys import Key

PRIVATE = frozenset({"orders", "fills", "account", "status"})
PUBLIC = frozenset({"ticker", "orderbook", "trades"})
CHANNELS = PRIVATE | PUBLIC
DEPTH_MAX = 50


class CancelOnDisconnect(msgspec.Struct):
    """What becomes of orders when the connection is lost."""

    is_enabled: bool = False
    scope: str = "connection"
    grace_ms: int = 0


class BookSubscription(msgspec.Struct):
    """`book_seq` is the number of the last frame sent to this session for this symbol."""

    depth: int
    book_seq: int = 0


class Session(msgspec.Struct, kw_only=True, eq=False):
    """One WebSocket of one key."""

    conn_id: int
    account: str
    key: Key
    epoch: int
    is_trader: bool
    heard_mono_ns: int
    tickers: set[str] = msgspec.field(default_factory=set)
    trades: set[str] = msgspec.field(default_factory=set)
    books: dict[str, BookSubscription] = msgspec.field(default_factory=dict)
    fills: set[str] = msgspec.field(default_factory=set)
    has_orders: bool = False
    has_account: bool = False
    statuses: set[str] = msgspec.field(default_factory=set)
    cod: CancelOnDisconnect = msgspec.field(default_factory=CancelOnDisconnect)
    keeps_orders: bool = False
    """It said good-bye and asked to keep its orders."""
    resume_seq: int | None = None
    is_article: bool = False
    """Speaks the article's frames alone: no acks, numbers for strings."""

    def wants(self, frame: dict[str, object]) -> bool:
        """True where a numbered frame of its account is for this session."""
        return self.has_orders or (frame["type"] in ("fill", "trade_bust") and frame["symbol"] in self.fills)
