"""What of the protocol is configured. The venue's own limits hold where they are smaller."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.venues.purpleflea.last_guard import OrderCaps


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is configured; the venue's own limits hold where they are smaller."""

    symbols: tuple[str, ...]
    depth: int = 50
    orders_per_s: int = 50
    cancels_per_s: int = 100
    max_open: int = 200
    stp: Literal["cancel_taker", "cancel_maker", "cancel_both"] = "cancel_taker"
    cod_grace_ms: int | None = 0
    """Grace of cancel-on-disconnect; None leaves it off."""
    hello_within_ms: int = 2_000
    ping_ms: int = 200
    """A sign of life is asked for so often, or at each heartbeat where those are faster: the guard is told how long the
    venue has been silent, and cancels in the agent's place within a second."""
    missed_heartbeats: int = 3
    book_silence_ms: int = 5_000
    """A book without a frame for so long is asked for anew."""
    late_ms: int = 2_000
    """A book's frames older than this by the venue's own time are not believed."""
    offset_max_ms: int = 250
    """A clock that differs by more is told to a person."""
    malformed_per_minute: int = 20
    allow_unacked_orders: bool = False
    """For a simulated venue alone: send orders to a peer that did not say hello."""
    caps: OrderCaps = OrderCaps()
    """What is refused right before a frame leaves, whatever the core has let through."""
