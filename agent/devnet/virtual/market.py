"""The markets of a world: a price that walks, a book around it, and other people's trades."""

from __future__ import annotations

import random

import msgspec

from agent.core.events.market import Level
from agent.core.instruments import Instrument, Side, Step
from agent.devnet.virtual.ledger import SIGNAL_LOTS

LEVELS = 5

BTC = Instrument(
    symbol="BTC-USDC",
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 3),
    tick_value_atoms=100,
    quote_digits=6,
    min_lots=1,
    max_lots=100_000,
    min_notional_atoms=10_000_000,
    price_band_bps=1_000,
    maker_fee_ppm=-100,
    taker_fee_ppm=500,
)
ETH = msgspec.structs.replace(BTC, symbol="ETH-USDC", base="ETH", tick=Step(1, 2), lot=Step(1, 2))
START_TICKS = {BTC.symbol: 600_000, ETH.symbol: 300_000}


class Market:
    """One symbol. `bids` and `asks` are what others offer; the agent's orders stand beside them, in the venue."""

    def __init__(self, instrument: Instrument, stream: random.Random) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._stream = stream
        self.mid_ticks = START_TICKS[instrument.symbol]
        self.last_ticks = self.mid_ticks
        self.lowest_ticks = self.mid_ticks
        """The lowest price that was ever bid."""
        self.book_seq = 0
        self.bids: tuple[Level, ...] = ()
        self.asks: tuple[Level, ...] = ()
        self.move()

    def move(self) -> None:
        """The next book: the middle a few ticks on, a spread of 2 to 12, quantities anew."""
        stream = self._stream
        self.mid_ticks = max(1_000, self.mid_ticks + stream.randint(-12, 12))
        half = stream.randint(1, 6)
        best_bid, best_ask = self.mid_ticks - half, self.mid_ticks + half
        self.bids = tuple((best_bid - level * 3, SIGNAL_LOTS * stream.randint(2, 40)) for level in range(LEVELS))
        self.asks = tuple((best_ask + level * 3, SIGNAL_LOTS * stream.randint(2, 40)) for level in range(LEVELS))
        self.last_ticks = self.bids[0][0] if stream.random() < 0.5 else self.asks[0][0]
        self.lowest_ticks = min(self.lowest_ticks, self.bids[0][0])
        self.book_seq += 1

    @property
    def bid_ticks(self) -> int:
        return self.bids[0][0]

    @property
    def ask_ticks(self) -> int:
        return self.asks[0][0]

    def touch_ticks(self, side: Side) -> int:
        """The best price that an order of `side` can be filled at."""
        return self.ask_ticks if side is Side.BUY else self.bid_ticks

    def is_crossing(self, side: Side, price_ticks: int) -> bool:
        """Whether an order of `side` at this price takes what others offer."""
        return price_ticks >= self.ask_ticks if side is Side.BUY else price_ticks <= self.bid_ticks

    def takeable(self, side: Side, price_ticks: int) -> list[Level]:
        """The levels that such an order meets, best first."""
        if side is Side.BUY:
            return [level for level in self.asks if level[0] <= price_ticks]
        return [level for level in self.bids if level[0] >= price_ticks]
