"""From rules to an order that may go out: limits, collars, grid, and what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.instruments import OrderType, Side
from agent.core.signals.limit_price import collar_ticks, slippage_bound_ticks, without_crossing
from agent.core.signals.order_types import select_order_type, without_taking
from agent.core.signals.routing import Routed, route

# A spread of 40 bps, wide enough for every rule but the tight one.
WIDE: dict[str, Any] = {"bid_ticks": 9_980, "ask_ticks": 10_020}
TIGHT: dict[str, Any] = {"bid_ticks": 9_999, "ask_ticks": 10_001}


def routed(side: Side, urgency: int, **changes: Any) -> Routed | None:
    given: dict[str, Any] = {
        "limit_ticks": 20_000 if side is Side.BUY else 1,
        "filled_lots": 0,
        "target_lots": 10,
        "maker_rebate_ppm": 100,
        "max_slippage_ppm": 100_000,
        "collar_ppm": 5_000,
    }
    return route(side, urgency=urgency, **(given | WIDE | changes))


class TestMarket:
    def test_it_is_an_ioc_with_a_collar_behind_the_touch(self) -> None:
        """5,000 ppm of 10,000 are 50 ticks."""
        assert routed(Side.BUY, 9) == (OrderType.MARKET, OrderType.IOC, 10_070)
        assert routed(Side.SELL, 9) == (OrderType.MARKET, OrderType.IOC, 9_930)

    def test_the_collar_is_at_least_a_tick_and_rounded_up(self) -> None:
        assert [collar_ticks(99, 101, ppm) for ppm in (0, 1, 10_000, 10_001)] == [1, 1, 1, 2]
        assert collar_ticks(100, 101, 10_000) == 2

    def test_the_signals_limit_holds_before_the_collar(self) -> None:
        assert routed(Side.BUY, 9, limit_ticks=10_030) == (OrderType.MARKET, OrderType.IOC, 10_030)
        assert routed(Side.SELL, 9, limit_ticks=9_970) == (OrderType.MARKET, OrderType.IOC, 9_970)

    def test_the_allowed_slippage_holds_before_the_collar(self) -> None:
        assert routed(Side.BUY, 9, max_slippage_ppm=3_000) == (OrderType.MARKET, OrderType.IOC, 10_030)
        assert routed(Side.SELL, 9, max_slippage_ppm=3_000) == (OrderType.MARKET, OrderType.IOC, 9_970)

    @pytest.mark.parametrize(("side", "at", "short_of"), [(Side.BUY, 10_020, 10_019), (Side.SELL, 9_980, 9_981)])
    def test_it_waits_until_the_touch_is_within_the_limit(self, side: Side, at: int, short_of: int) -> None:
        assert routed(side, 9, limit_ticks=at) == (OrderType.MARKET, OrderType.IOC, at)
        assert routed(side, 9, limit_ticks=short_of) is None


class TestTaking:
    @pytest.mark.parametrize(("side", "touch"), [(Side.BUY, 10_001), (Side.SELL, 9_999)])
    def test_what_only_takes_is_priced_at_the_touch(self, side: Side, touch: int) -> None:
        assert routed(side, 5, **TIGHT) == (OrderType.IOC, OrderType.IOC, touch)
        assert routed(side, 6, filled_lots=9) == (OrderType.FOK, OrderType.FOK, 10_020 if side is Side.BUY else 9_980)

    def test_nothing_takes_while_only_resting_orders_are_allowed(self) -> None:
        for urgency, changes in ((9, {}), (5, TIGHT), (6, {"filled_lots": 9})):
            order = routed(Side.BUY, urgency, is_limit_only=True, **changes)
            assert order is not None and order.order_type is OrderType.LIMIT
        assert [without_taking(order_type).value for order_type in OrderType] == ["limit"] * 4 + ["post_only"]

    @pytest.mark.parametrize(("side", "price"), [(Side.BUY, 10_017), (Side.SELL, 9_983)])
    def test_an_urgent_one_that_must_rest_is_rounded_towards_the_touch(self, side: Side, price: int) -> None:
        """Urgency 9 lies at 10,000 ± 20 · 0.8 = 16; with a spread of 41 at 10,000.5 ± 16.4, so 10,016.9 for a buy."""
        book = (
            {"bid_ticks": 9_980, "ask_ticks": 10_021} if side is Side.BUY else {"bid_ticks": 9_979, "ask_ticks": 10_020}
        )
        order = routed(side, 9, is_limit_only=True, **book)
        assert order == (OrderType.MARKET, OrderType.LIMIT, price)


class TestResting:
    @pytest.mark.parametrize(("side", "price"), [(Side.BUY, 9_984), (Side.SELL, 10_016)])
    def test_a_patient_one_is_post_only(self, side: Side, price: int) -> None:
        assert routed(side, 1) == (OrderType.POST_ONLY, OrderType.POST_ONLY, price)

    def test_it_may_rest_though_the_touch_is_beyond_its_limit(self) -> None:
        assert routed(Side.BUY, 4, limit_ticks=9_000) == (OrderType.LIMIT, OrderType.LIMIT, 9_000)
        assert routed(Side.SELL, 4, limit_ticks=11_000) == (OrderType.LIMIT, OrderType.LIMIT, 11_000)

    def test_a_limit_order_may_take_at_a_locked_touch(self) -> None:
        locked = {"bid_ticks": 10_000, "ask_ticks": 10_000}
        assert routed(Side.BUY, 4, **locked) == (OrderType.LIMIT, OrderType.LIMIT, 10_000)

    def test_a_spread_of_one_tick_leaves_the_touch(self) -> None:
        """Post-only in a spread of one tick: a buy at 100.1 rounds to the bid, a sale at 100.9 to the ask."""
        book = {"bid_ticks": 100, "ask_ticks": 101}
        assert routed(Side.BUY, 3, **book) == (OrderType.POST_ONLY, OrderType.POST_ONLY, 100)
        assert routed(Side.SELL, 3, **book) == (OrderType.POST_ONLY, OrderType.POST_ONLY, 101)

    @pytest.mark.parametrize(
        ("side", "price", "expected"),
        [
            (Side.BUY, 100, 100),
            (Side.BUY, 101, 100),
            (Side.BUY, 105, 100),
            (Side.SELL, 101, 101),
            (Side.SELL, 100, 101),
            (Side.SELL, 95, 101),
        ],
    )
    def test_a_price_that_would_take_is_moved_to_its_own_touch(self, side: Side, price: int, expected: int) -> None:
        assert without_crossing(side, price, 100, 101) == expected

    def test_at_a_locked_touch_only_what_stands_back_is_left(self) -> None:
        assert [without_crossing(Side.BUY, price, 100, 100) for price in (99, 100)] == [99, None]
        assert [without_crossing(Side.SELL, price, 100, 100) for price in (101, 100)] == [101, None]


touches = st.tuples(st.integers(1, 10**6), st.integers(0, 10**4)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    side=st.sampled_from(Side),
    urgency=st.integers(1, 10),
    touch=touches,
    limit=st.integers(1, 2 * 10**6),
    filled=st.integers(0, 10),
    rebate=st.integers(-100, 100),
    slippage=st.integers(0, 999_999),
    collar=st.integers(0, 20_000),
    is_limit_only=st.booleans(),
)
def test_whatever_goes_out_keeps_its_limits(
    side: Side,
    urgency: int,
    touch: tuple[int, int],
    limit: int,
    filled: int,
    rebate: int,
    slippage: int,
    collar: int,
    is_limit_only: bool,
) -> None:
    bid, ask = touch
    order = route(
        side,
        urgency=urgency,
        limit_ticks=limit,
        bid_ticks=bid,
        ask_ticks=ask,
        filled_lots=filled,
        target_lots=10,
        maker_rebate_ppm=rebate,
        max_slippage_ppm=slippage,
        collar_ppm=collar,
        is_limit_only=is_limit_only,
    )
    if order is None:
        return
    price, sign = order.price_ticks, side.sign
    assert price >= 1
    assert sign * price <= sign * limit, "never beyond the signal's limit"
    away_ppm = sign * (2 * price - bid - ask) * 1_000_000
    assert away_ppm <= slippage * (bid + ask), "nor beyond its slippage"
    assert order.order_type is not OrderType.MARKET
    near = ask if side is Side.BUY else bid
    if order.order_type is OrderType.POST_ONLY:
        assert sign * price < sign * near, "post-only does not take"
    if order.order_type in (OrderType.IOC, OrderType.FOK):
        assert sign * price >= sign * near, "what only takes reaches the touch"
    if is_limit_only:
        assert order.order_type in (OrderType.LIMIT, OrderType.POST_ONLY)
    assert order.chosen is select_order_type(
        urgency=urgency, bid_ticks=bid, ask_ticks=ask, filled_lots=filled, target_lots=10, maker_rebate_ppm=rebate
    )


@pytest.mark.parametrize(
    "changes",
    [{"urgency": 0}, {"urgency": 11}, {"bid_ticks": 0}, {"bid_ticks": 102}, {"target_lots": 0}],
    ids=lambda changes: str(changes),
)
def test_what_is_absent_is_refused_and_never_guessed(changes: dict[str, int]) -> None:
    given = {"urgency": 5, "bid_ticks": 100, "ask_ticks": 101, "filled_lots": 0, "target_lots": 1}
    with pytest.raises(ValueError):
        select_order_type(**(given | changes), maker_rebate_ppm=0)


def test_the_lowest_touch_there_is() -> None:
    touch = {"urgency": 4, "bid_ticks": 1, "ask_ticks": 1, "filled_lots": 0, "target_lots": 1, "maker_rebate_ppm": 0}
    assert select_order_type(**touch) is OrderType.LIMIT


def test_the_bound_of_slippage_is_rounded_towards_the_middle() -> None:
    assert slippage_bound_ticks(Side.BUY, 99, 101, 15_000) == 101
    assert slippage_bound_ticks(Side.SELL, 99, 101, 15_000) == 99
    assert slippage_bound_ticks(Side.SELL, 1, 1, 999_999) == 1
