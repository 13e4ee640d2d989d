"""The market maker quotes outward, leans against what it holds, and pulls its quotes when flow turns toxic."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.events.orders import AmendRequested, CancelRequested, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.strategies.formulas.glft import glft
from agent.strategies.formulas.quotes import Quotes
from agent.strategies.market_making.maker import MakerSettings, MarketMaker
from agent.strategies.order_book import Intent
from tests.strategies.order_books import S, a_fill, a_trade, a_view, an_order

SETTINGS = MakerSettings(
    name="maker",
    symbol="BTC-USDC",
    quote_lots=10,
    max_position_lots=30,
    gamma=0.001,
    xi=0.001,
    fill_rate=1.0,
    k=0.5,
    min_half_spread_ticks=3,
    requote_ticks=2,
    max_sigma_ticks=5.0,
    max_vpin_ppm=500_000,
    vpin_bucket_lots=10,
    vpin_buckets=4,
    sigma_warmup=4,
)


def a_maker(**changes: Any) -> MarketMaker:
    """One that has seen a quiet market for long enough: the middle went up and down by a tick each second."""
    maker = MarketMaker(msgspec.structs.replace(SETTINGS, **changes))
    for second in range(6):
        up = second % 2
        maker.on_book(a_view(second * S, ((9_999 + up, 50),), ((10_001 + up, 50),)))
        maker.on_trade(a_trade(Side.BUY, 4), a_view(second * S))
        maker.on_trade(a_trade(Side.SELL, 4), a_view(second * S))
    return maker


def placed(intents: list[Intent]) -> dict[Side, PlaceRequested]:
    return {intent.side: intent for intent in intents if isinstance(intent, PlaceRequested)}


def test_two_quotes_that_rest() -> None:
    quotes = placed(a_maker().on_book(a_view(6 * S)))
    assert set(quotes) == set(Side)
    for quote in quotes.values():
        assert quote.order_type is OrderType.POST_ONLY
        assert (quote.lots, quote.strategy, quote.decided_seq) == (10, "maker", 6 * S)
    assert quotes[Side.BUY].price_ticks <= 9_997 and quotes[Side.SELL].price_ticks >= 10_003


def test_they_are_the_formulas_rounded_outward() -> None:
    """With a middle that jumped by a tick each second, sigma is one tick per √s."""
    expected = glft(10_000.0, 7, gamma=0.001, xi=0.001, sigma=1.0, rate=1.0, k=0.5, size=10)
    assert isinstance(expected, Quotes)
    quotes = placed(a_maker(min_half_spread_ticks=0).on_book(a_view(6 * S, position=7)))
    for side, exact in ((Side.BUY, expected.bid), (Side.SELL, expected.ask)):
        outward = side.sign * (exact - quotes[side].price_ticks)
        assert 0 <= outward < 1


def test_it_leans_against_what_it_holds() -> None:
    """And quotes nothing that would take the position beyond its bound."""
    maker = a_maker(gamma=0.1)
    prices = {}
    for position in (-30, -25, 0, 25, 30):
        quotes = placed(maker.on_fill(a_fill(Side.BUY, 1), a_view(6 * S, position=position)))
        prices[position] = {side: quote.price_ticks for side, quote in quotes.items()}
        for side, quote in quotes.items():
            assert quote.lots == min(10, 30 - side.sign * position)
    assert Side.BUY not in prices[30] and Side.SELL not in prices[-30]
    for side in Side:
        assert prices[25][side] <= prices[0][side] <= prices[-25][side]
    assert prices[25][Side.BUY] < prices[0][Side.BUY]


class TestPulled:
    ORDERS = (an_order(Side.BUY, 9_990, 10), an_order(Side.SELL, 10_010, 10))

    def test_when_volume_is_one_sided(self) -> None:
        maker = a_maker()
        for _ in range(10):
            maker.on_trade(a_trade(Side.SELL, 4), a_view(6 * S))
        self.all_cancelled(maker.on_book(a_view(6 * S, orders=self.ORDERS)))

    def test_when_the_price_moves_fast(self) -> None:
        maker = a_maker()
        intents = maker.on_book(a_view(6 * S, ((10_199, 50),), ((10_201, 50),), orders=self.ORDERS))
        self.all_cancelled(intents)

    def test_when_the_book_is_lost(self) -> None:
        view = a_view(6 * S, orders=self.ORDERS)
        view.book.mark_stale("a gap")
        self.all_cancelled(a_maker().on_book(view))

    def test_before_it_knows_enough(self) -> None:
        self.all_cancelled(MarketMaker(SETTINGS).on_book(a_view(0, orders=self.ORDERS)))

    def all_cancelled(self, intents: list[Intent]) -> None:
        asked = [intent for intent in intents if isinstance(intent, CancelRequested | PlaceRequested | AmendRequested)]
        assert asked == [CancelRequested(order.client_order_id) for order in self.ORDERS]


class TestRequoting:
    def wanted(self, maker: MarketMaker) -> int:
        return placed(maker.on_book(a_view(6 * S)))[Side.BUY].price_ticks

    @pytest.mark.parametrize(("off", "moves"), [(0, False), (1, False), (-1, False), (2, True), (-2, True)])
    def test_a_quote_near_its_place_keeps_it(self, off: int, moves: bool) -> None:
        maker = a_maker()
        bid = self.wanted(maker)
        order = an_order(Side.BUY, bid + off, 6, cum_lots=4)
        intents = maker.on_book(a_view(6 * S, orders=(order,)))
        amends = [intent for intent in intents if isinstance(intent, AmendRequested)]
        expected = [AmendRequested(client_order_id=order.client_order_id, total_lots=14, price_ticks=bid)]
        assert amends == (expected if moves else [])
        assert Side.BUY not in placed(intents)

    def test_one_under_way_is_left_alone(self) -> None:
        order = an_order(Side.BUY, 9_900, 10, is_settled=False)
        intents = a_maker().on_book(a_view(6 * S, orders=(order,)))
        assert not [intent for intent in intents if isinstance(intent, AmendRequested | CancelRequested)]
        assert Side.BUY not in placed(intents)

    def test_one_too_large_for_the_position_shrinks(self) -> None:
        maker = a_maker()
        view = a_view(6 * S, position=25)
        bid = placed(maker.on_book(view))[Side.BUY].price_ticks
        order = an_order(Side.BUY, bid, 10)
        intents = maker.on_book(a_view(6 * S, position=25, orders=(order,)))
        assert AmendRequested(client_order_id=order.client_order_id, total_lots=5, price_ticks=bid) in intents

    def test_of_two_on_a_side_both_go(self) -> None:
        orders = (an_order(Side.BUY, 9_990, 10), an_order(Side.BUY, 9_991, 10))
        intents = a_maker().on_book(a_view(6 * S, orders=orders))
        cancelled = [intent for intent in intents if isinstance(intent, CancelRequested)]
        assert [cancel.client_order_id for cancel in cancelled] == [order.client_order_id for order in orders]


@given(
    bid=st.integers(1, 20_000),
    spread=st.integers(1, 200),
    position=st.integers(-40, 40),
    gamma=st.floats(1e-6, 1.0),
    half=st.integers(0, 50),
)
def test_whatever_it_quotes_rests_and_keeps_the_bound(
    bid: int, spread: int, position: int, gamma: float, half: int
) -> None:
    maker = a_maker(gamma=gamma, min_half_spread_ticks=half, max_sigma_ticks=1e9)
    quotes = placed(maker.on_book(a_view(7 * S, ((bid, 5),), ((bid + spread, 5),), position=position)))
    for side, quote in quotes.items():
        assert quote.price_ticks >= 1
        assert quote.price_ticks < bid + spread if side is Side.BUY else quote.price_ticks > bid
        assert abs(position + side.sign * quote.lots) <= max(30, abs(position))
        assert side.sign * (2 * bid + spread - 2 * quote.price_ticks) >= 0 or half == 0
    if len(quotes) == 2:
        assert quotes[Side.BUY].price_ticks < quotes[Side.SELL].price_ticks


def test_it_shows_that_it_lives_once_a_second() -> None:
    maker = MarketMaker(SETTINGS)
    beats = [len(maker.on_book(a_view(now))) for now in (0, S - 1, S, S + 1, 2 * S)]
    assert beats == [1, 0, 1, 0, 1]
