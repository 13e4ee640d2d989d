"""What the core asks of an order-book venue."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.instruments import OrderType, Side


class Place(msgspec.Struct, frozen=True, tag="place", kw_only=True, gc=False):
    """Send a new order under this id, and under no other. Leaves only behind its record."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    lots: int
    price_ticks: int
    is_reduce_only: bool = False
    expire_ns: int
    """Wall time after which the venue must not accept it."""
    epoch: int


class CancelOrder(msgspec.Struct, frozen=True, tag="cancel_order", gc=False):
    client_order_id: str


class Amend(msgspec.Struct, frozen=True, tag="amend", kw_only=True, gc=False):
    client_order_id: str
    total_lots: int
    price_ticks: int
    epoch: int


class CancelAll(msgspec.Struct, frozen=True, tag="cancel_all", kw_only=True, gc=False):
    """`fence` account: raise the epoch first, so that nothing sent before can still be accepted."""

    request_id: str
    fence: Literal["none", "session", "account"]
    symbol: str = ""


class QueryStatus(msgspec.Struct, frozen=True, tag="query_status", gc=False):
    client_order_id: str


class QueryOpen(msgspec.Struct, frozen=True, tag="query_open", gc=False):
    """Ask for the list of open orders, on the session's socket."""


class QueryAccount(msgspec.Struct, frozen=True, tag="query_account", gc=False):
    """Ask for balances and positions."""


class ReplayFrom(msgspec.Struct, frozen=True, tag="replay_from", gc=False):
    """Ask for every execution from this one on."""

    exec_seq: int


class Reconnect(msgspec.Struct, frozen=True, tag="reconnect", gc=False):
    """Close the connection and come again: what was missed cannot be had on this one."""

    reason: str


class ArmDeadman(msgspec.Struct, frozen=True, tag="arm_deadman", gc=False):
    timeout_ms: int


class Resynchronise(msgspec.Struct, frozen=True, tag="resynchronise", gc=False):
    """Ask for a new snapshot of this symbol's book."""

    symbol: str


class Refuse(msgspec.Struct, frozen=True, tag="refuse", kw_only=True, gc=False):
    """A request or signal was not let through. `subject` is a client order id, a signal id, or strategy and symbol."""

    subject: str
    code: str
    detail: str


class Notify(msgspec.Struct, frozen=True, tag="notify", gc=False):
    """The order changed; strategies read the new state from the core."""

    client_order_id: str


OrderEffect = (
    Place
    | CancelOrder
    | Amend
    | CancelAll
    | QueryStatus
    | QueryOpen
    | QueryAccount
    | ReplayFrom
    | Reconnect
    | ArmDeadman
    | Resynchronise
    | Refuse
    | Notify
)
