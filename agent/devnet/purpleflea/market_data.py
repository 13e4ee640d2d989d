"""Public frames: ticks, trades and books, as each session sees them.

A book is shown to a depth. What a session gets is a snapshot, then the differences of exactly that view, each with
the number before it and its own; both start at 1 in every session. Sessions with the same depth share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agent.devnet.purpleflea.engine import MatchingEngine
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.order_book import CHECKSUM_LEVELS, OrderBook, checksum
from agent.devnet.purpleflea.sessions import BookSubscription, Session

Send = Callable[[Session, dict[str, Any]], None]
Rows = list[list[str]]


class View:
    """The best levels of one book to one depth, as last shown."""

    def __init__(self, book: OrderBook, market: Market, depth: int) -> None:
        self._book = book
        self._market = market
        self._depth = depth
        self._bids = dict(book.bids.top(depth))
        self._asks = dict(book.asks.top(depth))

    def rows(self) -> tuple[Rows, Rows]:
        """Bids and asks in full, best first."""
        return self._rows(list(self._bids.items())), self._rows(list(self._asks.items()))

    def advance(self) -> tuple[Rows, Rows] | None:
        """What changed since last shown; None where nothing did."""
        bids, asks = dict(self._book.bids.top(self._depth)), dict(self._book.asks.top(self._depth))
        changes = _changes(self._bids, bids), _changes(self._asks, asks)
        self._bids, self._asks = bids, asks
        if not changes[0] and not changes[1]:
            return None
        return self._rows(changes[0]), self._rows(changes[1])

    def checksum(self) -> int:
        bids, asks = list(self._bids.items())[:CHECKSUM_LEVELS], list(self._asks.items())[:CHECKSUM_LEVELS]
        return checksum(self._rows(bids), self._rows(asks))

    def _rows(self, levels: Iterable[tuple[int, int]]) -> Rows:
        return [[self._market.price_text(price), self._market.lots_text(lots)] for price, lots in levels]


class MarketData:
    """Who hears what of the books."""

    def __init__(self, engine: MatchingEngine, send: Send) -> None:
        self._engine = engine
        self._send = send
        self._views: dict[tuple[str, int], View] = {}
        self._shown: dict[str, tuple[Any, ...]] = {}
        self._revision = dict.fromkeys(engine.markets, 0)
        self.index_ticks: dict[str, int] = {}
        """The flow's own idea of the worth, where there is a flow."""

    def subscribe_book(self, session: Session, symbol: str, depth: int) -> None:
        """Show the whole book, from which the differences start. A second request shows it anew."""
        known = session.books.get(symbol)
        session.books[symbol] = BookSubscription(depth, known.book_seq if known else 0)
        self._snapshot(session, symbol)

    def publish(self, sessions: Iterable[Session]) -> None:
        """After a step: to every session what changed for it."""
        dirty, self._engine.dirty = self._engine.dirty, set()
        live = list(sessions)
        # In the order of the markets: a set's own order is another in every process.
        for symbol in [symbol for symbol in self._engine.markets if symbol in dirty]:
            self._revision[symbol] += 1
            self._publish_book(symbol, [session for session in live if symbol in session.books])
            self.tick(symbol, [session for session in live if symbol in session.tickers])

    def tick(self, symbol: str, sessions: list[Session], *, is_forced: bool = False) -> None:
        """The ticker frame, where anything in it changed or `is_forced`."""
        book, market = self._engine.books[symbol], self._engine.markets[symbol]
        bid, ask = book.bids.best(), book.asks.best()
        trades = self._engine.trades
        now = (
            self._engine.last_ticks[symbol],
            bid and (bid.price_ticks, bid.lots),
            ask and (ask.price_ticks, ask.lots),
            len(trades),
        )
        if not is_forced and self._shown.get(symbol) == now:
            return
        if not is_forced:
            self._shown[symbol] = now
        if not sessions:
            return
        frame: dict[str, Any] = {
            "type": "tick",
            "symbol": symbol,
            "price": market.price_text(self._engine.last_ticks[symbol]),
            "exchange_ts": self._engine.exchange_us,
            "mark": market.price_text(self._engine.mark_ticks(symbol)),
            "index": market.price_text(self.index_ticks.get(symbol, self._engine.last_ticks[symbol])),
        }
        for name, level in (("bid", bid), ("ask", ask)):
            if level is not None:
                frame[name] = market.price_text(level.price_ticks)
                frame[f"{name}_qty"] = market.lots_text(level.lots)
        last = next((trade for trade in reversed(trades[-50:]) if trade.symbol == symbol), None)
        if last is not None:
            frame["last_qty"] = market.lots_text(last.lots)
        for session in sessions:
            known = session.books.get(symbol)
            self._send(session, {**frame, "book_seq": known.book_seq} if known else dict(frame))

    def forget(self) -> None:
        """The books are other ones than they were; nothing shown counts any more."""
        self._views.clear()
        self._shown.clear()

    def rest_book(self, symbol: str, depth: int) -> dict[str, Any]:
        """The book as the REST route gives it; its `book_seq` counts the changes of the book since the start."""
        bids, asks = View(self._engine.books[symbol], self._engine.markets[symbol], depth).rows()
        return {
            "symbol": symbol,
            "bids": bids,
            "asks": asks,
            "book_seq": self._revision[symbol],
            "exchange_ts": self._engine.exchange_us,
        }

    def _publish_book(self, symbol: str, sessions: list[Session]) -> None:
        wanted = {session.books[symbol].depth for session in sessions}
        for depth in sorted(wanted):
            view = self._view(symbol, depth)
            changes = view.advance()
            if changes is None:
                continue
            bids, asks = changes
            check = view.checksum()
            for session in sessions:
                own = session.books[symbol]
                if own.depth != depth:
                    continue
                own.book_seq += 1
                frame = {
                    "type": "book_delta",
                    "symbol": symbol,
                    "prev_seq": own.book_seq - 1,
                    "book_seq": own.book_seq,
                    "bids": bids,
                    "asks": asks,
                    "exchange_ts": self._engine.exchange_us,
                    "checksum": check,
                }
                self._send(session, frame)
        for key in [key for key in self._views if key[0] == symbol and key[1] not in wanted]:
            del self._views[key]

    def _snapshot(self, session: Session, symbol: str) -> None:
        own = session.books[symbol]
        view = self._view(symbol, own.depth)
        bids, asks = view.rows()
        own.book_seq += 1
        frame = {
            "type": "book_snapshot",
            "symbol": symbol,
            "book_seq": own.book_seq,
            "bids": bids,
            "asks": asks,
            "exchange_ts": self._engine.exchange_us,
            "checksum": view.checksum(),
        }
        self._send(session, frame)

    def _view(self, symbol: str, depth: int) -> View:
        view = self._views.get((symbol, depth))
        if view is None:
            view = View(self._engine.books[symbol], self._engine.markets[symbol], depth)
            self._views[symbol, depth] = view
        return view


def _changes(before: dict[int, int], after: dict[int, int]) -> list[tuple[int, int]]:
    gone = [(price, 0) for price in before if price not in after]
    return gone + [(price, lots) for price, lots in after.items() if before.get(price) != lots]
