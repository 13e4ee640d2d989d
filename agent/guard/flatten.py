"""Flattening, where a person has asked for it: what is held after a halt goes, in small reduce-only slices.

It begins when everything else was seen to stand still, and never while an order is open or the list of them is not whole:
then nobody knows what is held. Each slice takes at most a tenth of what the book shows within the collar, at once or not at
all, and the venue trims it to the position. The guard's key needs the scope `reduce` for it, with which it can do no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from agent.guard.peer import PeerFault
from agent.guard.venue_client import Grid, Levels, Venue, VenueClient

SLICE = Decimal("0.1")
"""Of the depth within the collar."""
PPM = 1_000_000
LIFE_NS = 1_000_000_000


class Flatten:
    """A rung: one slice of each position an attempt; confirmed when no position is left that the venue would take."""

    name = "flatten"

    def __init__(self, venue: Venue, collar_ppm: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._client = VenueClient(venue)
        self._collar = Decimal(collar_ppm) / PPM
        self._wall_ns = wall_ns
        self._grids: dict[str, Grid] = {}

    def act(self, attempt: int) -> None:
        del attempt
        orders = self._client.open_orders()
        if orders.client_order_ids or not orders.is_complete:
            raise PeerFault("orders are open, or the list is not whole: nothing is flattened")
        held = self._held()
        if not held:
            return
        epoch = self._client.fence()
        fault: PeerFault | None = None
        for symbol, quantity in held.items():
            try:
                self._slice(symbol, quantity, epoch)
            except PeerFault as error:
                fault = error
        if fault is not None:
            raise fault

    def is_confirmed(self) -> bool:
        return not self._held()

    def _held(self) -> dict[str, Decimal]:
        """Positions that are not below what one order must have."""
        positions = self._client.positions()
        if positions and not self._grids:
            self._grids = self._client.grids()
        unknown = sorted(positions.keys() - self._grids.keys())
        if unknown:
            raise PeerFault(f"the venue does not define {unknown[0]}")
        return {symbol: held for symbol, held in positions.items() if abs(held) >= self._grids[symbol].min_quantity}

    def _slice(self, symbol: str, held: Decimal, epoch: int) -> None:
        bids, asks = self._client.book(symbol)
        grid = self._grids[symbol]
        if not bids or not asks:
            raise PeerFault(f"the book of {symbol} has an empty side")
        middle = (bids[0][0] + asks[0][0]) / 2
        if held > 0:
            side, levels, limit = "sell", bids, _on(middle * (1 - self._collar), grid.tick, ROUND_CEILING)
        else:
            side, levels, limit = "buy", asks, _on(middle * (1 + self._collar), grid.tick, ROUND_FLOOR)
        size = _on(min(abs(held), SLICE * _depth(levels, side, limit)), grid.lot, ROUND_FLOOR)
        if size < grid.min_quantity:
            raise PeerFault(f"the book of {symbol} is too thin within the collar")
        now_ns = self._wall_ns()
        self._client.place(
            {
                "client_order_id": f"guard-{now_ns}",
                "symbol": symbol,
                "side": side,
                "type": "ioc",
                "quantity": f"{size:f}",
                "price": f"{limit:f}",
                "reduce_only": True,
                "session_epoch": epoch,
                "expire_ns": now_ns + LIFE_NS,
            }
        )


def _depth(levels: Levels, side: str, limit: Decimal) -> Decimal:
    return sum((size for price, size in levels if (price >= limit if side == "sell" else price <= limit)), Decimal(0))


def _on(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding) * step
