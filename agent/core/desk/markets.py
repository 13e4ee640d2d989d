"""What is known of the markets: instruments, books, and when each market event came."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from agent.core.instruments import Instrument
from agent.core.market import Book

KEPT_ARRIVALS = 4_096
"""Market events whose time is remembered, of all symbols: more than the decision age and the input age ask for."""


class Arrivals(msgspec.Struct):
    """Journal sequence to monotonic time of the latest market events, oldest first; both lists ascend."""

    seqs: list[int] = []
    times_ns: list[int] = []

    def add(self, seq: int, monotonic_ns: int) -> None:
        self.seqs.append(seq)
        self.times_ns.append(monotonic_ns)
        if len(self.seqs) > 2 * KEPT_ARRIVALS:
            del self.seqs[:KEPT_ARRIVALS], self.times_ns[:KEPT_ARRIVALS]

    def of(self, seq: int) -> int | None:
        """When the event of this sequence came; None where it was no market event, or is too old to be kept."""
        at = bisect_left(self.seqs, seq)
        return self.times_ns[at] if at < len(self.seqs) and self.seqs[at] == seq else None

    def begin(self) -> None:
        """Forget all: after a start the monotonic clock has another origin."""
        self.seqs.clear()
        self.times_ns.clear()


class Market(msgspec.Struct):
    """One symbol."""

    symbol: str
    book: Book
    instrument: Instrument | None = None

    @property
    def mark_ticks(self) -> int:
        """The venue's mark; where it sends none the middle of a good book, rounded down, and 0 without one."""
        book = self.book
        return book.venue_mark_ticks or (book.bid_plus_ask_ticks >> 1 if book.is_good else 0)

    def mark_age_ns(self, now_ns: int) -> int | None:
        """Age of what `mark_ticks` comes from; None where it comes from nothing."""
        book = self.book
        if book.venue_mark_ticks:
            return now_ns - book.trade_arrival_ns
        return now_ns - book.arrival_ns if book.is_good else None


class Markets(msgspec.Struct):
    """All symbols that were ever named, in the order in which they were."""

    by_symbol: dict[str, Market] = {}
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)

    def of(self, symbol: str) -> Market:
        """The market of a symbol that the venue spoke of; from then on it is known."""
        market = self.by_symbol.get(symbol)
        if market is None:
            market = self.by_symbol[symbol] = Market(symbol, Book(symbol))
        return market

    def look(self, symbol: str) -> Market:
        """The same, without remembering a symbol that was only named by whoever asks."""
        return self.by_symbol.get(symbol) or Market(symbol, Book(symbol))

    def begin(self) -> None:
        """After a start nothing that was seen is fresh."""
        self.arrivals.begin()
        for market in self.by_symbol.values():
            market.book.mark_stale("no snapshot since the start")
            market.book.venue_mark_ticks = market.book.last_trade_ticks = 0
