"""Cross-venue arbitrage: buy on one book what another pays more for, both at once, as far as it pays after fees.

Theory of operation. Each change of either book sizes the trade in both directions. Both books must be young: a spread
between a price and an older one is mostly time. The two legs go out together, each taking up to its limit and no
further; nothing new is tried while an order of either is open, nor before both symbols were seen again. Legs are
separate orders and one may fill less than the other. What is left over is closed at the touch of the book it is on
before anything else is done: that is a loss taken for certain against one that is not bounded.

Both symbols must have one grid: the same tick, lot, and value of a tick. They are different symbols also where the
venues call them the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.core.events.market import TradePrint
from agent.core.events.orders import Fill, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.strategies.formulas.two_books import TwoBookTrade, two_books
from agent.strategies.order_book import Intent, MarketView, Pulse, take


class CrosserSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities in lots."""

    name: str
    first_symbol: str
    second_symbol: str
    max_lots: int
    """Of one trade."""
    max_position_lots: int
    """Of either leg: a spread that only widens would fill the account."""
    min_edge_ppm: int
    """Least profit after fees, of the cost; it pays for legs that fail."""
    max_book_age_ns: int = 100_000_000
    depth: int = 20
    """Levels of each book that are looked at."""


class Crosser:
    """Trades two symbols against each other."""

    __slots__ = ("_pulse", "_settings", "_views")

    def __init__(self, settings: CrosserSettings) -> None:
        self._settings = settings
        self._pulse = Pulse(settings.name)
        self._views: dict[str, MarketView] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._settings.first_symbol, self._settings.second_symbol

    def on_book(self, view: MarketView) -> list[Intent]:
        """Look at both books, now that one of them changed."""
        return [*self._pulse.beat(view.now_ns), *self._act(view)]

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]:
        """A trade shows in the book it leaves."""
        return []

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]:
        """Keep the new position, and close at once what one leg has more than the other."""
        return self._act(view)

    def _act(self, view: MarketView) -> list[Intent]:
        self._views[view.instrument.symbol] = view
        first, second = (self._views.get(symbol) for symbol in self.symbols)
        if first is None or second is None or first.orders or second.orders or not _same_grid(first, second):
            return []
        if not all(self._is_young(each, view.now_ns) for each in (first, second)):
            return []
        left_over = first.position_lots + second.position_lots
        if left_over:
            intents = self._even_out(first, second, left_over)
        else:
            intents = list(self._best(first, second, view.seq))
        if intents:
            # What was seen of orders and positions is void; only a view that came later has these orders in it.
            self._views.clear()
        return intents

    def _is_young(self, view: MarketView, now_ns: int) -> bool:
        return view.book.is_good and now_ns - view.book.arrival_ns <= self._settings.max_book_age_ns

    def _best(self, first: MarketView, second: MarketView, seq: int) -> Iterator[Intent]:
        """The two legs of the direction that pays, if one does."""
        for bought, sold in ((first, second), (second, first)):
            trade = self._sized(bought, sold)
            if trade.buy_limit_ticks is None or trade.sell_limit_ticks is None or trade.profit_atoms <= 0:
                continue
            if trade.lots < max(bought.instrument.min_lots, sold.instrument.min_lots):
                continue
            yield self._leg(bought, Side.BUY, trade.lots, trade.buy_limit_ticks, seq)
            yield self._leg(sold, Side.SELL, trade.lots, trade.sell_limit_ticks, seq)
            return

    def _sized(self, bought: MarketView, sold: MarketView) -> TwoBookTrade:
        settings = self._settings
        return two_books(
            bought.book.levels(Side.SELL, settings.depth),
            sold.book.levels(Side.BUY, settings.depth),
            buy_fee_ppm=bought.instrument.taker_fee_ppm,
            sell_fee_ppm=sold.instrument.taker_fee_ppm,
            min_edge_ppm=settings.min_edge_ppm,
            max_lots=max(
                0,
                min(
                    settings.max_lots,
                    bought.instrument.max_lots,
                    sold.instrument.max_lots,
                    settings.max_position_lots - bought.position_lots,
                    settings.max_position_lots + sold.position_lots,
                ),
            ),
            tick_value_atoms=bought.instrument.tick_value_atoms,
        )

    def _leg(self, view: MarketView, side: Side, lots: int, limit_ticks: int, seq: int) -> PlaceRequested:
        return PlaceRequested(
            strategy=self._settings.name,
            symbol=view.instrument.symbol,
            side=side,
            order_type=OrderType.IOC,
            lots=lots,
            price_ticks=limit_ticks,
            decided_seq=seq,
        )

    def _even_out(self, first: MarketView, second: MarketView, left_over: int) -> list[Intent]:
        """Close what one leg has more than the other, on the book where that reduces a position."""
        side = Side.SELL if left_over > 0 else Side.BUY
        view = max(first, second, key=lambda each: -side.sign * each.position_lots)
        lots = min(abs(left_over), view.instrument.max_lots)
        if lots < view.instrument.min_lots:
            return []
        return [take(self._settings.name, view, side, lots, is_reduce_only=True)]


def _same_grid(first: MarketView, second: MarketView) -> bool:
    one, other = first.instrument, second.instrument
    return (one.tick, one.lot, one.tick_value_atoms) == (other.tick, other.lot, other.tick_value_atoms)
