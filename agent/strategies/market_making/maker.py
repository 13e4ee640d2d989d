"""A market maker: two post-only quotes by the GLFT formula, shifted by what it holds, pulled when flow turns toxic.

Theory of operation. The formula gives two distances from the middle, by how much the price moves and how much is
held. They are rounded outward, kept at least `min_half_spread_ticks` away, and made not to cross. A side on which the
position is at its bound has no quote. Both are pulled while the middle moves faster, or volume is more one-sided,
than is paid for: a maker who is only hit by those who know more pays the spread instead of earning it. Where a figure
is not ready there is no quote; a quote of yesterday's spread is a gift.

A quote that moves is amended, so there is never a moment with two of a side; one under way is left alone.
"""

from __future__ import annotations

from math import ceil, floor

import msgspec

from agent.core.events.market import TradePrint
from agent.core.events.orders import AmendRequested, CancelRequested, Fill, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.signals.limit_price import without_crossing
from agent.strategies.formulas.glft import glft
from agent.strategies.formulas.readiness import NotReady
from agent.strategies.formulas.volatility import Volatility
from agent.strategies.formulas.vpin import SignedVpin
from agent.strategies.order_book import Intent, MarketView, OwnOrder, Pulse

PPM = 1_000_000


class MakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in ticks, quantities in lots, time in seconds."""

    name: str
    symbol: str
    quote_lots: int
    max_position_lots: int
    gamma: float
    """Aversion to the risk of inventory, 1/(tick·lot)."""
    xi: float
    """Aversion to the risk of fills."""
    fill_rate: float
    """Fills a second at the middle."""
    k: float
    """How fast fills fall off with distance, 1/tick."""
    min_half_spread_ticks: int
    """Below it fees are not earned."""
    requote_ticks: int = 1
    """A quote nearer to where it should be than this is left: it keeps its place in the queue."""
    max_sigma_ticks: float
    """Per √s; the quotes are pulled above it."""
    max_vpin_ppm: int
    """The quotes are pulled above it."""
    vpin_bucket_lots: int
    vpin_buckets: int = 50
    sigma_alpha: float = 0.05
    sigma_warmup: int = 20
    sigma_spacing_ns: int = 100_000_000


class MarketMaker:
    """Quotes one symbol."""

    __slots__ = ("_pulse", "_settings", "_sigma", "_vpin")

    def __init__(self, settings: MakerSettings) -> None:
        self._settings = settings
        self._pulse = Pulse(settings.name)
        self._vpin = SignedVpin(settings.vpin_bucket_lots, settings.vpin_buckets)
        self._sigma = Volatility(settings.sigma_alpha, settings.sigma_warmup, settings.sigma_spacing_ns)

    @property
    def symbols(self) -> tuple[str, ...]:
        return (self._settings.symbol,)

    def on_book(self, view: MarketView) -> list[Intent]:
        """Bring the quotes to where they belong."""
        return [*self._pulse.beat(view.now_ns), *self._quote(view)]

    def on_trade(self, trade: TradePrint, view: MarketView) -> list[Intent]:
        """Count who took; the next change of the book acts on it."""
        self._vpin.add(trade.aggressor, trade.lots)
        return []

    def on_fill(self, fill: Fill, view: MarketView) -> list[Intent]:
        """The position changed, so do the quotes, at once."""
        return self._quote(view)

    def _quote(self, view: MarketView) -> list[Intent]:
        bid, ask = self._targets(view)
        intents: list[Intent] = []
        for side, target in ((Side.BUY, bid), (Side.SELL, ask)):
            intents += self._bring(view, side, target)
        return intents

    def _targets(self, view: MarketView) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """Price and lots of the two quotes; None where there should be none."""
        settings, book, position = self._settings, view.book, view.position_lots
        if not book.is_good:
            self._sigma.restart()
            return None, None
        total_ticks = book.bid_plus_ask_ticks
        twice_sigma = self._sigma.update(total_ticks, view.now_ns)
        vpin = self._vpin.value()
        if isinstance(twice_sigma, NotReady) or isinstance(vpin, NotReady):
            return None, None
        sigma = twice_sigma / 2
        if sigma > settings.max_sigma_ticks or vpin * PPM > settings.max_vpin_ppm:
            return None, None
        quotes = glft(
            total_ticks / 2,
            position,
            gamma=settings.gamma,
            xi=settings.xi,
            sigma=sigma,
            rate=settings.fill_rate,
            k=settings.k,
            size=settings.quote_lots,
        )
        if isinstance(quotes, NotReady):
            return None, None
        away = 2 * settings.min_half_spread_ticks
        bid_ticks = min(floor(quotes.bid), (total_ticks - away) // 2)
        ask_ticks = max(ceil(quotes.ask), -(-(total_ticks + away) // 2))
        room = settings.max_position_lots
        return (
            _sized(view, Side.BUY, bid_ticks, min(settings.quote_lots, room - position)),
            _sized(view, Side.SELL, ask_ticks, min(settings.quote_lots, room + position)),
        )

    def _bring(self, view: MarketView, side: Side, target: tuple[int, int] | None) -> list[Intent]:
        """What it takes to have the one quote of a side, and no other order."""
        orders = [order for order in view.orders if order.side is side]
        if target is None or len(orders) > 1:
            return [CancelRequested(order.client_order_id) for order in orders if order.is_settled]
        price_ticks, lots = target
        if orders:
            return self._move(orders[0], price_ticks, lots)
        return [
            PlaceRequested(
                strategy=self._settings.name,
                symbol=self._settings.symbol,
                side=side,
                order_type=OrderType.POST_ONLY,
                lots=lots,
                price_ticks=price_ticks,
                decided_seq=view.seq,
            )
        ]

    def _move(self, order: OwnOrder, price_ticks: int, lots: int) -> list[Intent]:
        is_near = abs(order.price_ticks - price_ticks) < self._settings.requote_ticks
        if not order.is_settled or (is_near and order.leaves_lots <= lots):
            return []
        return [
            AmendRequested(
                client_order_id=order.client_order_id, total_lots=order.cum_lots + lots, price_ticks=price_ticks
            )
        ]


def _sized(view: MarketView, side: Side, price_ticks: int, lots: int) -> tuple[int, int] | None:
    """A quote that may rest, or None where its price or its size leaves none."""
    book = view.book
    price = without_crossing(side, price_ticks, book.best_bid_ticks, book.best_ask_ticks)
    if price is None or price < 1 or lots < view.instrument.min_lots:
        return None
    return price, min(lots, view.instrument.max_lots)
