"""The order book: what replaces, what changes, what is thrown away, and what a size costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.events import Stamp
from agent.core.events.market import BookDelta, BookSnapshot, Level, MarketTick, TradePrint
from agent.core.instruments import Side
from agent.core.market import Book

SYMBOL = "X-Q"


def at(monotonic_ns: int) -> Stamp:
    return Stamp(1, monotonic_ns, monotonic_ns)


def snapshot(bids: list[Level], asks: list[Level], book_seq: int = 1) -> BookSnapshot:
    return BookSnapshot(symbol=SYMBOL, book_seq=book_seq, bids=tuple(bids), asks=tuple(asks), exchange_ns=5)


def delta(bids: list[Level], asks: list[Level], book_seq: int = 2) -> BookDelta:
    return BookDelta(symbol=SYMBOL, book_seq=book_seq, bids=tuple(bids), asks=tuple(asks), exchange_ns=6)


def shown(bids: list[Level], asks: list[Level]) -> Book:
    book = Book(SYMBOL)
    book.apply_snapshot(snapshot(bids, asks), at(10))
    return book


def test_a_new_book_has_no_prices() -> None:
    book = Book(SYMBOL)
    assert not book.is_valid and not book.is_good and not book.is_crossed
    assert book.bid_plus_ask_ticks == 0
    assert book.walk(Side.BUY, 1) is None


def test_a_snapshot_replaces_every_level() -> None:
    book = shown([(99, 5), (98, 1)], [(101, 2)])
    book.apply_snapshot(snapshot([(90, 1)], [(110, 1), (111, 0)], 9), at(20))
    assert book.levels(Side.BUY, 10) == ((90, 1),)
    assert book.levels(Side.SELL, 10) == ((110, 1),)
    assert (book.book_seq, book.exchange_ns, book.arrival_ns) == (9, 5, 20)


def test_a_delta_sets_absolute_quantities() -> None:
    book = shown([(99, 5), (98, 1)], [(101, 2), (102, 7)])
    book.apply_delta(delta([(99, 3), (100, 4)], [(101, 0), (103, 0)]), at(11))
    assert book.levels(Side.BUY, 10) == ((100, 4), (99, 3), (98, 1))
    assert book.levels(Side.SELL, 10) == ((102, 7),)
    assert (book.best_bid_ticks, book.best_ask_ticks, book.arrival_ns) == (100, 102, 11)


def test_a_stale_book_shows_nothing_and_takes_no_delta() -> None:
    book = shown([(99, 5)], [(101, 2)])
    book.mark_stale("gap")
    book.apply_delta(delta([(99, 5)], [(101, 2)]), at(12))
    assert (book.is_valid, book.stale_reason, book.best_bid_ticks, book.levels(Side.BUY, 9)) == (False, "gap", 0, ())
    book.apply_snapshot(snapshot([(99, 5)], [(101, 2)]), at(13))
    assert book.is_good


def test_a_crossed_or_one_sided_book_is_not_good() -> None:
    assert shown([(100, 1)], [(100, 1)]).is_crossed
    assert not shown([(100, 1)], [(100, 1)]).is_good
    one_sided = shown([(100, 1)], [])
    assert one_sided.is_valid and not one_sided.is_crossed and not one_sided.is_good
    assert shown([(99, 1)], [(100, 1)]).is_good


def test_the_touch_is_the_price_that_can_be_taken() -> None:
    book = shown([(99, 5)], [(101, 2)])
    assert book.touch_ticks(Side.BUY) == 101
    assert book.touch_ticks(Side.SELL) == 99
    assert book.bid_plus_ask_ticks == 200


def test_a_walk_takes_the_best_levels_first() -> None:
    book = shown([(99, 5), (98, 1)], [(101, 2), (105, 3)])
    assert book.walk(Side.BUY, 2) == 202
    assert book.walk(Side.BUY, 4) == 202 + 210
    assert book.walk(Side.BUY, 6) is None
    assert book.walk(Side.SELL, 6) == 5 * 99 + 98


def test_implied_slippage_is_the_worse_side_and_exact() -> None:
    book = shown([(99, 5)], [(101, 2), (105, 3)])
    # Buying four costs 412 against 400 at the mid: 24 twentieths of a half percent.
    assert book.implied_slippage(4) == (2 * 412 - 800, 800)
    assert book.implied_slippage(5) == (2 * (202 + 315) - 1_000, 1_000)
    assert book.implied_slippage(6) is None
    assert shown([(99, 5)], []).implied_slippage(1) is None
    thin_bids = shown([(99, 1), (50, 9)], [(101, 9)])
    assert thin_bids.implied_slippage(2) == (400 - 2 * 149, 400)


def test_ticks_and_trades_are_remembered_with_their_arrival() -> None:
    book = shown([(99, 5)], [(101, 2)])
    book.apply_tick(MarketTick(symbol=SYMBOL, price_ticks=100, mark_ticks=98, exchange_ns=1), at(20))
    book.apply_tick(MarketTick(symbol=SYMBOL, price_ticks=101, exchange_ns=2), at(21))
    assert (book.last_trade_ticks, book.venue_mark_ticks, book.trade_arrival_ns) == (101, 98, 21)
    trade = TradePrint(symbol=SYMBOL, trade_id="t", price_ticks=99, lots=1, aggressor=Side.SELL, exchange_ns=3)
    book.apply_trade(trade, at(22))
    assert (book.last_trade_ticks, book.trade_arrival_ns, book.arrival_ns) == (99, 22, 10)


levels = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=6)


@given(levels, levels, st.lists(st.tuples(levels, levels), max_size=8))
def test_the_book_is_what_a_plain_dict_says(
    bids: list[Level], asks: list[Level], changes: list[tuple[list[Level], list[Level]]]
) -> None:
    book = Book(SYMBOL)
    book.apply_snapshot(snapshot(bids, asks), at(1))
    plain = ({p: q for p, q in bids if q}, {p: q for p, q in asks if q})
    for change in changes:
        book.apply_delta(delta(*change), at(2))
        for side, new in zip(plain, change, strict=True):
            for price, lots in new:
                if lots:
                    side[price] = lots
                else:
                    side.pop(price, None)
    assert book.levels(Side.BUY, 99) == tuple(sorted(plain[0].items(), reverse=True))
    assert book.levels(Side.SELL, 99) == tuple(sorted(plain[1].items()))
    assert book.best_bid_ticks == max(plain[0], default=0)
    assert book.best_ask_ticks == min(plain[1], default=0)
    for side, quantities, best_first in ((Side.BUY, plain[1], 1), (Side.SELL, plain[0], -1)):
        lots_one_by_one = [p for p in sorted(quantities)[::best_first] for _ in range(quantities[p])]
        for lots in range(1, len(lots_one_by_one) + 1):
            assert book.walk(side, lots) == sum(lots_one_by_one[:lots])
        assert book.walk(side, len(lots_one_by_one) + 1) is None


def test_a_delta_carries_its_number_and_both_times() -> None:
    book = shown([(99, 5)], [(101, 2)])
    book.apply_delta(delta([], [(100, 1)], book_seq=7), at(12))
    assert (book.book_seq, book.exchange_ns, book.arrival_ns) == (7, 6, 12)


def test_a_snapshot_mends_a_stale_book_and_its_reason() -> None:
    book = shown([(99, 5)], [(101, 2)])
    book.mark_stale("gap")
    assert book.stale_reason == "gap"
    book.apply_snapshot(snapshot([(99, 5)], [(101, 2)]), at(20))
    assert (book.is_valid, book.stale_reason) == (True, "")


def test_the_lowest_price_is_good_and_none_at_all_is_not() -> None:
    assert shown([(1, 1)], [(2, 1)]).is_good
    assert not shown([], [(2, 1)]).is_good


def test_a_middle_needs_two_sides() -> None:
    assert shown([(99, 5)], []).bid_plus_ask_ticks == shown([], [(101, 2)]).bid_plus_ask_ticks == 0


def test_no_more_levels_are_given_than_asked_for() -> None:
    book = shown([(99, 5), (98, 1), (97, 1)], [(101, 2), (102, 1), (103, 1)])
    assert book.levels(Side.BUY, 2) == ((99, 5), (98, 1))
    assert book.levels(Side.SELL, 1) == ((101, 2),)
    assert book.levels(Side.SELL, 0) == ()


def test_nothing_costs_nothing() -> None:
    assert Book(SYMBOL).walk(Side.BUY, 0) == shown([(99, 5)], []).walk(Side.SELL, 0) == 0


def test_a_depth_that_one_side_lacks_is_no_depth() -> None:
    assert shown([(99, 5)], [(101, 2)]).implied_slippage(3) is None
    assert shown([(99, 2)], [(101, 5)]).implied_slippage(3) is None
    deep_bids = shown([(99, 5)], [(101, 1), (150, 9)])
    # Selling two brings the bid; buying two costs an ask far away.
    assert deep_bids.implied_slippage(2) == (2 * 251 - 400, 400)
