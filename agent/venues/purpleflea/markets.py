"""The instruments as the wire needs them: grids for each kind of number, and the fixed parts of an order's frame.

Orders are looked up here, too: acknowledgements and cancels name the order and not its symbol, so that their quantities
can be read only by who remembers what was placed.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from agent.core.instruments import FOREIGN_DIGITS, Instrument, Step
from agent.venues.purpleflea import decimals
from agent.venues.purpleflea.decimals import Grid
from agent.venues.purpleflea.strict import Malformed
from agent.venues.purpleflea.wire import WireInstrument

CLOSED_KEPT = 4_096
"""Orders that ended and are remembered for their late frames."""
_FOREIGN = Grid(Step(1, FOREIGN_DIGITS))
TRADES_KEPT = 16_384
"""Trades whose market is remembered, for a bust or a correction."""


class Market(msgspec.Struct):
    """One instrument with its grids."""

    instrument: Instrument
    prices: Grid
    lots: Grid
    money: Grid
    """Quote atoms."""
    places: dict[tuple[str, str, bool], str] = {}
    """The fixed part of a place frame, up to its quantity."""

    @classmethod
    def of(cls, instrument: Instrument) -> Market:
        return cls(
            instrument,
            Grid(instrument.tick),
            Grid(instrument.lot),
            Grid(Step(1, instrument.quote_digits)),
        )

    def floor_lots(self, text: str) -> int:
        """Whole lots in a balance of the base currency, which may hold dust below one. Raises NotDecimal."""
        return decimals.floor(text, self.instrument.lot)

    def ceil_lots(self, text: str) -> int:
        """The same rounded up, as what is paid is. Raises NotDecimal."""
        return -decimals.floor(text[1:] if text[:1] == "-" else f"-{text}", self.instrument.lot)


class Markets:
    """All instruments, and which one an order or trade belongs to."""

    def __init__(self) -> None:
        self.by_symbol: dict[str, Market] = {}
        self.awaited: set[str] = set()
        """Symbols that were subscribed to, and the venue has neither named nor refused yet."""
        self._live: dict[str, Market] = {}
        self._closed: OrderedDict[str, Market] = OrderedDict()
        self._trades: OrderedDict[str, Market] = OrderedDict()

    def define(self, instrument: Instrument) -> None:
        """Add an instrument, or replace it; orders of it are read by the new grid from here on."""
        market = Market.of(instrument)
        self.awaited.discard(instrument.symbol)
        self.by_symbol[instrument.symbol] = market
        for orders in (self._live, self._closed, self._trades):
            for name, known in orders.items():
                if known.instrument.symbol == instrument.symbol:
                    orders[name] = market

    def fee(self, market: Market, text: str, currency: str) -> int:
        """Of a trade in `market`: quote atoms, or lots of the base. Raises NotDecimal, OffGrid.

        In a currency of neither kind it counts as that currency's balance does: atoms where another market is quoted in
        it, whole lots, rounded up, where it is another's base, and `FOREIGN_DIGITS` where no market has it.
        """
        instrument = market.instrument
        if currency == instrument.quote:
            return market.money.parse(text)
        if currency == instrument.base:
            return market.lots.parse(text)
        for other in self.by_symbol.values():
            if other.instrument.quote == currency:
                return other.money.parse(text)
            if other.instrument.base == currency:
                return other.ceil_lots(text)
        return _FOREIGN.parse(text)

    def remember(self, client_order_id: str, symbol: str) -> Market:
        """An order of ours that may still be heard of. KeyError for a symbol that was not defined."""
        market = self._live[client_order_id] = self.by_symbol[symbol]
        return market

    def close(self, client_order_id: str) -> None:
        """An order that ended: kept for late frames, but not for ever."""
        market = self._live.pop(client_order_id, None)
        if market is not None:
            self._closed[client_order_id] = market
            if len(self._closed) > CLOSED_KEPT:
                self._closed.popitem(last=False)

    def knows(self, client_order_id: str) -> bool:
        return client_order_id in self._live or client_order_id in self._closed

    def traded(self, trade_id: str, market: Market) -> None:
        """A trade that the venue may take back."""
        self._trades[trade_id] = market
        if len(self._trades) > TRADES_KEPT:
            self._trades.popitem(last=False)

    def of_order(self, client_order_id: str, symbol: str) -> Market:
        """The market of an order: as remembered, else by the symbol in its frame, else the one with the finest lot.

        The last is for orders that are not ours, whose quantities nothing is decided by. Raises Malformed without any.
        """
        market = self._live.get(client_order_id) or self._closed.get(client_order_id)
        return market if market is not None else self._of(symbol)

    def of_trade(self, trade_id: str, symbol: str) -> Market:
        """The market of a trade. Raises Malformed where no instrument is known."""
        market = self._trades.get(trade_id)
        return market if market is not None else self._of(symbol)

    def _of(self, symbol: str) -> Market:
        market = self.by_symbol.get(symbol)
        if market is not None:
            return market
        if symbol or not self.by_symbol:
            raise Malformed("an order of an unknown instrument")
        return max(self.by_symbol.values(), key=lambda one: one.instrument.lot.digits)


def instrument_of(frame: WireInstrument) -> Instrument:
    """The core's instrument. Raises Malformed, NotDecimal or OffGrid where its figures do not fit together."""
    base, dash, quote = frame.symbol.partition("-")
    if not (base and dash and quote):
        raise Malformed("a symbol is BASE-QUOTE")
    tick, lot = decimals.step_of(frame.tick), decimals.step_of(frame.lot)
    # tick · lot · 10^quote_digits atoms is what one lot's value changes by with one tick.
    atoms, units = frame.quote_atoms_per_tick_lot * 10 ** (tick.digits + lot.digits), tick.units * lot.units
    quote_digits = len(str(atoms // units)) - 1
    if atoms != units * 10**quote_digits or quote_digits > decimals.DIGITS_MAX:
        raise Malformed("the value of a tick is no power of ten of the quote currency")
    return Instrument(
        symbol=frame.symbol,
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        tick_value_atoms=frame.quote_atoms_per_tick_lot,
        quote_digits=quote_digits,
        min_lots=decimals.parse(frame.min_qty, lot),
        max_lots=decimals.parse(frame.max_qty, lot),
        min_notional_atoms=decimals.parse(frame.min_notional, Step(1, quote_digits)),
        price_band_bps=frame.price_band_bps,
        maker_fee_ppm=frame.maker_fee_ppm,
        taker_fee_ppm=frame.taker_fee_ppm,
        status=frame.status,
    )
