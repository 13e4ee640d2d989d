"""Momentum follows the side that is consumed, once, and does not stay."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.strategies.momentum.follower import FollowerSettings, MomentumFollower
from agent.strategies.order_book import MarketView
from tests.strategies.order_books import S, a_view, an_order

SETTINGS = FollowerSettings(
    name="follower", symbol="BTC-USDC", lots=5, window=3, entry_ppm=1_000_000, hold_ns=5 * S, pause_ns=S
)


def touch(now_ns: int, bid_lots: int, ask_lots: int, **changes: Any) -> MarketView:
    return a_view(now_ns, ((9_999, bid_lots),), ((10_001, ask_lots),), **changes)


def orders(follower: MomentumFollower, view: MarketView) -> list[PlaceRequested]:
    return [intent for intent in follower.on_book(view) if isinstance(intent, PlaceRequested)]


def a_follower(*touches: tuple[int, int], **changes: Any) -> MomentumFollower:
    follower = MomentumFollower(msgspec.structs.replace(SETTINGS, **changes))
    for bid_lots, ask_lots in touches:
        assert orders(follower, touch(0, bid_lots, ask_lots)) == []
    return follower


QUIET = ((10, 40), (10, 40), (10, 40))


@pytest.mark.parametrize(
    ("touch_after", "expected"),
    [
        # 20 lots are consumed of the ask: the flow is 20, and (10 + 20) / 2 rest.
        ((10, 20), (Side.BUY, 5, 10_001)),
        # As many as rest in the mean: exactly at the threshold.
        ((22, 40), None),
        ((10, 26), None),
        ((10, 23), (Side.BUY, 5, 10_001)),
        ((10, 24), None),
        ((10, 3), (Side.BUY, 3, 10_001)),
    ],
)
def test_it_takes_what_is_being_consumed(touch_after: tuple[int, int], expected: tuple[Side, int, int] | None) -> None:
    found = orders(a_follower(*QUIET), touch(S, *touch_after))
    assert [(order.side, order.lots, order.price_ticks) for order in found] == ([] if expected is None else [expected])
    assert all(order.order_type is OrderType.IOC and not order.is_reduce_only for order in found)


def test_on_the_other_side_as_well() -> None:
    found = orders(a_follower((40, 10), (40, 10), (40, 10)), touch(S, 4, 10))
    assert [(order.side, order.lots, order.price_ticks) for order in found] == [(Side.SELL, 4, 9_999)]


def test_before_the_window_is_full_it_does_nothing() -> None:
    assert orders(a_follower(*QUIET[:2]), touch(S, 10, 5)) == []


def test_between_two_entries_it_pauses() -> None:
    follower = a_follower(*QUIET)
    assert len(orders(follower, touch(S, 10, 20))) == 1
    assert orders(follower, touch(2 * S - 1, 10, 19)) == []
    assert len(orders(follower, touch(2 * S, 10, 18))) == 1


def test_with_an_order_at_work_it_waits() -> None:
    assert orders(a_follower(*QUIET), touch(S, 10, 20, orders=(an_order(Side.BUY, 10_001, 5),))) == []


def test_what_was_lost_of_the_book_is_no_flow() -> None:
    follower = a_follower(*QUIET)
    lost = touch(S, 10, 40)
    lost.book.mark_stale("a gap")
    assert orders(follower, lost) == []
    assert orders(follower, touch(S, 10, 5)) == []


class TestLeaving:
    def entered(self) -> MomentumFollower:
        follower = a_follower(*QUIET)
        assert len(orders(follower, touch(S, 10, 20))) == 1
        return follower

    def test_it_stays_while_the_flow_goes_on(self) -> None:
        assert orders(self.entered(), touch(6 * S - 1, 10, 19, position=5)) == []

    def test_it_leaves_after_its_time(self) -> None:
        (order,) = orders(self.entered(), touch(6 * S, 10, 19, position=5))
        assert (order.side, order.lots, order.price_ticks, order.is_reduce_only) == (Side.SELL, 5, 9_999, True)

    def test_it_leaves_when_the_flow_turns(self) -> None:
        (order,) = orders(self.entered(), touch(2 * S, 10, 45, position=5))
        assert (order.side, order.is_reduce_only) == (Side.SELL, True)

    def test_a_position_it_does_not_know_is_closed(self) -> None:
        (order,) = orders(a_follower(*QUIET), touch(S, 10, 20, position=-5))
        assert (order.side, order.lots, order.is_reduce_only) == (Side.BUY, 5, True)
