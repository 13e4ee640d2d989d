"""Micro momentum: follow the touch when one side of it is consumed faster than the other.

Theory of operation. The order flow imbalance of the last `window` changes of the touch is measured against what rests
there. At `entry_ppm` of it the strategy takes on the side of the flow, once and small. It leaves when the flow has
turned, or after `hold_ns`: the effect lives for seconds, and a position that is kept longer is another strategy's.
"""

from __future__ import annotations

import msgspec

from agent.core.events.market import TradePrint
from agent.core.events.orders import Fill
from agent.core.instruments import Side
from agent.strategies.formulas.order_flow import OrderFlow
from agent.strategies.formulas.readiness import NotReady
from agent.strategies.order_book import Intent, MarketView, Pulse, close, take

PPM = 1_000_000


class FollowerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities in lots."""

    name: str
    symbol: str
    lots: int
    window: int = 50
    """Changes of the touch that count."""
    entry_ppm: int = 3_000_000
    """The imbalance at which it enters, of the mean of what rests on the two sides of the touch."""
    hold_ns: int = 5_000_000_000
    pause_ns: int = 1_000_000_000
    """Between two entries."""


class MomentumFollower:
    """Trades one symbol."""

    __slots__ = ("_entered_ns", "_flow", "_pulse", "_settings")

    def __init__(self, settings: FollowerSettings) -> None:
        self._settings = settings
        self._pulse = Pulse(settings.name)
        self._flow = OrderFlow(settings.window)
        self._entered_ns: int | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self._settings.symbol,)

    def on_book(self, view: MarketView) -> list[Intent]:
        """Count the change, and act on the sum."""
        intents = self._pulse.beat(view.now_ns)
        book = view.book
        if not book.is_good:
            self._flow.restart()
            return intents
        bid_lots, ask_lots = book.bids[book.best_bid_ticks], book.asks[book.best_ask_ticks]
        flow = self._flow.update((book.best_bid_ticks, bid_lots, book.best_ask_ticks, ask_lots))
        if view.orders:
            return intents
        if view.position_lots:
            return [*intents, *self._leave(view, flow)]
        if isinstance(flow, NotReady) or not self._may_enter(view.now_ns):
            return intents
        if 2 * abs(flow) * PPM < self._settings.entry_ppm * (bid_lots + ask_lots):
            return intents
        side = Side.BUY if flow > 0 else Side.SELL
        lots = min(self._settings.lots, ask_lots if side is Side.BUY else bid_lots, view.instrument.max_lots)
        if lots < view.instrument.min_lots:
            return intents
        self._entered_ns = view.now_ns
        return [*intents, take(self._settings.name, view, side, lots)]

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]:
        """A trade shows in the book it leaves."""
        return []

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]:
        """The next change of the book acts on the new position."""
        return []

    def _may_enter(self, now_ns: int) -> bool:
        return self._entered_ns is None or now_ns - self._entered_ns >= self._settings.pause_ns

    def _leave(self, view: MarketView, flow: int | NotReady) -> list[Intent]:
        is_held = self._entered_ns is not None and view.now_ns - self._entered_ns < self._settings.hold_ns
        sign = 1 if view.position_lots > 0 else -1
        if is_held and not isinstance(flow, NotReady) and flow * sign > 0:
            return []
        return close(self._settings.name, view)
