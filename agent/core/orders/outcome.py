"""What one event did to the orders: effects to carry out, and what accounting and risk must hear."""

from __future__ import annotations

import msgspec

from agent.core.effects import Effect
from agent.core.events.orders import Fill
from agent.core.instruments import Side

EXTERNAL = "external"
"""Owner of a fill whose order was never ours."""


class AppliedFill(msgspec.Struct, frozen=True, gc=False):
    """A fill that counts from now on, once. `owner` is the strategy that asked for the order, or `external`."""

    owner: str
    fill: Fill


class AppliedBust(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trade the venue took back (`lots` 0) or corrected, with what it was before."""

    owner: str
    client_order_id: str
    exec_seq: int
    trade_id: str
    symbol: str
    side: Side
    lots_before: int
    price_ticks_before: int
    lots: int
    price_ticks: int


class Outcome(msgspec.Struct, gc=False):
    """Filled while a step runs; one may be handed from part to part, so that their effects stand in order."""

    effects: list[Effect] = []
    fills: list[AppliedFill] = []
    busts: list[AppliedBust] = []
    halts: list[tuple[str, str]] = []
    """Code and detail: nothing may be placed any more, until a person resets it."""
    symbol_halts: list[tuple[str, str, str]] = []
    """Symbol, code and detail: nothing may be placed in this symbol any more."""
    told: int = 0
    """So many of the effects were looked at for orders that ended."""
    placed: str = ""
    """The id that `place` gave."""
    ignored: int = 0
    """Frames that said nothing new: doubles, late answers."""
    stale: int = 0
    """Answers dropped because newer evidence was applied already."""
    impossible: int = 0
    """Frames that contradict the state of their order."""
