"""What the venue trades: an instrument, how it is margined, in which currency its fees are."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agent.core.instruments import Instrument, Step, TradingStatus
from agent.devnet.purpleflea.decimals import steps_text, units_text

PPM = 1_000_000


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One order book's fixed terms."""

    instrument: Instrument
    first_price_ticks: int
    """Where the seeded flow starts, and what the price band is measured from before the first trade."""
    kind: Literal["margin", "spot"] = "margin"
    """margin: an account may be short, and holds `initial_margin_ppm` of its worst case. spot: it sells what it has."""
    initial_margin_ppm: int = 100_000
    fee_in: Literal["quote", "base", "third"] = "quote"
    third_currency: str = "PFT"
    """Of fees where `fee_in` is third; an account may owe them."""
    third_digits: int = 6
    third_price_ppm: int = PPM
    """Quote atoms that an atom of the third currency is worth, in millionths."""
    base_digits: int = 8
    """An atom of the base currency is 10^-this; a lot is a whole number of them."""

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def lot_atoms(self) -> int:
        """Base atoms in a lot."""
        lot = self.instrument.lot
        return lot.units * int(10 ** (self.base_digits - lot.digits))

    def price_text(self, ticks: int) -> str:
        return steps_text(ticks, self.instrument.tick)

    def lots_text(self, lots: int) -> str:
        return steps_text(lots, self.instrument.lot)

    @property
    def fee_currency(self) -> str:
        return {"quote": self.instrument.quote, "base": self.instrument.base, "third": self.third_currency}[self.fee_in]

    @property
    def fee_digits(self) -> int:
        """An atom of the fee currency is 10^-this."""
        return {"quote": self.instrument.quote_digits, "base": self.base_digits, "third": self.third_digits}[
            self.fee_in
        ]

    def fee_text(self, atoms: int) -> str:
        return units_text(atoms, self.fee_digits)

    def fee_atoms(self, lots: int, price_ticks: int, *, is_maker: bool) -> int:
        """Fee of one fill in atoms of `fee_currency`, rounded up; negative is a rebate, whose size is rounded down."""
        ppm = self.instrument.maker_fee_ppm if is_maker else self.instrument.taker_fee_ppm
        if self.fee_in == "base":
            return -(-lots * self.lot_atoms * ppm // PPM)
        price_ppm = self.third_price_ppm if self.fee_in == "third" else PPM
        return -(-self.instrument.notional_atoms(lots, price_ticks) * ppm // price_ppm)

    def frame(self, status: TradingStatus) -> dict[str, Any]:
        """The `instrument` frame."""
        own = self.instrument
        return {
            "type": "instrument",
            "symbol": own.symbol,
            "base": own.base,
            "quote": own.quote,
            "tick": steps_text(1, own.tick),
            "lot": steps_text(1, own.lot),
            "min_qty": self.lots_text(own.min_lots),
            "max_qty": self.lots_text(own.max_lots),
            "min_notional": units_text(own.min_notional_atoms, own.quote_digits),
            "price_band_bps": own.price_band_bps,
            "maker_fee_ppm": own.maker_fee_ppm,
            "taker_fee_ppm": own.taker_fee_ppm,
            "fee_ccy": self.fee_currency,
            "quote_digits": own.quote_digits,
            "quote_atoms_per_tick_lot": own.tick_value_atoms,
            "kind": self.kind,
            "initial_margin_ppm": self.initial_margin_ppm,
            "status": str(status),
        }


def default_markets() -> tuple[Market, ...]:
    """BTC-USDC and ETH-USDC, margined tenfold, with a maker rebate."""
    return (
        Market(
            instrument=Instrument(
                symbol="BTC-USDC",
                base="BTC",
                quote="USDC",
                tick=Step(1, 1),
                lot=Step(1, 3),
                tick_value_atoms=100,
                quote_digits=6,
                min_lots=1,
                max_lots=1_000_000,
                min_notional_atoms=10_000_000,
                price_band_bps=1_000,
                maker_fee_ppm=-50,
                taker_fee_ppm=450,
            ),
            first_price_ticks=600_000,
        ),
        Market(
            instrument=Instrument(
                symbol="ETH-USDC",
                base="ETH",
                quote="USDC",
                tick=Step(1, 2),
                lot=Step(1, 2),
                tick_value_atoms=100,
                quote_digits=6,
                min_lots=1,
                max_lots=1_000_000,
                min_notional_atoms=10_000_000,
                price_band_bps=1_000,
                maker_fee_ppm=-50,
                taker_fee_ppm=450,
            ),
            first_price_ticks=300_000,
        ),
    )
