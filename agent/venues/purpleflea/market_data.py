"""The public side: ticks, trades and books, how old each may be, and when a book is asked for anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from agent.core.events import Event, Stamp
from agent.core.events.market import MarketTick, TradePrint
from agent.core.market import Book
from agent.venues.purpleflea import encoder, wire
from agent.venues.purpleflea.books import Keeper
from agent.venues.purpleflea.markets import Markets
from agent.venues.purpleflea.options import Options

_MS = 1_000_000
_NEVER_NS = 1 << 62
_ASK_AFTER_MS = 1_000
_ASK_AFTER_MS_MAX = 30_000


class Now(msgspec.Struct):
    """The times of the call that is being answered."""

    monotonic_ns: int = 0
    wall_ns: int = 0


class _Watched(msgspec.Struct):
    """A book and when something is due for it. Monotonic times."""

    keeper: Keeper
    silent_at_ns: int = _NEVER_NS
    ask_at_ns: int = _NEVER_NS
    """When its snapshot is asked for the next time."""
    asked: int = 0
    """How often since the last snapshot."""


class MarketData:
    """Books by symbol. What it wants to say goes into the outbox."""

    def __init__(
        self,
        markets: Markets,
        symbols: tuple[str, ...],
        options: Options,
        *,
        now: Now,
        outbox: list[bytes],
        counters: Counter[str],
        malformed: Callable[[ValueError], list[Event]],
    ) -> None:
        self.offset_ns: int | None = None
        """The venue's clock minus ours, once it is known; without it nothing is called late."""
        self._markets = markets
        self._symbols = symbols
        self._options = options
        self._now = now
        self._outbox = outbox
        self._counters = counters
        self._malformed = malformed
        self._books: dict[str, _Watched] = {}
        self._ask_at_ns = _NEVER_NS
        """For a book that is first heard of behind its subscription, which it was part of."""
        self._unnamed_at_ns = _NEVER_NS
        """When the markets that the venue has not named yet are asked for: their `instrument` frame may be lost."""
        self._unnamed_asked = 0
        markets.awaited.update(symbols)

    def define(self, symbol: str) -> None:
        """A market; its book begins anew where the grid is another one."""
        market = self._markets.by_symbol[symbol]
        watched = self._books.get(symbol)
        if watched is None:
            if symbol in self._symbols:
                self._books[symbol] = _Watched(Keeper.of(market), ask_at_ns=self._ask_at_ns)
            return
        known, now = watched.keeper.market.instrument, market.instrument
        if (known.tick, known.lot) == (now.tick, now.lot):
            watched.keeper.market = market
        else:
            watched.keeper = Keeper.of(market)

    def restart(self) -> None:
        """A new connection, or none."""
        for watched in self._books.values():
            watched.keeper.restart()
            watched.silent_at_ns = watched.ask_at_ns = _NEVER_NS
            watched.asked = 0
        self._ask_at_ns = self._unnamed_at_ns = _NEVER_NS
        self._markets.awaited.update(symbol for symbol in self._symbols if symbol not in self._books)

    def subscribed(self) -> None:
        """All books were asked for just now, those that the venue has not named yet included."""
        self._ask_at_ns = self._now.monotonic_ns + 2 * _ASK_AFTER_MS * _MS
        self._unnamed_at_ns, self._unnamed_asked = self._ask_at_ns, 0
        for watched in self._books.values():
            watched.ask_at_ns = self._ask_at_ns

    def book_of(self, symbol: str) -> Book | None:
        """The book as the venue has it, live or not; None for a symbol that is not followed."""
        watched = self._books.get(symbol)
        return None if watched is None else watched.keeper.book

    # Frames

    def ticker(self, frame: wire.Tick) -> list[Event]:
        market = self._markets.by_symbol.get(frame.symbol)
        if market is None:
            self._counters["unknown_symbol"] += 1
            return []
        prices = market.prices
        exchange_ns = frame.exchange_ts * 1_000
        tick = MarketTick(
            symbol=frame.symbol,
            price_ticks=prices.positive(frame.price),
            mark_ticks=None if frame.mark is None else prices.positive(frame.mark),
            exchange_ns=exchange_ns,
        )
        if self.offset_ns is not None and self._is_late(exchange_ns):
            return []
        watched = self._books.get(frame.symbol)
        if (
            watched is not None
            and frame.book_seq == watched.keeper.book.book_seq
            and watched.keeper.contradicts(frame.bid, frame.ask)
        ):
            return [*self._begin_anew(watched, "ticker"), tick]
        return [tick]

    def trade(self, frame: wire.Trade) -> list[Event]:
        market = self._markets.by_symbol.get(frame.symbol)
        if market is None:
            self._counters["unknown_symbol"] += 1
            return []
        trade = TradePrint(
            symbol=frame.symbol,
            trade_id=frame.trade_id,
            price_ticks=market.prices.positive(frame.price),
            lots=market.lots.positive(frame.qty),
            aggressor=frame.aggressor,
            exchange_ns=frame.exchange_ts * 1_000,
        )
        return [] if self._is_late(trade.exchange_ns) else [trade]

    def snapshot(self, frame: wire.WireSnapshot) -> list[Event]:
        watched = self._books.get(frame.symbol)
        if watched is None:
            self._counters["unknown_symbol"] += 1
            return []
        if self._is_late(frame.exchange_ts * 1_000):
            return self._begin_anew(watched, "late")
        try:
            events = watched.keeper.snapshot(frame, Stamp(0, self._now.monotonic_ns, self._now.wall_ns))
        except ValueError as error:
            return self._begin_anew(watched, "malformed") + self._malformed(error)
        if not watched.keeper.book.is_valid:
            return events + self._begin_anew(watched, watched.keeper.book.stale_reason)
        watched.asked = 0
        watched.ask_at_ns = _NEVER_NS
        watched.silent_at_ns = self._now.monotonic_ns + self._options.book_silence_ms * _MS
        return events

    def delta(self, frame: wire.WireDelta) -> list[Event]:
        watched = self._books.get(frame.symbol)
        if watched is None:
            self._counters["unknown_symbol"] += 1
            return []
        if self._is_late(frame.exchange_ts * 1_000):
            return self._begin_anew(watched, "late")
        keeper = watched.keeper
        was_good = keeper.book.is_valid
        try:
            events = keeper.delta(frame, Stamp(0, self._now.monotonic_ns, self._now.wall_ns))
        except ValueError as error:
            return self._begin_anew(watched, "malformed") + self._malformed(error)
        if keeper.book.is_valid:
            watched.silent_at_ns = self._now.monotonic_ns + self._options.book_silence_ms * _MS
        elif was_good:
            return events + self._begin_anew(watched, keeper.book.stale_reason)
        return events

    # Staleness

    def stale(self, symbol: str, reason: str) -> list[Event]:
        """The venue will not give this book."""
        watched = self._books.get(symbol)
        if watched is None:
            self._markets.awaited.discard(symbol)
            return []
        watched.ask_at_ns = _NEVER_NS
        return watched.keeper.stale(reason)

    def distrust(self, reason: str) -> list[Event]:
        """No book is to be believed: each that was good is asked for anew."""
        events: list[Event] = []
        for watched in self._books.values():
            if watched.keeper.book.is_valid:
                events += self._begin_anew(watched, reason)
        return events

    def ask_again(self, symbol: str) -> bytes:
        """The frame that asks for a book anew; empty where that is done already or the symbol is not ours."""
        watched = self._books.get(symbol)
        if watched is None or watched.ask_at_ns != _NEVER_NS:
            return b""
        watched.keeper.stale("asked for anew")
        return self._request(watched)

    def tick(self) -> list[Event]:
        """Ask for what was asked for in vain, and give up what has been silent for too long."""
        events: list[Event] = []
        monotonic_ns = self._now.monotonic_ns
        for watched in self._books.values():
            if monotonic_ns >= watched.silent_at_ns:
                events += self._begin_anew(watched, "silent")
            if monotonic_ns >= watched.ask_at_ns:
                self._ask(watched)
        if monotonic_ns >= self._unnamed_at_ns:
            self._ask_unnamed()
        return events

    @property
    def next_deadline_ns(self) -> int:
        books_ns = min((min(one.silent_at_ns, one.ask_at_ns) for one in self._books.values()), default=_NEVER_NS)
        return min(books_ns, self._unnamed_at_ns)

    def _is_late(self, exchange_ns: int) -> bool:
        if self.offset_ns is None or self._now.wall_ns + self.offset_ns - exchange_ns <= self._options.late_ms * _MS:
            return False
        self._counters["late"] += 1
        return True

    def _begin_anew(self, watched: _Watched, reason: str) -> list[Event]:
        """The book is not to be believed: say so once, and ask for a snapshot, more slowly each time."""
        self._counters[f"book {reason}"] += 1
        events = watched.keeper.stale(reason)
        watched.silent_at_ns = _NEVER_NS
        if not watched.asked:
            self._ask(watched)
        elif watched.ask_at_ns == _NEVER_NS:
            watched.ask_at_ns = self._now.monotonic_ns + _pause_ns(watched.asked)
        return events

    def _ask_unnamed(self) -> None:
        """A venue names a market behind each subscription to it, so one that it did not name is subscribed to again."""
        unnamed = [symbol for symbol in self._symbols if symbol in self._markets.awaited]
        if not unnamed:
            self._unnamed_at_ns = _NEVER_NS
            return
        self._counters["instrument asked for"] += 1
        self._unnamed_asked += 1
        self._unnamed_at_ns = self._now.monotonic_ns + _pause_ns(self._unnamed_asked)
        self._outbox.append(encoder.subscribe(("orderbook",), unnamed, depth=self._options.depth))

    def _ask(self, watched: _Watched) -> None:
        self._outbox.append(self._request(watched))

    def _request(self, watched: _Watched) -> bytes:
        """The frame that asks for a snapshot, and the time at which it will be asked for again."""
        watched.asked += 1
        watched.ask_at_ns = self._now.monotonic_ns + _pause_ns(watched.asked)
        return encoder.subscribe(("orderbook",), (watched.keeper.book.symbol,), depth=self._options.depth)


def _pause_ns(asked: int) -> int:
    return min(_ASK_AFTER_MS << min(asked, 8), _ASK_AFTER_MS_MAX) * _MS
