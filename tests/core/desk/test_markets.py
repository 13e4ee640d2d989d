"""What is known of markets: marks and their age, when events came, and symbols that are only named."""

from __future__ import annotations

from agent.core.desk.markets import KEPT_ARRIVALS, Arrivals, Market, Markets
from agent.core.events import Stamp
from agent.core.events.market import BookSnapshot, MarketTick
from agent.core.market import Book

SYMBOL = "X-Q"


def market(bid: int = 0, ask: int = 0, at_ns: int = 0) -> Market:
    made = Market(SYMBOL, Book(SYMBOL))
    if bid or ask:
        levels = {"bids": ((bid, 5),) if bid else (), "asks": ((ask, 5),) if ask else ()}
        made.book.apply_snapshot(
            BookSnapshot(symbol=SYMBOL, book_seq=1, exchange_ns=0, **levels), Stamp(1, at_ns, at_ns)
        )
    return made


class TestMark:
    def test_without_a_mark_of_the_venue_it_is_the_middle_of_a_good_book_rounded_down(self) -> None:
        assert market(99, 102).mark_ticks == 100
        assert [made.mark_ticks for made in (market(), market(99, 0), market(102, 102), market(103, 102))] == [0] * 4

    def test_its_age_is_that_of_what_it_comes_from(self) -> None:
        assert market(99, 102, 30).mark_age_ns(100) == 70
        assert [made.mark_age_ns(100) for made in (market(), market(0, 102), market(103, 102))] == [None] * 3

    def test_the_venues_own_comes_first(self) -> None:
        made = market(99, 102, 30)
        made.book.apply_tick(MarketTick(symbol=SYMBOL, price_ticks=7, mark_ticks=95, exchange_ns=0), Stamp(2, 60, 60))
        assert (made.mark_ticks, made.mark_age_ns(100)) == (95, 40)


class TestArrivals:
    def test_each_event_has_its_time_and_no_other(self) -> None:
        arrivals = Arrivals()
        for seq in (3, 5, 9):
            arrivals.add(seq, 10 * seq)
        assert [arrivals.of(seq) for seq in (2, 3, 4, 5, 9, 10)] == [None, 30, None, 50, 90, None]
        arrivals.begin()
        assert arrivals == Arrivals()

    def test_the_latest_are_kept_and_let_go_half_at_a_time(self) -> None:
        arrivals = Arrivals()
        for seq in range(2 * KEPT_ARRIVALS):
            arrivals.add(seq, seq)
        assert len(arrivals.seqs) == 2 * KEPT_ARRIVALS and arrivals.of(0) == 0
        arrivals.add(2 * KEPT_ARRIVALS, 7)
        assert len(arrivals.seqs) == len(arrivals.times_ns) == KEPT_ARRIVALS + 1
        assert (arrivals.of(KEPT_ARRIVALS - 1), arrivals.of(KEPT_ARRIVALS)) == (None, KEPT_ARRIVALS)
        assert arrivals.of(2 * KEPT_ARRIVALS) == 7


class TestNames:
    def test_who_only_looks_makes_nothing_known(self) -> None:
        markets = Markets()
        looked = markets.look(SYMBOL)
        assert looked == Market(SYMBOL, Book(SYMBOL)) and markets.by_symbol == {}
        assert markets.of(SYMBOL) == looked and markets.look(SYMBOL) is markets.of(SYMBOL)
        assert list(markets.by_symbol) == [SYMBOL]

    def test_a_start_leaves_names_and_instruments_and_no_price(self) -> None:
        markets = Markets()
        markets.by_symbol[SYMBOL] = market(99, 102)
        book = markets.of(SYMBOL).book
        book.apply_tick(MarketTick(symbol=SYMBOL, price_ticks=7, mark_ticks=95, exchange_ns=0), Stamp(2, 60, 60))
        markets.arrivals.add(1, 1)
        markets.begin()
        assert (book.venue_mark_ticks, book.last_trade_ticks, book.is_valid, bool(book.stale_reason)) == (
            0,
            0,
            False,
            True,
        )
        assert markets.arrivals.of(1) is None
