"""What the books do with money that moves: once each, in the order of execution, and taken back where it must be."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.accounts import position as position_module
from agent.core.accounts.accounts import FLOWS_KEPT_MAX, MAKER_EPISODE_NS, Accounts
from agent.core.accounts.invariants import (
    cash_violations,
    high_violations,
    position_violations,
    reservation_violations,
    value_violations,
    venue_violations,
)
from agent.core.accounts.ledger import Ledger
from agent.core.accounts.marks import Mark, Rate
from agent.core.errors import ContradictoryEvent
from agent.core.instruments import Side
from agent.core.market import Book
from agent.core.risk.breakers.drawdown import Drawdown
from tests.core.accounts.making import (
    SECOND_NS,
    SYMBOL,
    accounts,
    bust,
    fill,
    flow,
    instrument,
    show_market,
    stamp,
)

NOW = stamp()
DAY_NS = 86_400 * SECOND_NS


def booked(*entries: tuple[str, int, int], numbered_from: int = 1) -> Accounts:
    """Fills t1, t2, … with rising execution numbers."""
    books = accounts()
    for number, (side, lots, price) in enumerate(entries, numbered_from):
        assert books.on_fill(fill(side, lots, price, f"t{number}", exec_seq=number), NOW)
    return books


def ledger(books: Accounts) -> Ledger:
    return books.positions[SYMBOL].ledger


class TestOnce:
    def test_the_same_trade_by_another_way_is_the_same(self) -> None:
        books = booked(("buy", 10, 100))
        assert not books.on_fill(fill("buy", 10, 100, "t1"), NOW), "from the history, without a number"
        assert not books.on_fill(fill("buy", 10, 100, "t1", exec_seq=9), NOW)
        assert not books.on_fill(fill("buy", 10, 100, "other name", exec_seq=1), NOW)
        assert books.lots(SYMBOL) == 10

    def test_a_trade_with_ourselves_has_one_id_and_two_fills(self) -> None:
        books = accounts()
        assert books.on_fill(fill("buy", 3, 100, "t", exec_seq=1), NOW)
        assert books.on_fill(fill("sell", 3, 100, "t", exec_seq=2), NOW)
        assert books.lots(SYMBOL) == 0
        assert books.on_bust(bust("t"), NOW)
        assert ledger(books) == Ledger()

    def test_a_flow_is_booked_once(self) -> None:
        books = accounts()
        assert books.on_flow(flow(500, "d1"), 0) == 500
        assert books.on_flow(flow(500, "d1"), 0) == 0
        assert books.on_flow(flow(-200, "w1", kind="withdrawal"), 0) == -200
        assert books.cash == {"quote": 300}

    def test_the_memory_of_flows_is_bounded(self) -> None:
        books = accounts()
        for number in range(FLOWS_KEPT_MAX + 10):
            books.on_flow(flow(1, str(number)), 0)
        assert len(books.flow_ids) <= FLOWS_KEPT_MAX
        assert books.on_flow(flow(1, str(FLOWS_KEPT_MAX + 9)), 0) == 0

    def test_a_fill_of_a_market_that_nobody_defined_is_a_defect(self) -> None:
        with pytest.raises(ContradictoryEvent, match="Y-Q"):
            accounts().on_fill(fill("buy", 1, 1, "t", symbol="Y-Q"), NOW)


class TestOrder:
    def test_a_late_fill_takes_the_place_of_its_number(self) -> None:
        in_order = booked(("buy", 10, 100), ("buy", 10, 120), ("sell", 10, 110))
        books = accounts()
        for number, side, price in ((1, "buy", 100), (3, "sell", 110), (2, "buy", 120)):
            assert books.on_fill(fill(side, 10, price, f"t{number}", exec_seq=number), NOW)
        assert ledger(books) == ledger(in_order)
        assert list(books.positions[SYMBOL].fills) == ["bt1", "bt2", "st3"]
        assert not books.on_fill(fill("buy", 10, 120, "t2", exec_seq=2), NOW)
        assert cash_violations(books) == position_violations(books.positions[SYMBOL]) == []

    def test_a_late_fill_that_makes_a_position_flat_ends_its_episode(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 10, 100, "t2", exec_seq=2), NOW)
        books.on_fill(fill("sell", 10, 90, "t1", exec_seq=1), NOW)
        assert books.lots(SYMBOL) == 0
        assert [episode.result_atoms for episode in books.take_episodes()] == [-100]

    def test_and_so_it_does_for_a_short(self) -> None:
        books = accounts()
        books.on_fill(fill("sell", 10, 100, "t2", exec_seq=2), NOW)
        books.on_fill(fill("buy", 10, 90, "t1", exec_seq=1), NOW)
        assert [episode.result_atoms for episode in books.take_episodes()] == [100]

    def test_a_late_fill_that_leaves_the_position_open_ends_nothing(self) -> None:
        for side in ("buy", "sell"):
            books = accounts()
            books.on_fill(fill(side, 10, 100, "t2", exec_seq=2), NOW)
            books.on_fill(fill(side, 10, 90, "t1", exec_seq=1), NOW)
            assert books.take_episodes() == ()


class TestBusts:
    def test_a_busted_trade_is_as_if_it_had_never_been(self) -> None:
        books = accounts()
        for number, side, price in ((1, "buy", 100), (2, "buy", 120), (3, "sell", 110)):
            books.on_fill(fill(side, 10, price, f"t{number}", exec_seq=number, fee=7), NOW)
        assert books.on_bust(bust("t2"), NOW)
        assert (ledger(books).lots, ledger(books).realised_atoms, books.fees) == (0, 100, {"quote": 14})
        assert books.cash == {"quote": 100 - 14}
        assert cash_violations(books) == position_violations(books.positions[SYMBOL]) == []

    def test_a_corrected_trade_has_its_new_figures_in_its_old_place(self) -> None:
        books = booked(("buy", 10, 100), ("buy", 10, 120), ("sell", 10, 110))
        assert books.on_bust(bust("t2", 5, 130), NOW)
        assert ledger(books) == ledger(booked(("buy", 10, 100), ("buy", 5, 130), ("sell", 10, 110)))
        assert books.on_bust(bust("t2", 6), NOW)
        assert ledger(books) == ledger(booked(("buy", 10, 100), ("buy", 6, 130), ("sell", 10, 110)))

    def test_a_trade_that_is_not_kept_is_answered_with_no(self) -> None:
        books = booked(("buy", 10, 100))
        assert not books.on_bust(bust("t7"), NOW)
        assert books.on_bust(bust("t1"), NOW)
        assert not books.on_bust(bust("t1"), NOW), "a second bust finds it gone"

    def test_a_busted_trade_that_comes_again_is_booked_again_only_by_another_id(self) -> None:
        books = booked(("buy", 10, 100), ("buy", 1, 100))
        books.on_bust(bust("t1"), NOW)
        assert books.lots(SYMBOL) == 1

    def test_a_fee_in_a_currency_of_its_own_comes_back(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 10, 100, "t1", fee=3, fee_currency="PTS"), NOW)
        assert books.cash == {"quote": -1_000, "PTS": -3}
        books.on_bust(bust("t1"), NOW)
        assert books.cash == {"quote": 0, "PTS": 0}
        assert cash_violations(books) == []

    def test_a_bust_that_opens_a_flat_position_starts_an_episode(self) -> None:
        books = booked(("buy", 10, 100), ("sell", 10, 90))
        assert [episode.result_atoms for episode in books.take_episodes()] == [-100]
        books.on_bust(bust("t2"), stamp(5))
        books.on_fill(fill("sell", 10, 95, "t3", exec_seq=3), stamp(6))
        # The hundred that was told as lost came back, and fifty were lost after all.
        assert [episode.result_atoms for episode in books.take_episodes()] == [50]


class TestKept:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(position_module, "FILLS_KEPT_MAX", 10)
        monkeypatch.setattr(position_module, "PRUNE_BATCH", 4)

    def trade(self, books: Accounts, pairs: int, wall_ns: int = 0, first: int = 1) -> None:
        for number in range(first, first + 2 * pairs, 2):
            books.on_fill(fill("buy", 1, 100, f"t{number}", exec_seq=number), stamp(0, wall_ns))
            books.on_fill(fill("sell", 1, 101, f"t{number + 1}", exec_seq=number + 1), stamp(0, wall_ns))

    def test_only_so_many_fills_are_kept_and_nothing_changes_by_it(self) -> None:
        books = accounts()
        self.trade(books, 40)
        position = books.positions[SYMBOL]
        assert 10 <= len(position.fills) < 14
        assert position.before.realised_atoms + len(position.fills) // 2 == position.ledger.realised_atoms == 40
        assert position_violations(position) == cash_violations(books) == []

    def test_an_old_fill_is_known_by_its_number_though_it_is_not_kept(self) -> None:
        books = accounts()
        self.trade(books, 40)
        assert not books.on_fill(fill("buy", 1, 100, "t1", exec_seq=1), NOW)
        assert not books.on_bust(bust("t1"), NOW)

    def test_fills_of_more_than_a_day_ago_are_let_go_first(self) -> None:
        books = accounts()
        self.trade(books, 6)
        self.trade(books, 1, DAY_NS + 1, first=13)
        assert list(books.positions[SYMBOL].fills) == ["bt13", "st14"]

    def test_an_open_episode_keeps_its_fills_however_old(self) -> None:
        books = accounts()
        self.trade(books, 2)
        for number in range(5, 15):
            at_ns = 5 * SECOND_NS if number < 14 else DAY_NS + 6 * SECOND_NS
            books.on_fill(fill("buy", 1, 100, f"t{number}", exec_seq=number), stamp(0, at_ns))
        position = books.positions[SYMBOL]
        assert list(position.fills) == [f"bt{number}" for number in range(5, 15)]
        assert position.before == Ledger(realised_atoms=2, cash_atoms=2)


class TestEpisodes:
    def test_from_flat_to_flat_with_fees_and_funding(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 10, 100, "t1", fee=5), NOW)
        books.on_flow(flow(-7, "f", kind="funding", symbol=SYMBOL), 0)
        assert books.take_episodes() == ()
        books.on_fill(fill("sell", 10, 110, "t2", exec_seq=8, fee=5), NOW)
        (episode,) = books.take_episodes()
        assert (episode.symbol, episode.result_atoms, episode.exec_seq) == (SYMBOL, 100 - 10 - 7, 8)
        assert books.take_episodes() == ()

    def test_through_zero_ends_one_and_begins_the_next(self) -> None:
        books = booked(("buy", 10, 100), ("sell", 25, 90))
        assert [episode.result_atoms for episode in books.take_episodes()] == [-100]
        books.on_fill(fill("buy", 15, 80, "t3", exec_seq=3), NOW)
        assert [episode.result_atoms for episode in books.take_episodes()] == [150]

    def test_a_fee_in_base_or_a_third_currency_belongs_to_the_episode(self) -> None:
        books = accounts()
        books.rates["PTS"] = Rate(2, 3)
        books.on_fill(fill("buy", 10, 100, "t1", fee=1, fee_currency="base"), NOW)
        books.on_fill(fill("sell", 9, 100, "t2", fee=4, fee_currency="PTS"), NOW)
        # One lot at 100, and 4 · 2/3 rounded up.
        assert [episode.result_atoms for episode in books.take_episodes()] == [-100 - 3]

    def test_a_scratch_is_a_result_of_zero(self) -> None:
        books = booked(("buy", 10, 100), ("sell", 10, 100))
        assert [episode.result_atoms for episode in books.take_episodes()] == [0]

    def test_a_market_makers_ends_each_quarter_of_an_hour_at_liquidation_value(self) -> None:
        books = accounts()
        books.made_symbols.append(SYMBOL)
        books.on_fill(fill("buy", 10, 100, "t1"), stamp(1))
        show_market(books, 97, 99, MAKER_EPISODE_NS)
        books.cut_maker_episodes(MAKER_EPISODE_NS)
        assert books.take_episodes() == (), "a nanosecond early"
        books.cut_maker_episodes(MAKER_EPISODE_NS + 1)
        assert [episode.result_atoms for episode in books.take_episodes()] == [-30]
        books.on_fill(fill("sell", 10, 98, "t2"), stamp(MAKER_EPISODE_NS + 2))
        assert [episode.result_atoms for episode in books.take_episodes()] == [10], (
            "what was counted is not counted twice"
        )


class TestValue:
    def test_long_at_the_bid_and_short_at_the_ask(self) -> None:
        books = accounts(3, "L", "S")
        books.on_flow(flow(10_000, "d"), 0)
        books.on_fill(fill("buy", 10, 100, "t1", symbol="L"), NOW)
        books.on_fill(fill("sell", 10, 100, "t2", symbol="S"), NOW)
        show_market(books, 99, 101, symbol="L")
        show_market(books, 98, 104, symbol="S")
        valuation = books.valuation(0)
        assert valuation.nav_atoms == 10_000 + 3 * 10 * (99 - 100) + 3 * 10 * (100 - 104)
        assert valuation.is_valid
        assert value_violations(books, 0) == []

    @pytest.mark.parametrize(
        ("age_ns", "haircut_bps"),
        [
            (2 * SECOND_NS, 0),
            (2 * SECOND_NS + 1, 50),
            (10 * SECOND_NS, 50),
            (10 * SECOND_NS + 1, 100),
            (190 * SECOND_NS + 1, 1_000),
            (10_000 * SECOND_NS, 1_000),
        ],
    )
    @pytest.mark.parametrize("side", ["buy", "sell"])
    def test_an_old_mark_is_made_worse_by_every_ten_seconds_begun(
        self, side: str, age_ns: int, haircut_bps: int
    ) -> None:
        books = accounts()
        books.on_fill(fill(side, 3, 9_999, "t1"), NOW)
        show_market(books, 9_999, 10_001)
        valuation = books.valuation(age_ns)
        assert valuation.stale == ((SYMBOL,) if haircut_bps else ())
        assert valuation.is_valid is (haircut_bps == 0)
        if side == "buy":
            expected = -3 * 9_999 + 3 * 9_999 * (10_000 - haircut_bps) // 10_000
        else:
            expected = 3 * 9_999 - -(-3 * 10_001 * (10_000 + haircut_bps) // 10_000)
        assert valuation.nav_atoms == expected
        assert value_violations(books, age_ns) == []

    def test_a_bad_book_leaves_the_last_good_mark(self) -> None:
        books = booked(("buy", 10, 100))
        show_market(books, 100, 102)
        for bad in (Book(SYMBOL), self.crossed()):
            books.on_book(bad, 5 * SECOND_NS)
        assert books.marks[SYMBOL] == Mark(100, 102, 0, 0)
        assert books.valuation(3 * SECOND_NS).stale == (SYMBOL,)

    def crossed(self) -> Book:
        made = Book(SYMBOL, is_valid=True)
        made.best_bid_ticks, made.best_ask_ticks = 102, 101
        return made

    def test_a_position_without_any_mark_has_no_price(self) -> None:
        assert booked(("buy", 10, 100)).valuation(0).unpriceable == (SYMBOL,)
        assert accounts().valuation(0).nav_atoms == 0, "but one that is flat needs none"

    def test_another_currency_needs_a_rate(self) -> None:
        books = accounts()
        books.on_flow(flow(100, "d"), 0)
        assert books.on_flow(flow(7, "p", currency="PTS"), 0) is None
        assert books.valuation(0).unpriceable == ("PTS",)
        books.rates["PTS"] = Rate(10, 3)
        assert books.valuation(0).nav_atoms == 100 + 23
        assert books.on_flow(flow(-7, "q", kind="withdrawal", currency="PTS"), 0) == -23

    def test_a_deposit_of_the_base_is_valued_together_with_the_position(self) -> None:
        books = booked(("sell", 10, 100))
        show_market(books, 100, 104)
        assert books.on_flow(flow(30, "d", currency="base"), 0) == 10 * 104 + 20 * 100
        assert books.valuation(0).nav_atoms == 1_000 + 20 * 100
        assert cash_violations(books) == []

    def test_a_quote_currency_that_is_not_the_accounts_is_converted_down(self) -> None:
        books = accounts()
        books.define(instrument("Y-E", base="other", quote="EUR"))
        books.on_fill(fill("buy", 1, 10, "t1", symbol="Y-E", fee_currency="EUR"), NOW)
        show_market(books, 11, 12, symbol="Y-E")
        assert books.valuation(0).unpriceable == ("Y-E", "EUR")
        books.rates["EUR"] = Rate(3, 2)
        assert books.valuation(0).nav_atoms == (11 * 3 // 2) + (-10 * 3 // 2)

    def test_after_a_restart_marks_are_as_old_as_the_wall_clock_says(self) -> None:
        books = booked(("buy", 10, 100))
        show_market(books, 100, 102, 50 * SECOND_NS)
        again = msgspec.json.decode(msgspec.json.encode(books), type=Accounts)
        assert again == books
        again.on_restart(stamp(3 * SECOND_NS, 65 * SECOND_NS))
        assert again.marks[SYMBOL].haircut_bps(3 * SECOND_NS) == 100


class TestDefinitions:
    def test_an_instrument_may_come_again(self) -> None:
        books = booked(("buy", 10, 100))
        books.define(instrument())
        assert books.lots(SYMBOL) == 10

    def test_another_tick_value_under_an_open_position_is_refused(self) -> None:
        with pytest.raises(ContradictoryEvent, match="tick value"):
            booked(("buy", 10, 100)).define(instrument(tick_value_atoms=2))

    def test_a_flat_position_takes_it_and_keeps_its_result(self) -> None:
        books = booked(("buy", 10, 100), ("sell", 10, 110))
        books.define(instrument(tick_value_atoms=5))
        books.on_fill(fill("buy", 1, 100, "t3", exec_seq=3), NOW)
        assert (ledger(books).cost_atoms, ledger(books).realised_atoms) == (500, 100)
        assert position_violations(books.positions[SYMBOL]) == cash_violations(books) == []
        assert not books.on_fill(fill("buy", 10, 100, "t1", exec_seq=1), NOW)


class TestInvariantsAreSeenToBeBroken:
    def test_of_a_position(self) -> None:
        for field in ("realised_atoms", "cash_atoms", "fee_value_atoms", "cost_atoms", "lots"):
            position = booked(("buy", 10, 100), ("sell", 5, 101)).positions[SYMBOL]
            setattr(position.ledger, field, getattr(position.ledger, field) + 1)
            assert position_violations(position), field

    def test_of_cash_and_fees(self) -> None:
        books = booked(("buy", 10, 100))
        books.cash["quote"] += 1
        books.fees["quote"] = 1
        assert len(cash_violations(books)) == 2

    def test_of_the_value(self) -> None:
        books = booked(("buy", 10, 100))
        show_market(books, 100, 101)
        books.cash["quote"] += 1
        assert value_violations(books, 0)

    def test_of_the_venues_position(self) -> None:
        books = booked(("buy", 10, 100))
        assert venue_violations(books, {SYMBOL: 10}) == []
        assert len(venue_violations(books, {SYMBOL: 9, "Y-Q": 1})) == 2

    def test_of_reservations(self) -> None:
        good = {(SYMBOL, Side.BUY): 5}
        assert reservation_violations(good, [(SYMBOL, Side.BUY, 2), (SYMBOL, Side.BUY, 3)]) == []
        assert len(reservation_violations(good, [(SYMBOL, Side.BUY, 6), (SYMBOL, Side.SELL, -1)])) == 3

    def test_of_the_high(self) -> None:
        assert high_violations(Drawdown()) == []
        assert high_violations(Drawdown(units=10, nav_atoms=11, high_nav_atoms=12, high_units=10)) == []
        assert high_violations(Drawdown(units=10, nav_atoms=13, high_nav_atoms=12, high_units=10))
