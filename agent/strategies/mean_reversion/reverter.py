"""Mean reversion: buy what fell unusually far below its mean, sell what rose above it, close when it is back.

Theory of operation. The middle is sampled at a fixed distance in time. A sample's score against those before it says
how unusual it is; a fit of the last `window` samples says whether the price returns at all, and how soon: a trend
scores as high as a deviation, and is what ruins this strategy. It enters once, in a small size, and leaves when the
score is back within `exit_z`, when it has gone on to `stop_z`, or when the samples stop reverting.
"""

from __future__ import annotations

import msgspec

from agent.core.events.market import TradePrint
from agent.core.events.orders import Fill
from agent.core.instruments import Side
from agent.strategies.formulas.ewma_z import EwmaZ
from agent.strategies.formulas.ornstein_uhlenbeck import mean_reversion
from agent.strategies.formulas.readiness import NotReady
from agent.strategies.order_book import Intent, MarketView, Pulse, close, take

NANO = 1_000_000_000


class ReverterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Scores in standard deviations."""

    name: str
    symbol: str
    lots: int
    sample_ns: int = NANO
    alpha: float = 0.05
    warmup: int = 60
    window: int = 120
    """Samples of the fit."""
    entry_z: float = 2.5
    exit_z: float = 0.5
    stop_z: float = 5.0
    max_half_life_s: float = 60.0


class MeanReverter:
    """Trades one symbol."""

    __slots__ = ("_next_ns", "_pulse", "_samples", "_score", "_settings")

    def __init__(self, settings: ReverterSettings) -> None:
        self._settings = settings
        self._pulse = Pulse(settings.name)
        self._score = EwmaZ(settings.alpha, settings.warmup)
        self._samples: list[int] = []
        self._next_ns = 0

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self._settings.symbol,)

    def on_book(self, view: MarketView) -> list[Intent]:
        """Take a sample where one is due, and act on it."""
        intents = self._pulse.beat(view.now_ns)
        settings = self._settings
        if not view.book.is_good or view.now_ns < self._next_ns:
            return intents
        if view.now_ns - self._next_ns >= settings.sample_ns and self._samples:
            # Samples were missed: those before are no neighbours of what comes now.
            self._samples.clear()
        self._next_ns = view.now_ns + settings.sample_ns
        sample = view.book.bid_plus_ask_ticks
        score = self._score.update(sample)
        self._samples.append(sample)
        del self._samples[: -settings.window]
        if isinstance(score, NotReady) or view.orders:
            return intents
        if view.position_lots:
            return [*intents, *self._leave(view, score)]
        return [*intents, *self._enter(view, score)]

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]:
        """Only the middle counts here."""
        return []

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]:
        """The next sample acts on the new position."""
        return []

    def _enter(self, view: MarketView, score: float) -> list[Intent]:
        settings = self._settings
        if not settings.entry_z <= abs(score) < settings.stop_z or not self._reverts():
            return []
        side = Side.BUY if score < 0 else Side.SELL
        book = view.book
        there = book.asks[book.best_ask_ticks] if side is Side.BUY else book.bids[book.best_bid_ticks]
        lots = min(settings.lots, there, view.instrument.max_lots)
        return [take(settings.name, view, side, lots)] if lots >= view.instrument.min_lots else []

    def _leave(self, view: MarketView, score: float) -> list[Intent]:
        away = -score if view.position_lots > 0 else score
        if self._settings.exit_z < away < self._settings.stop_z and self._reverts():
            return []
        return close(self._settings.name, view)

    def _reverts(self) -> bool:
        if len(self._samples) < self._settings.window:
            return False
        process = mean_reversion(self._samples, self._settings.sample_ns / NANO)
        return not isinstance(process, NotReady) and process.half_life <= self._settings.max_half_life_s
