"""The caps before an order's frame: each at its limit and one beyond, and that nothing else is ever held back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.effects.control import Alarm
from agent.core.effects.orders import Amend, CancelAll, CancelOrder, Place, QueryOpen, QueryStatus, Reconnect
from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot
from agent.core.instruments import OrderType, Side
from agent.core.market import Book
from agent.venues.purpleflea.last_guard import SECOND_NS, Cap, LastGuard, OrderCaps
from agent.venues.purpleflea.markets import Markets
from tests.venues.purpleflea.worlds import BTC

BID, ASK = 100_000, 100_010
ORDER = Place(
    client_order_id="o1",
    symbol=BTC.symbol,
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    lots=1,
    price_ticks=BID,
    expire_ns=0,
    epoch=1,
)
AMEND = Amend(client_order_id="o1", total_lots=1, price_ticks=BID, epoch=1)
ONE = OrderCaps(max_orders_per_s=3, max_order_notional=1_000_000, band_ppm=50_000)


def book(bid: int = BID, ask: int = ASK) -> Book:
    made = Book(BTC.symbol)
    bids, asks = (((bid, 1),) if bid else ()), (((ask, 1),) if ask else ())
    made.apply_snapshot(
        BookSnapshot(symbol=BTC.symbol, book_seq=1, bids=bids, asks=asks, exchange_ns=0), Stamp(0, 0, 0)
    )
    return made


class World:
    """A guard, the book it looks at, and what a person was told."""

    def __init__(self, caps: OrderCaps = ONE, *, known: Book | None = None, is_defined: bool = True) -> None:
        self.book = known
        self.alarms: list[Alarm] = []
        markets = Markets()
        if is_defined:
            markets.define(BTC)
            markets.remember("o1", BTC.symbol)
        self.guard = LastGuard(caps, markets, lambda symbol: self.book, on_alarm=self.alarms.append)

    def cap(self, effect: Place | Amend = ORDER, now_ns: int = 0, **changes: Any) -> Cap | None:
        refused = self.guard.judge(msgspec.structs.replace(effect, **changes), now_ns)
        return None if refused is None else refused.cap


def test_an_ordinary_order_leaves_with_the_defaults() -> None:
    world = World(OrderCaps(), known=book())
    assert world.guard.passes(ORDER, 0)
    assert not world.alarms and not world.guard.refused


@pytest.mark.parametrize("effect", [ORDER, AMEND])
def test_the_price_lies_within_the_band_of_the_touch_on_either_side(effect: Place | Amend) -> None:
    world = World(known=book())
    lowest, highest = BID * 95 // 100, ASK * 105 // 100  # floor: both are whole, or the next tick is beyond
    assert [world.cap(effect, price_ticks=price) for price in (lowest, highest)] == [None, None]
    assert [world.cap(effect, price_ticks=price) for price in (lowest - 1, highest + 1)] == [Cap.PRICE, Cap.PRICE]


def test_where_one_side_is_empty_the_other_one_is_the_touch() -> None:
    for known in (book(ask=0), book(bid=0)):
        world = World(known=known)
        assert world.cap(price_ticks=BID) is None
        assert world.cap(price_ticks=BID // 2) is Cap.PRICE


def test_without_a_book_the_touch_is_the_last_one_and_without_any_nothing_leaves() -> None:
    world = World(known=None)
    assert world.cap() is Cap.NO_TOUCH
    world.book = book()
    assert world.cap() is None
    world.book.mark_stale("gap")
    assert [world.cap(), world.cap(price_ticks=2 * BID)] == [None, Cap.PRICE]
    world.book = None
    assert world.cap() is None


def test_the_value_of_one_order_ends_at_its_cap() -> None:
    unit_atoms = 10**BTC.quote_digits
    worth_atoms = BTC.notional_atoms(1, BID)
    whole = -(-worth_atoms // unit_atoms)  # ceiling: what just covers one lot
    caps = msgspec.structs.replace(ONE, max_order_notional=whole)
    lots = whole * unit_atoms // worth_atoms
    assert World(caps, known=book()).cap(lots=lots) is None
    assert World(caps, known=book()).cap(lots=lots + 1) is Cap.NOTIONAL
    assert World(caps, known=book()).cap(AMEND, total_lots=lots + 1) is Cap.NOTIONAL


def test_a_reducing_order_may_be_worth_more_and_is_held_to_price_and_rate() -> None:
    caps = msgspec.structs.replace(ONE, max_order_notional=0)
    world = World(caps, known=book())
    assert world.cap() is Cap.NOTIONAL
    assert world.cap(is_reduce_only=True) is None
    assert world.cap(is_reduce_only=True, price_ticks=BID // 2) is Cap.PRICE
    for _ in range(3):
        assert world.guard.passes(msgspec.structs.replace(ORDER, is_reduce_only=True), 0)
    assert world.cap(is_reduce_only=True) is Cap.RATE


def test_the_rate_is_that_of_any_second_over_places_and_amendments() -> None:
    world = World(known=book())
    assert world.guard.passes(ORDER, 0)
    assert world.guard.passes(AMEND, SECOND_NS - 2)
    assert world.guard.passes(ORDER, SECOND_NS - 1)
    assert not world.guard.passes(ORDER, SECOND_NS - 1)
    assert world.guard.passes(ORDER, SECOND_NS), "the first is a second behind"
    assert not world.guard.passes(ORDER, SECOND_NS), "the two before it are not"


def test_no_orders_a_second_are_none_at_all() -> None:
    assert World(msgspec.structs.replace(ONE, max_orders_per_s=0), known=book()).cap() is Cap.RATE


def test_what_is_refused_does_not_count_as_sent_and_is_told_to_a_person() -> None:
    world = World(known=book())
    for _ in range(9):
        assert not world.guard.passes(msgspec.structs.replace(ORDER, price_ticks=1), 0)
    assert world.guard.passes(ORDER, 0)
    assert world.guard.refused == {Cap.PRICE: 9}
    assert {(alarm.severity, alarm.code, alarm.subject) for alarm in world.alarms} == {("critical", "LAST_GUARD", "o1")}


def test_an_instrument_that_was_never_defined_has_no_orders() -> None:
    world = World(known=book(), is_defined=False)
    assert [world.cap(), world.cap(AMEND)] == [Cap.NO_MARKET, Cap.NO_MARKET]


@pytest.mark.parametrize(
    "effect",
    [
        CancelOrder("o1"),
        CancelAll(request_id="c", fence="account"),
        QueryOpen(),
        QueryStatus("o1"),
        Reconnect("why"),
    ],
    ids=lambda effect: type(effect).__name__,
)
def test_what_raises_no_exposure_always_leaves(effect: Any) -> None:
    world = World(OrderCaps(max_orders_per_s=0, max_order_notional=0, band_ppm=0), is_defined=False)
    assert all(world.guard.passes(effect, 0) for _ in range(5))


@given(st.lists(st.integers(0, SECOND_NS // 2), max_size=60))
def test_no_second_ever_holds_more_orders_than_its_cap(waits: list[int]) -> None:
    world, now_ns = World(known=book()), 0
    sent: list[int] = []
    for wait_ns in waits:
        now_ns += wait_ns
        recent = sum(now_ns - at < SECOND_NS for at in sent)
        is_sent = world.guard.passes(ORDER, now_ns)
        assert is_sent is (recent < ONE.max_orders_per_s), "and none is held back without need"
        if is_sent:
            sent.append(now_ns)
