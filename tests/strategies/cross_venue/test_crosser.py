"""Cross-venue arbitrage trades both legs as far as they pay, and closes what one leg has too much."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side, Step
from agent.strategies.cross_venue.crosser import Crosser, CrosserSettings
from agent.strategies.order_book import Intent, MarketView
from tests.strategies.order_books import S, a_fill, a_view, an_order

SETTINGS = CrosserSettings(
    name="crosser", first_symbol="A", second_symbol="B", max_lots=100, max_position_lots=150, min_edge_ppm=1_000
)
LOW = (((9_990, 50),), ((10_000, 5), (10_010, 10), (10_020, 20)))
HIGH = (((10_060, 4), (10_050, 8), (10_030, 30)), ((10_070, 50),))
EVEN = (((9_999, 50),), ((10_001, 50),))
MS = 1_000_000


def legs(intents: list[Intent]) -> list[tuple[str, Side, int, int, bool]]:
    found = [intent for intent in intents if isinstance(intent, PlaceRequested)]
    assert all(leg.order_type is OrderType.IOC for leg in found)
    return [(leg.symbol, leg.side, leg.lots, leg.price_ticks, leg.is_reduce_only) for leg in found]


def seen(crosser: Crosser, first: MarketView, second: MarketView) -> list[tuple[str, Side, int, int, bool]]:
    assert legs(crosser.on_book(first)) == []
    return legs(crosser.on_book(second))


def view(symbol: str, book: Any, now_ns: int = S, **changes: Any) -> MarketView:
    return a_view(now_ns, *book, symbol=symbol, **changes)


def a_crosser(**changes: Any) -> Crosser:
    return Crosser(msgspec.structs.replace(SETTINGS, **changes))


def test_both_legs_at_the_last_levels_that_pay() -> None:
    """The first row of the vectors of two books: 12 lots."""
    assert seen(a_crosser(), view("A", LOW), view("B", HIGH)) == [
        ("A", Side.BUY, 12, 10_010, False),
        ("B", Side.SELL, 12, 10_050, False),
    ]


def test_in_the_other_direction_as_well() -> None:
    assert seen(a_crosser(), view("A", HIGH), view("B", LOW)) == [
        ("B", Side.BUY, 12, 10_010, False),
        ("A", Side.SELL, 12, 10_050, False),
    ]


@pytest.mark.parametrize(
    ("changes", "lots"), [({"max_lots": 7}, 7), ({"min_edge_ppm": 3_800}, 5), ({"min_edge_ppm": 10_000}, None)]
)
def test_no_more_than_is_allowed_or_pays(changes: dict[str, int], lots: int | None) -> None:
    found = seen(a_crosser(**changes), view("A", LOW), view("B", HIGH))
    assert [leg[2] for leg in found] == ([] if lots is None else [lots, lots])


@pytest.mark.parametrize(("position", "lots"), [(147, 3), (150, None), (-150, 12)])
def test_no_leg_goes_beyond_its_bound(position: int, lots: int | None) -> None:
    found = seen(a_crosser(), view("A", LOW, position=position), view("B", HIGH, position=-position))
    assert [leg[2] for leg in found] == ([] if lots is None else [lots, lots])


def test_a_book_that_is_old_is_no_price() -> None:
    for age_ns, count in ((100 * MS, 2), (100 * MS + 1, 0)):
        old = view("A", LOW, now_ns=S - age_ns)
        assert len(seen(a_crosser(), old, view("B", HIGH))) == count


def test_a_book_that_was_lost_is_no_price() -> None:
    lost = view("A", LOW)
    lost.book.mark_stale("a gap")
    assert seen(a_crosser(), lost, view("B", HIGH)) == []


@pytest.mark.parametrize("grid", [{"tick": Step(5, 1)}, {"lot": Step(1, 3)}, {"tick_value_atoms": 10}])
def test_two_grids_are_not_compared(grid: dict[str, Any]) -> None:
    assert seen(a_crosser(), view("A", LOW), view("B", HIGH, **grid)) == []


@pytest.mark.parametrize("symbol", ["A", "B"])
def test_while_an_order_is_open_nothing_new_is_tried(symbol: str) -> None:
    working = (an_order(Side.BUY, 9_990, 5),)
    first = view("A", LOW, orders=working if symbol == "A" else ())
    second = view("B", HIGH, orders=working if symbol == "B" else ())
    assert seen(a_crosser(), first, second) == []


def test_after_a_trade_both_are_seen_again_first() -> None:
    """What is remembered of the other book is from before the trade, and has none of its orders."""
    crosser = a_crosser()
    assert len(seen(crosser, view("A", LOW), view("B", HIGH))) == 2
    assert legs(crosser.on_book(view("B", HIGH))) == []
    assert len(legs(crosser.on_book(view("A", LOW)))) == 2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (12, -9, ("A", Side.SELL, 3, 9_999, True)),
        (9, -12, ("B", Side.BUY, 3, 10_001, True)),
        (-12, 9, ("A", Side.BUY, 3, 10_001, True)),
        (0, -4, ("B", Side.BUY, 4, 10_001, True)),
    ],
)
def test_what_one_leg_has_too_much_is_closed_where_it_is(first: int, second: int, expected: Any) -> None:
    crosser = a_crosser()
    assert legs(crosser.on_book(view("A", EVEN, position=first))) == []
    assert legs(crosser.on_fill(a_fill(Side.SELL, 1, "B"), view("B", EVEN, position=second))) == [expected]


def test_it_is_closed_before_anything_new_is_tried() -> None:
    assert seen(a_crosser(), view("A", LOW, position=3), view("B", HIGH)) == [("A", Side.SELL, 3, 9_990, True)]
