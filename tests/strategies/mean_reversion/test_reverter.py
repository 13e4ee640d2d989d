"""Mean reversion enters against an unusual move of a price that returns, and leaves when it is back or does not come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.strategies.mean_reversion.reverter import MeanReverter, ReverterSettings
from agent.strategies.order_book import MarketView
from tests.strategies.order_books import S, a_view, an_order

SETTINGS = ReverterSettings(
    name="reverter", symbol="BTC-USDC", lots=5, alpha=0.1, warmup=10, window=12, entry_z=2.0, exit_z=0.5, stop_z=9.0
)
# Around 10,000, each step going back part of the way: b is positive and below one.
CALM = (0, 2, 1, 3, 2, 0, -2, -1, -3, -2, 0, 1, 2, 1, -1, -2, -1, 0)


def at_middle(second: int, offset: int, **changes: Any) -> MarketView:
    return a_view(second * S, ((9_999 + offset, 50),), ((10_001 + offset, 3),), **changes)


def a_reverter(offsets: tuple[int, ...] = CALM, **changes: Any) -> MeanReverter:
    reverter = MeanReverter(msgspec.structs.replace(SETTINGS, **changes))
    for second, offset in enumerate(offsets):
        assert orders(reverter, at_middle(second, offset)) == []
    return reverter


def orders(reverter: MeanReverter, view: MarketView) -> list[PlaceRequested]:
    return [intent for intent in reverter.on_book(view) if isinstance(intent, PlaceRequested)]


@pytest.mark.parametrize(("offset", "side", "lots", "price"), [(-6, Side.BUY, 3, 9_995), (6, Side.SELL, 5, 10_005)])
def test_it_enters_against_the_move_no_larger_than_the_touch(offset: int, side: Side, lots: int, price: int) -> None:
    (order,) = orders(a_reverter(), at_middle(18, offset))
    assert (order.side, order.lots, order.price_ticks) == (side, lots, price)
    assert (order.order_type, order.is_reduce_only) == (OrderType.IOC, False)


def test_a_usual_move_is_left_alone() -> None:
    assert orders(a_reverter(), at_middle(18, -2)) == []


def test_a_trend_scores_high_and_is_left_alone() -> None:
    """Faster and faster up: the last score is above the entry, and nothing reverts."""
    rising = tuple(step * step // 3 for step in range(18))
    assert orders(a_reverter(rising), at_middle(18, 140)) == []


def test_a_return_that_takes_too_long_is_left_alone() -> None:
    assert orders(a_reverter(max_half_life_s=0.01), at_middle(18, -6)) == []


def test_beyond_the_stop_nothing_is_entered() -> None:
    assert orders(a_reverter(stop_z=2.1), at_middle(18, -40)) == []


def test_with_an_order_at_work_it_waits() -> None:
    working = (an_order(Side.BUY, 9_995, 3),)
    assert orders(a_reverter(), at_middle(18, -6, orders=working)) == []


class TestLeaving:
    @pytest.mark.parametrize(("position", "offset"), [(3, 0), (-3, 0)])
    def test_when_the_price_is_back(self, position: int, offset: int) -> None:
        (order,) = orders(a_reverter(), at_middle(18, offset, position=position))
        assert order.side is (Side.SELL if position > 0 else Side.BUY)
        assert (order.lots, order.is_reduce_only) == (3, True)

    @pytest.mark.parametrize(("position", "offset"), [(3, -5), (-3, 5)])
    def test_not_before(self, position: int, offset: int) -> None:
        assert orders(a_reverter(), at_middle(18, offset, position=position)) == []

    @pytest.mark.parametrize(("position", "offset"), [(3, -80), (-3, 80)])
    def test_when_it_goes_on_to_the_stop(self, position: int, offset: int) -> None:
        (order,) = orders(a_reverter(), at_middle(18, offset, position=position))
        assert (order.lots, order.is_reduce_only) == (3, True)

    def test_when_it_reverts_no_more(self) -> None:
        (order,) = orders(a_reverter(max_half_life_s=0.01), at_middle(18, -5, position=3))
        assert order.is_reduce_only


def test_between_two_samples_nothing_counts() -> None:
    reverter = a_reverter()
    view = a_view(17 * S + S - 1, ((9_993, 50),), ((9_995, 3),))
    assert orders(reverter, view) == []
    assert len(orders(reverter, at_middle(18, -6))) == 1


def test_after_a_gap_the_fit_begins_anew() -> None:
    """The first sample behind it is unusual, and there is no window that says that it returns."""
    assert orders(a_reverter(), at_middle(40, -6)) == []
