"""What can be traded on an order book: the grid of prices and quantities, fees, and the words for an order's kind."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Side(StrEnum):
    """Which way an order or fill goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 where a fill raises the position, -1 where it lowers it."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """The five types of the venue, by their names on the wire."""

    MARKET = "market"
    LIMIT = "limit"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


TAKING = frozenset({OrderType.MARKET, OrderType.IOC, OrderType.FOK})
"""Types that trade at once or not at all."""


class TradingStatus(StrEnum):
    """What the venue lets orders of an instrument do."""

    TRADING = "trading"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    HALTED = "halted"
    MAINTENANCE = "maintenance"


class Step(msgspec.Struct, frozen=True, gc=False):
    """The distance of two neighbours on a grid: `units` · 10^-`digits`, so 0.25 is (25, 2)."""

    units: int
    digits: int


FOREIGN_DIGITS = 18
"""An atom of a currency that no instrument has (fees may be in one) is 10^-this: finer than any venue's."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One market. Prices are integers of `tick`, quantities of `lot`, money of the quote currency's atoms."""

    symbol: str
    base: str
    quote: str
    tick: Step
    lot: Step
    tick_value_atoms: int
    """Quote atoms that one lot changes in value when its price moves by one tick."""
    quote_digits: int
    """An atom of the quote currency is 10^-this."""
    min_lots: int
    max_lots: int
    min_notional_atoms: int
    price_band_bps: int
    maker_fee_ppm: int
    """Negative where the venue pays a rebate."""
    taker_fee_ppm: int
    status: TradingStatus = TradingStatus.TRADING

    def notional_atoms(self, lots: int, price_ticks: int) -> int:
        """Value of `lots` at `price_ticks` in quote atoms."""
        return lots * price_ticks * self.tick_value_atoms
