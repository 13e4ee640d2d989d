"""One symbol's order book as the core believes it: integer levels, the best two, and what a size would cost.

Theory of operation. A snapshot replaces the whole book (merging one into an old book leaves ghost levels behind); a
delta sets the absolute quantity of its levels, zero removes. Sequence and check sum are proved before an event comes
here, so a book is either `is_valid` or empty: `mark_stale` throws it away until the next snapshot. Each side is a
sorted list of prices beside a dict of quantities, so that the best price is the end of a list, and changing one level
of a few hundred is a bisection and a short move of memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import islice

import msgspec

from agent.core.events import Stamp
from agent.core.events.market import BookDelta, BookSnapshot, Level, MarketTick, TradePrint
from agent.core.instruments import Side

_BUY = Side.BUY
_SELL = Side.SELL


class Book(msgspec.Struct):
    """Levels in ticks and lots. Prices are positive, so 0 stands for "no such price"."""

    symbol: str
    is_valid: bool = False
    best_bid_ticks: int = 0
    best_ask_ticks: int = 0
    book_seq: int = 0
    exchange_ns: int = 0
    arrival_ns: int = 0
    """Monotonic time of the event that last changed or confirmed the book."""
    stale_reason: str = "no snapshot yet"
    bids: dict[int, int] = {}
    """Lots by price, in no order."""
    asks: dict[int, int] = {}
    bid_prices: list[int] = []
    """Ascending: the best is the last."""
    ask_prices: list[int] = []
    """Ascending: the best is the first."""
    last_trade_ticks: int = 0
    venue_mark_ticks: int = 0
    """The venue's own mark where it sends one."""
    trade_arrival_ns: int = 0
    """Monotonic time of the last trade or tick."""

    def apply_snapshot(self, event: BookSnapshot, stamp: Stamp) -> None:
        """Replace everything."""
        self.bids = {price: lots for price, lots in event.bids if lots}
        self.asks = {price: lots for price, lots in event.asks if lots}
        self.bid_prices = sorted(self.bids)
        self.ask_prices = sorted(self.asks)
        self.is_valid = True
        self.stale_reason = ""
        self._seen(event.book_seq, event.exchange_ns, stamp.monotonic_ns)

    def apply_delta(self, event: BookDelta, stamp: Stamp) -> None:
        """Set levels to their new quantity. A delta on a book that is not valid is ignored: it has no ground."""
        if not self.is_valid:
            return
        if event.bids:
            _set_levels(self.bids, self.bid_prices, event.bids)
        if event.asks:
            _set_levels(self.asks, self.ask_prices, event.asks)
        self._seen(event.book_seq, event.exchange_ns, stamp.monotonic_ns)

    def apply_tick(self, event: MarketTick, stamp: Stamp) -> None:
        """Last price and, where there is one, the venue's mark."""
        self.last_trade_ticks = event.price_ticks
        if event.mark_ticks is not None:
            self.venue_mark_ticks = event.mark_ticks
        self.trade_arrival_ns = stamp.monotonic_ns

    def apply_trade(self, event: TradePrint, stamp: Stamp) -> None:
        self.last_trade_ticks = event.price_ticks
        self.trade_arrival_ns = stamp.monotonic_ns

    def mark_stale(self, reason: str) -> None:
        """Throw the levels away; only a snapshot makes the book valid again."""
        self.is_valid = False
        self.stale_reason = reason
        self.bids, self.asks = {}, {}
        self.bid_prices, self.ask_prices = [], []
        self.best_bid_ticks = self.best_ask_ticks = 0

    @property
    def is_crossed(self) -> bool:
        """A bid at or above an ask: such a book is wrong, whatever its check sum says."""
        return self.best_ask_ticks != 0 and self.best_bid_ticks >= self.best_ask_ticks

    @property
    def is_good(self) -> bool:
        """Valid, two-sided and not crossed: its prices can be believed."""
        return self.is_valid and 0 < self.best_bid_ticks < self.best_ask_ticks

    @property
    def bid_plus_ask_ticks(self) -> int:
        """Twice the mid, exactly; 0 where a side is empty."""
        if self.best_bid_ticks and self.best_ask_ticks:
            return self.best_bid_ticks + self.best_ask_ticks
        return 0

    def touch_ticks(self, side: Side) -> int:
        """The price at which an order of `side` would take at once: best ask to buy, best bid to sell. 0 if none."""
        return self.best_ask_ticks if side is _BUY else self.best_bid_ticks

    def levels(self, side: Side, count: int) -> tuple[Level, ...]:
        """Up to `count` levels of the resting `side` (buy: the bids), best first."""
        if side is _BUY:
            return tuple((price, self.bids[price]) for price in islice(reversed(self.bid_prices), count))
        return tuple((price, self.asks[price]) for price in islice(self.ask_prices, count))

    def walk(self, side: Side, lots: int) -> int | None:
        """Lots · ticks paid (buy) or received (sell) for `lots` taken from the book; None with too little depth."""
        if side is _BUY:
            prices, quantities = iter(self.ask_prices), self.asks
        else:
            prices, quantities = reversed(self.bid_prices), self.bids
        total = 0
        left = lots
        for price in prices:
            here = quantities[price]
            if here >= left:
                return total + left * price
            total += here * price
            left -= here
        return None if left else total

    def implied_slippage(self, lots: int) -> tuple[int, int] | None:
        """The worse of buying and selling `lots` now against the mid, as an exact fraction; None with too little depth.

        (numerator, denominator > 0), so that it may be compared by cross multiplication.
        """
        bought = self.walk(_BUY, lots)
        sold = self.walk(_SELL, lots)
        middle = lots * self.bid_plus_ask_ticks
        if bought is None or sold is None or not middle:
            return None
        return max(2 * bought - middle, middle - 2 * sold), middle

    def _seen(self, book_seq: int, exchange_ns: int, arrival_ns: int) -> None:
        self.best_bid_ticks = self.bid_prices[-1] if self.bid_prices else 0
        self.best_ask_ticks = self.ask_prices[0] if self.ask_prices else 0
        self.book_seq = book_seq
        self.exchange_ns = exchange_ns
        self.arrival_ns = arrival_ns


def _set_levels(quantities: dict[int, int], prices: list[int], levels: tuple[Level, ...]) -> None:
    for price, lots in levels:
        if lots:
            if price not in quantities:
                insort(prices, price)
            quantities[price] = lots
        elif price in quantities:
            del quantities[price]
            del prices[bisect_left(prices, price)]
