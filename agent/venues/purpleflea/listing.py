"""What the venue trades and whether it does: instruments, their status, and its announced restart.

A status that allows less holds at once, whenever it is said to begin; one that allows more, not before its time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.events import Event
from agent.core.events.market import InstrumentDefined
from agent.core.instruments import Instrument, TradingStatus
from agent.venues.purpleflea import wire
from agent.venues.purpleflea.markets import Markets, instrument_of

_STRICTNESS = {
    TradingStatus.TRADING: 0,
    TradingStatus.POST_ONLY: 1,
    TradingStatus.CANCEL_ONLY: 2,
    TradingStatus.HALTED: 3,
    TradingStatus.MAINTENANCE: 4,
}
_NEVER_NS = 1 << 62


class Listing:
    """`define` takes a new instrument in; times are wall times of the venue."""

    def __init__(self, markets: Markets, symbols: tuple[str, ...], define: Callable[[Instrument], None]) -> None:
        self._markets = markets
        self._symbols = symbols
        self._define = define
        self._coming: dict[str, tuple[int, TradingStatus]] = {}

    @property
    def next_ns(self) -> int:
        """When the next announced status begins."""
        return min((at_ns for at_ns, _ in self._coming.values()), default=_NEVER_NS)

    def instrument(self, frame: wire.WireInstrument) -> list[Event]:
        """A market's terms, where they are new. Raises Malformed, NotDecimal or OffGrid."""
        instrument = instrument_of(frame)
        known = self._markets.by_symbol.get(frame.symbol)
        if frame.symbol not in self._symbols or (known is not None and known.instrument == instrument):
            return []
        self._define(instrument)
        return [InstrumentDefined(instrument)]

    def status(self, frame: wire.WireStatus, venue_ns: int) -> list[Event]:
        """Of one market, or of all."""
        symbols = [frame.symbol] if frame.symbol else list(self._markets.by_symbol)
        return [event for symbol in symbols for event in self._announced(symbol, frame, venue_ns)]

    def restarting(self) -> list[Event]:
        """The venue will restart: an order sent now could be lost in it, so until the next connection there are none."""
        self._coming.clear()
        return [
            event
            for symbol, market in self._markets.by_symbol.items()
            if _STRICTNESS[market.instrument.status] < _STRICTNESS[TradingStatus.CANCEL_ONLY]
            for event in self._set(symbol, TradingStatus.CANCEL_ONLY)
        ]

    def tick(self, venue_ns: int) -> list[Event]:
        """What was announced for now."""
        due = [symbol for symbol, (at_ns, _) in self._coming.items() if at_ns <= venue_ns]
        return [event for symbol in due for event in self._set(symbol, self._coming.pop(symbol)[1])]

    def _announced(self, symbol: str, frame: wire.WireStatus, venue_ns: int) -> list[Event]:
        market = self._markets.by_symbol.get(symbol)
        if market is None:
            return []
        self._coming.pop(symbol, None)
        is_later = frame.from_ns is not None and frame.from_ns > venue_ns
        if is_later and _STRICTNESS[frame.status] < _STRICTNESS[market.instrument.status]:
            assert frame.from_ns is not None
            self._coming[symbol] = (frame.from_ns, frame.status)
            return []
        return self._set(symbol, frame.status)

    def _set(self, symbol: str, status: TradingStatus) -> list[Event]:
        market = self._markets.by_symbol[symbol]
        if market.instrument.status is status:
            return []
        market.instrument = msgspec.structs.replace(market.instrument, status=status)
        return [InstrumentDefined(market.instrument)]
