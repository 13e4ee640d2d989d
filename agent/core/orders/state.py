"""All that is known about our orders at one venue, as plain data: it is encoded, hashed and restored as it stands."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.events.orders import Amended, Canceled, Fill, OrderAck, Reject, TradeBusted
from agent.core.instruments import Side
from agent.core.orders.order import Closed, Order

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000

ExecutionFrame = OrderAck | Fill | Reject | Canceled | Amended | TradeBusted
"""What carries an `exec_seq`."""


class OrderTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long is waited for what, on the monotonic clock. The defaults fit a venue that answers within milliseconds."""

    ack_ns: int = SECOND_NS
    cancel_ns: int = SECOND_NS
    amend_ns: int = SECOND_NS
    expire_ns: int = SECOND_NS
    """A place that reaches the venue later than this is refused there; short, so that no stale order ever rests."""
    query_ns: tuple[int, ...] = (
        200 * MILLISECOND_NS,
        400 * MILLISECOND_NS,
        800 * MILLISECOND_NS,
        1600 * MILLISECOND_NS,
        3200 * MILLISECOND_NS,
        5 * SECOND_NS,
    )
    """Distances of the questions about an order of unknown fate; the last one repeats."""
    unknown_fence_ns: int = 30 * SECOND_NS
    """After so long a symbol is halted and everything in it cancelled behind a fence."""
    unknown_kill_ns: int = 120 * SECOND_NS
    fence_ns: int = SECOND_NS
    """A fence is asked for again if it was not answered within this, and not before."""
    owed_ns: int = 60 * SECOND_NS
    """Within this, promised fills must come; else what the venue says cannot be trusted."""
    replay_ns: int = 5 * SECOND_NS
    gap_ns: int = 200 * MILLISECOND_NS
    """Frames may be this much later than the answer that counts them."""


class Fence(msgspec.Struct, frozen=True, gc=False):
    """A finished cancel-all after which no order sent before it can appear."""

    scope: Literal["session", "account"]
    asked_seq: int
    """Journal sequence of the step that asked for it."""
    asked_epoch: int
    done_seq: int
    exec_seq: int


class FenceAsked(msgspec.Struct, frozen=True, gc=False):
    """A cancel-all behind a fence that is under way."""

    seq: int
    epoch: int
    scope: Literal["session", "account"] = "account"
    symbol: str = ""
    at_ns: int = 0


class Trade(msgspec.Struct, array_like=True, gc=False):
    """What a bust must know of a fill; a correction changes it."""

    owner: str
    client_order_id: str
    symbol: str
    side: Side
    lots: int
    price_ticks: int


class OrdersState(msgspec.Struct, kw_only=True):
    """`closed` and `trades` have two generations: a full one becomes the older, and what was older is forgotten."""

    run_epoch: int
    next_counter: int = 0
    epoch: int = 0
    is_up: bool = False
    """Between the venue's hello and the end of the connection: cancels and questions may go out."""
    is_live: bool = False
    """Reconciled: orders may go out."""
    server_offset_ns: int = 0
    wall_base_ns: int | None = None
    """Wall clock less monotonic clock, rounded down, after a wall clock that was set back in this run; else the stamps'."""
    is_started: bool = False
    """The account's executions are followed from some sequence on."""
    cursor: int = 0
    """The last execution applied."""
    hello_seq: int = 0
    """The last execution as of the session's hello; a replay must reach it."""
    seen_seq: int = 0
    """The highest execution that anything has told of."""
    held: dict[int, ExecutionFrame] = {}
    """Frames that came before their turn."""
    is_replay_asked: bool = False
    replay_failures: int = 0
    given_up_at: int = -1
    """The cursor at which a connection was given up last, and how many have been there."""
    given_up: int = 0
    live: dict[str, Order] = {}
    """Every order that is not final, or owes fills; in order of issue."""
    closed: dict[str, Closed] = {}
    closed_before: dict[str, Closed] = {}
    trades: dict[str, tuple[Trade, ...]] = {}
    trades_before: dict[str, tuple[Trade, ...]] = {}
    aliases: dict[str, str] = {}
    """Client and venue ids that an amendment gave, to the id the order was placed under."""
    fences: dict[str, Fence] = {}
    """The last finished one by symbol; the empty symbol is all of them."""
    fences_asked: dict[str, FenceAsked] = {}
    allowed: list[str] = []
    """Foreign orders that a person lets stand."""
