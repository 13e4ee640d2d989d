"""Two prices around a middle, as the market making formulas give them."""

from __future__ import annotations

import msgspec


class Quotes(msgspec.Struct, frozen=True, gc=False):
    """Bid and ask in the unit of the middle, and their distances from it; a distance may be negative."""

    bid: float
    ask: float
    delta_bid: float
    """mid - bid, computed without taking the difference."""
    delta_ask: float
    """ask - mid."""
