"""All that the desk knows, in one place: parts that are plain data, so that they can be written, hashed and restored."""

from __future__ import annotations

import msgspec

from agent.core.accounts.accounts import Accounts
from agent.core.desk.markets import Markets
from agent.core.instruments import Side
from agent.core.risk.breakers.aggregate import Breakers
from agent.core.risk.rate import RateQueue
from agent.core.risk.recent import RecentOrders, RepeatThrottle


class Working(msgspec.Struct, kw_only=True):
    """What must be remembered of an order until it is over, and the order table has no use for."""

    strategy: str
    symbol: str
    side: Side
    bid_plus_ask_ticks: int
    """Of the book when it was decided: twice its arrival mid."""
    is_taker: bool
    decided_ns: int | None
    expires_ns: int | None = None
    signal_id: str = ""
    filled_lots: int = 0
    filled_lot_ticks: int = 0
    """Σ lots · price of its fills."""


class DeskState(msgspec.Struct, kw_only=True):
    """Beside it stand the orders, the session and the signals, each with a state of its own."""

    accounts: Accounts
    breakers: Breakers
    rate: RateQueue
    markets: Markets = msgspec.field(default_factory=Markets)
    recent: RecentOrders = msgspec.field(default_factory=RecentOrders)
    repeats: RepeatThrottle = msgspec.field(default_factory=RepeatThrottle)
    working: dict[str, Working] = {}
    """By client order id: orders that are not over."""
    is_opened: bool = False
    """The venue's first account statement was taken as the opening balance."""
    session_up_ns: int = 0
    """Monotonic time at which the present session began."""
    venue_orders_per_s: int = 0
    """The venue's own limits; 0 where it names none."""
    venue_cancels_per_s: int = 0
    venue_max_open: int = 0
    """The venue's own limit of open orders; 0 where it names none."""
    is_fence_due: bool = False
    """A halt asked for everything to be cancelled, and no answer said yet that nothing was left."""
    fence_request: str = ""
    """Under which it was asked for last."""
    fence_asked_ns: int = 0
