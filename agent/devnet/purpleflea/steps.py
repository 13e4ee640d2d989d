"""Words of an engine step: when it happens, what it says, what it books, how it departs from the rules."""

from __future__ import annotations

from typing import NamedTuple

from agent.devnet.purpleflea.frames import Frame
from agent.devnet.purpleflea.orders import Order


class Instant(NamedTuple):
    """When a step happens, by the venue's two clocks."""

    mono_ns: int
    wall_ns: int


class Said(NamedTuple):
    """Something to be told. `account` is empty for public frames; `is_answer` also goes to whoever asked."""

    account: str
    frame: Frame
    is_answer: bool = False


class TradeRecord(NamedTuple):
    """One trade, as the venue books it. Fees in atoms of the market's fee currency."""

    trade_id: str
    symbol: str
    lots: int
    price_ticks: int
    taker: Order
    maker: Order
    taker_fee_atoms: int
    maker_fee_atoms: int
    exchange_us: int


class Tuning(NamedTuple):
    """How the next step departs from the rules; for faults."""

    slice_lots: int | None = None
    """Largest size of one trade."""
    ack_last: bool = False
    """The ack is numbered after the fills."""
    owed_lots: int = 0
    """A cancellation counts so many lots as filled that are not, yet."""
