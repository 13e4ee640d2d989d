"""The venue's books in their sequence: what may be believed goes on to the core, anything else starts a book anew.

Theory of operation
-------------------
A book is live from a snapshot on, and each delta must follow the one before it (`prev_seq`). A gap, a crossed book, a
check sum or a ticker that disagrees, a frame that is not well formed, too long a silence, or frames that come too late
all end the same way: the core hears BookStale, and a new snapshot is asked for. Deltas that come before that snapshot
wait for it; those that it contains are dropped. A snapshot replaces the book, it is never merged into one.

The levels are kept here a second time, beside the core's own, because crossing and check sum are known only after a delta
was applied, and the core is to hear of such a delta never.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import msgspec

from agent.core.events import Event, Stamp
from agent.core.events.market import BookDelta, BookSnapshot, BookStale, Level
from agent.core.instruments import Side
from agent.core.market import Book
from agent.venues.purpleflea.markets import Market
from agent.venues.purpleflea.strict import Malformed
from agent.venues.purpleflea.wire import WireDelta, WireSnapshot
from agent.venues.purpleflea.wire_types import WireLevel

CHECKED_LEVELS = 10
WAITING_MAX = 1_000
"""Deltas kept until a snapshot comes; with more than that the snapshot is asked for again."""


class Keeper(msgspec.Struct):
    """One symbol's book."""

    market: Market
    book: Book
    waiting: list[WireDelta] = []

    @classmethod
    def of(cls, market: Market) -> Keeper:
        return cls(market, Book(market.instrument.symbol))

    def snapshot(self, frame: WireSnapshot, stamp: Stamp) -> list[Event]:
        """A whole book, and what waited for it. Raises Malformed, NotDecimal or OffGrid: then the book is not to be had."""
        bids, asks = self._side(frame.bids, Side.BUY), self._side(frame.asks, Side.SELL)
        event = BookSnapshot(
            symbol=self.book.symbol,
            book_seq=frame.book_seq,
            bids=bids,
            asks=asks,
            exchange_ns=frame.exchange_ts * 1_000,
        )
        self.book.apply_snapshot(event, stamp)
        waiting, self.waiting = self.waiting, []
        if (wrong := self._wrong(frame.checksum)) is not None:
            return self.stale(wrong)
        events: list[Event] = [event]
        for delta in waiting:
            if delta.book_seq > self.book.book_seq:
                events += self.delta(delta, stamp)
        return events

    def delta(self, frame: WireDelta, stamp: Stamp) -> list[Event]:
        """Changed levels. Raises Malformed, NotDecimal or OffGrid, and leaves the book as it was."""
        book = self.book
        if not book.is_valid:
            if len(self.waiting) < WAITING_MAX:
                self.waiting.append(frame)
            return []
        if frame.book_seq <= book.book_seq:
            return []
        if frame.prev_seq != book.book_seq or frame.book_seq != frame.prev_seq + 1:
            self.waiting.append(frame)
            return self.stale("gap")
        event = BookDelta(
            symbol=book.symbol,
            book_seq=frame.book_seq,
            bids=self._levels(frame.bids),
            asks=self._levels(frame.asks),
            exchange_ns=frame.exchange_ts * 1_000,
        )
        book.apply_delta(event, stamp)
        wrong = self._wrong(frame.checksum)
        return [event] if wrong is None else self.stale(wrong)

    def contradicts(self, bid: str | None, ask: str | None) -> bool:
        """Whether a ticker of the same sequence names another best price: a level is here that should have gone."""
        book = self.book
        if not book.is_valid:
            return False
        prices = self.market.prices
        return (bid is not None and prices.parse(bid) != book.best_bid_ticks) or (
            ask is not None and prices.parse(ask) != book.best_ask_ticks
        )

    def stale(self, reason: str) -> list[Event]:
        """Throw the book away; said once, until a snapshot comes."""
        was_good = self.book.is_valid
        self.book.mark_stale(reason)
        return [BookStale(self.book.symbol, reason)] if was_good else []

    def restart(self) -> None:
        """A new connection: sequences begin anew."""
        self.book.mark_stale("not connected")
        self.waiting.clear()

    def checksum(self) -> int:
        """CRC-32 of "price:quantity" of the ten best levels, bid and ask in turn, joined by colons."""
        book, prices, lots = self.book, self.market.prices, self.market.lots
        sides = [
            [f"{prices.text(price)}:{lots.text(quantity)}" for price, quantity in book.levels(side, CHECKED_LEVELS)]
            for side in (Side.BUY, Side.SELL)
        ]
        turns = max(map(len, sides))
        return crc32(":".join(side[turn] for turn in range(turns) for side in sides if turn < len(side)).encode())

    def _wrong(self, checksum: int | None) -> str | None:
        if self.book.is_crossed:
            return "crossed"
        if checksum is not None and checksum != self.checksum():
            return "checksum"
        return None

    def _levels(self, levels: Sequence[WireLevel]) -> tuple[Level, ...]:
        prices, lots = self.market.prices, self.market.lots
        return tuple([(prices.positive(price), lots.natural(quantity)) for price, quantity in levels])

    def _side(self, levels: Sequence[WireLevel], side: Side) -> tuple[Level, ...]:
        """A side of a snapshot, which must be in order and without empty levels."""
        found = self._levels(levels)
        prices = [price * -side.sign for price, _ in found]
        if any(left >= right for left, right in pairwise(prices)):
            raise Malformed("levels out of order")
        if not all(quantity for _, quantity in found):
            raise Malformed("an empty level in a snapshot")
        return found
