"""What flows and prices come to where something is missing: a rate, a mark, a position, the memory of an id."""

from __future__ import annotations

import pytest

from agent.core.accounts.accounts import FLOWS_KEPT_MAX
from agent.core.accounts.invariants import cash_violations, value_violations
from agent.core.accounts.marks import Mark, Rate
from agent.core.market import Book
from tests.core.accounts.making import SECOND_NS, SYMBOL, accounts, fill, flow, instrument, show_market, stamp

NOW = stamp()


class TestFlows:
    def test_the_later_half_of_the_ids_outlives_the_bound(self) -> None:
        books = accounts()
        for number in range(FLOWS_KEPT_MAX + 1):
            assert books.on_flow(flow(1, str(number)), 0) == 1
            assert len(books.flow_ids) <= FLOWS_KEPT_MAX
        assert list(books.flow_ids) == [str(number) for number in range(FLOWS_KEPT_MAX // 2, FLOWS_KEPT_MAX + 1)]
        assert books.on_flow(flow(1, str(FLOWS_KEPT_MAX // 2)), 0) == 0

    def test_funding_belongs_to_its_market_where_that_is_known_and_in_its_currency(self) -> None:
        books = accounts()
        for number, (atoms, currency, symbol) in enumerate(
            [
                (5, "quote", SYMBOL),
                (-2, "quote", SYMBOL),
                (7, "quote", "gone"),
                (1, "quote", "gone"),
                (4, "EUR", SYMBOL),
            ]
        ):
            assert books.on_flow(flow(atoms, str(number), kind="funding", currency=currency, symbol=symbol), 0) == 0
        assert books.positions[SYMBOL].funding_atoms == 3
        assert books.loose_funding == {"quote": 8, "EUR": 4}
        assert books.cash == {"quote": 11, "EUR": 4}
        assert cash_violations(books) == []

    def test_loose_funding_is_part_of_the_value(self) -> None:
        books = accounts()
        books.on_flow(flow(100, "d"), 0)
        books.on_flow(flow(-30, "f", kind="funding", symbol="gone"), 0)
        assert books.valuation(0).nav_atoms == 70
        assert value_violations(books, 0) == []

    @pytest.mark.parametrize("atoms", [30, 1])
    def test_a_deposit_of_a_base_that_is_not_held_yet_is_worth_its_price(self, atoms: int) -> None:
        books = accounts()
        show_market(books, 100, 104)
        assert books.on_flow(flow(atoms, "d", currency="base"), 0) == atoms * 100
        assert books.on_flow(flow(-atoms, "w", kind="withdrawal", currency="base"), 0) == -atoms * 100

    def test_by_an_old_price_it_is_worth_less(self) -> None:
        books = accounts()
        show_market(books, 100, 104)
        assert books.on_flow(flow(30, "d", currency="base"), 3 * SECOND_NS) == 3_000 * 9_950 // 10_000

    def test_nothing_of_a_currency_without_a_price_is_worth_nothing(self) -> None:
        books = accounts()
        assert books.on_flow(flow(0, "p", currency="PTS"), 0) == 0
        assert books.on_flow(flow(0, "b", currency="base"), 0) == 0
        assert books.on_flow(flow(1, "q", currency="PTS"), 0) is None


class TestMarks:
    @pytest.mark.parametrize(
        ("bid", "ask", "is_taken"), [(1, 2, True), (0, 2, False), (2, 2, False), (3, 2, False), (2, 0, False)]
    )
    def test_a_mark_needs_two_sides_that_do_not_meet(self, bid: int, ask: int, is_taken: bool) -> None:
        books = accounts()
        book = Book(SYMBOL, is_valid=True)
        book.best_bid_ticks, book.best_ask_ticks = bid, ask
        books.on_book(book, 7)
        assert books.marks == ({SYMBOL: Mark(bid, ask, 0, 7)} if is_taken else {})

    @pytest.mark.parametrize(("lots", "worth"), [(1, 9_950), (-1, -10_452), (0, 0)])
    def test_a_haircut_goes_against_the_side_that_is_held(self, lots: int, worth: int) -> None:
        assert Mark(10_000, 10_400, 0, 0).value_atoms(lots, 1, 50) == worth

    def test_a_wall_clock_that_went_back_makes_no_mark_younger_than_now(self) -> None:
        books = accounts()
        show_market(books, 100, 102, 50 * SECOND_NS)
        books.on_restart(stamp(3 * SECOND_NS, 40 * SECOND_NS))
        assert books.marks[SYMBOL].at_ns == 3 * SECOND_NS


class TestSeveralMarkets:
    def test_those_that_price_nothing_are_valued_for_themselves(self) -> None:
        """A second market of a base, and two in another currency; one flat between them; all prices old."""
        books = accounts()
        books.define(instrument("X-Q2"))
        books.define(instrument("Y-E", base="y", quote="EUR"))
        books.define(instrument("Z-E", base="z", quote="EUR"))
        books.rates["EUR"] = Rate(2, 1)
        books.on_flow(flow(1_000, "d"), 0)
        for symbol in ("X-Q2", "Y-E", "Z-E"):
            books.on_fill(fill("buy", 1, 200, f"t {symbol}", symbol=symbol, fee_currency="EUR"), NOW)
            show_market(books, 200, 201, symbol=symbol)
        assert books.valuation(0).nav_atoms == 1_000
        assert books.valuation(0).is_valid
        old = books.valuation(3 * SECOND_NS)
        assert old.stale == ("X-Q2", "Y-E", "Z-E")
        assert old.nav_atoms == 1_000 - 1 - 2 - 2

    def test_a_flat_one_hides_none_behind_it(self) -> None:
        books = accounts(1, "A", "B", "C")
        books.on_fill(fill("buy", 1, 100, "t1", symbol="B"), NOW)
        show_market(books, 103, 105, symbol="B")
        assert books.valuation(0).nav_atoms == 3
