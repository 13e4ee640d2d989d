"""Where an episode begins and ends when a fill, a fee, a late fill or a bust moves the position by its last lot."""

from __future__ import annotations

import pytest

from agent.core.accounts import position as position_module
from agent.core.accounts.accounts import MAKER_EPISODE_NS, Accounts
from agent.core.accounts.invariants import cash_violations, position_violations
from agent.core.accounts.position import Episode
from tests.core.accounts.making import SECOND_NS, SYMBOL, accounts, bust, fill, flow, instrument, show_market, stamp

NOW = stamp()
BUST_SEQ = bust("t").exec_seq


def booked(*entries: tuple[str, int, int], **fields: object) -> Accounts:
    books = accounts()
    for number, (side, lots, price) in enumerate(entries, 1):
        assert books.on_fill(fill(side, lots, price, f"t{number}", exec_seq=number, **fields), NOW)
    return books


def results(books: Accounts) -> list[int]:
    return [episode.result_atoms for episode in books.take_episodes()]


class TestByOneLot:
    @pytest.mark.parametrize(("side", "other", "sign"), [("buy", "sell", 1), ("sell", "buy", -1)])
    def test_a_late_fill_that_takes_the_last_lot_ends_the_episode(self, side: str, other: str, sign: int) -> None:
        books = accounts()
        books.on_fill(fill(side, 1, 100, "t2", exec_seq=2), NOW)
        books.on_fill(fill(other, 1, 90, "t1", exec_seq=1), NOW)
        assert results(books) == [-10 * sign]

    @pytest.mark.parametrize(("side", "other", "sign"), [("buy", "sell", 1), ("sell", "buy", -1)])
    def test_one_that_leaves_a_lot_ends_nothing(self, side: str, other: str, sign: int) -> None:
        books = accounts()
        books.on_fill(fill(side, 2, 100, "t2", exec_seq=2), NOW)
        books.on_fill(fill(other, 1, 90, "t1", exec_seq=1), NOW)
        assert (books.lots(SYMBOL), results(books)) == (sign, [])

    def test_nor_does_one_that_adds_to_a_lot(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 1, 100, "t2", exec_seq=2), NOW)
        books.on_fill(fill("buy", 1, 90, "t1", exec_seq=1), NOW)
        assert (books.lots(SYMBOL), results(books)) == (2, [])

    def test_a_late_fill_on_a_flat_position_opens_it(self) -> None:
        books = booked(("buy", 1, 100), ("sell", 1, 90))
        books.take_episodes()
        books.on_fill(fill("sell", 1, 95, "t4", exec_seq=4), stamp(7, 9))
        assert results(books) == []
        assert books.positions[SYMBOL].episode_start_ns == 7
        books.on_fill(fill("buy", 1, 90, "t3", exec_seq=3), stamp(8, 10))
        assert results(books) == [5]

    def test_a_late_fill_is_booked_though_every_later_one_was_busted(self) -> None:
        books = booked(("buy", 1, 100))
        books.on_fill(fill("buy", 1, 120, "t3", exec_seq=3), NOW)
        assert books.on_bust(bust("t3"), NOW)
        assert books.on_fill(fill("buy", 1, 110, "t2", exec_seq=2), NOW)
        assert books.lots(SYMBOL) == 2
        assert position_violations(books.positions[SYMBOL]) == cash_violations(books) == []

    def test_a_fill_without_a_number_comes_behind_all_before_it(self) -> None:
        books = booked(("buy", 1, 100), ("buy", 1, 110))
        books.on_fill(fill("sell", 1, 120, "from the history"), NOW)
        assert list(books.positions[SYMBOL].fills) == ["bt1", "bt2", "sfrom the history"]
        assert books.positions[SYMBOL].last_exec_seq == 2

    def test_unrealised_is_what_closing_at_a_price_would_bring(self) -> None:
        assert booked(("buy", 1, 100)).positions[SYMBOL].unrealised_atoms(103) == 3
        assert booked(("sell", 1, 100)).positions[SYMBOL].unrealised_atoms(103) == -3
        assert accounts().positions[SYMBOL].unrealised_atoms(103) == 0

    def test_it_has_traded_from_the_first_numbered_fill_on(self) -> None:
        assert not accounts().positions[SYMBOL].has_traded
        assert booked(("buy", 1, 100)).positions[SYMBOL].has_traded


class TestFeesInLots:
    def test_a_fee_in_lots_behind_the_end_opens_the_next_episode(self) -> None:
        books = booked(("buy", 10, 100))
        books.on_fill(fill("sell", 10, 90, "t2", exec_seq=2, fee=1, fee_currency="base"), NOW)
        assert books.lots(SYMBOL) == -1
        assert results(books) == [-100 - 90]

    def test_a_lot_that_is_paid_away_as_the_fee_of_its_own_fill_is_a_whole_episode(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 1, 100, "t1", exec_seq=1, fee=1, fee_currency="base"), NOW)
        assert (books.lots(SYMBOL), results(books)) == (0, [-100])

    def test_a_fee_in_the_accounts_currency_counts_where_that_is_neither_side_of_the_market(self) -> None:
        books = accounts()
        books.define(instrument("Y-E", base="other", quote="EUR"))
        books.on_fill(fill("buy", 1, 10, "t1", symbol="Y-E", fee=2, fee_currency="quote"), NOW)
        books.on_fill(fill("sell", 1, 10, "t2", symbol="Y-E", fee=3, fee_currency="quote"), NOW)
        assert results(books) == [-5]
        assert books.cash == {"quote": -5, "EUR": 0}
        assert cash_violations(books) == []


class TestBusts:
    def test_one_that_makes_a_position_flat_ends_the_episode_by_its_own_number(self) -> None:
        for lots in (1, 2):
            books = booked(("buy", lots, 100), ("sell", 5, 90), ("buy", 5, 90))
            books.on_bust(bust("t2"), NOW)
            books.take_episodes()
            assert books.on_bust(bust("t3"), NOW) is True
            assert books.take_episodes() == (), "lots are left"
            assert books.on_bust(bust("t1"), NOW) is True
            (episode,) = books.take_episodes()
            assert (episode.symbol, episode.exec_seq) == (SYMBOL, BUST_SEQ)
        assert books.on_bust(bust("t1"), NOW) is False

    def test_one_that_opens_a_flat_position_begins_the_episode_now(self) -> None:
        books = accounts()
        books.on_fill(fill("buy", 1, 100, "t1", exec_seq=1), stamp(1, 11))
        books.on_fill(fill("sell", 1, 90, "t2", exec_seq=2), stamp(2, 12))
        assert results(books) == [-10]
        books.on_bust(bust("t2"), stamp(5, 15))
        position = books.positions[SYMBOL]
        assert (position.episode_start_ns, position.episode_first_wall_ns) == (5, 12)
        assert results(books) == []

    def test_one_that_leaves_the_position_open_begins_nothing(self) -> None:
        books = booked(("buy", 2, 100), ("buy", 1, 100))
        books.on_bust(bust("t2"), stamp(5, 15))
        assert books.positions[SYMBOL].episode_start_ns == 0
        assert results(books) == []

    def test_one_that_leaves_a_flat_position_flat_is_no_episode(self) -> None:
        books = booked(("buy", 1, 100), ("sell", 1, 100))
        books.take_episodes()
        books.on_bust(bust("t1", 1, 90), stamp(5))
        assert (books.lots(SYMBOL), results(books)) == (0, [])
        assert books.positions[SYMBOL].episode_start_ns == 0

    def test_it_is_found_in_whichever_market_it_was(self) -> None:
        books = accounts(1, "A", "B", "C")
        for symbol in ("A", "B", "C"):
            books.on_fill(fill("buy", 1, 100, f"t{symbol}", symbol=symbol), NOW)
        for symbol in ("C", "B", "A"):
            assert books.on_bust(bust(f"t{symbol}"), NOW)
        assert [books.lots(symbol) for symbol in ("A", "B", "C")] == [0, 0, 0]


class TestWhatIsLetGo:
    """A recount from a ledger that is not empty: open, with fees of both kinds."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(position_module, "FILLS_KEPT_MAX", 4)
        monkeypatch.setattr(position_module, "PRUNE_BATCH", 2)

    def trades(self, count: int) -> Accounts:
        books = accounts(3)
        for number in range(1, count + 1):
            currency = ("quote", "base", "PTS")[number % 3]
            side, fee = ("sell" if number % 4 == 0 else "buy"), number % 3 + 1
            entry = fill(side, 5, 90 + number, f"t{number}", exec_seq=number, fee=fee, fee_currency=currency)
            assert books.on_fill(entry, stamp(0, number))
        return books

    def test_a_bust_of_a_kept_fill_is_as_if_all_were_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pruned = self.trades(11)
        monkeypatch.setattr(position_module, "FILLS_KEPT_MAX", 1_000)
        whole = self.trades(11)
        assert len(pruned.positions[SYMBOL].fills) < 11
        for books in (pruned, whole):
            assert position_violations(books.positions[SYMBOL]) == cash_violations(books) == []
            assert books.on_bust(bust("t10"), NOW)
            assert position_violations(books.positions[SYMBOL]) == cash_violations(books) == []
        assert pruned.positions[SYMBOL].ledger == whole.positions[SYMBOL].ledger
        assert (pruned.cash, pruned.fees) == (whole.cash, whole.fees)

    def test_nothing_is_let_go_before_a_whole_batch_is_too_many(self) -> None:
        kept = [len(self.trades(count).positions[SYMBOL].fills) for count in range(1, 9)]
        assert kept == [1, 2, 3, 4, 5, 4, 5, 4]

    def test_the_last_fill_that_was_let_go_is_known_by_its_number(self) -> None:
        books = self.trades(6)
        position = books.positions[SYMBOL]
        assert position.before_exec_seq == 2
        assert not books.on_fill(fill("buy", 5, 92, "another name", exec_seq=2), NOW)
        assert not books.on_fill(fill("buy", 5, 92, "another name", exec_seq=3), NOW)
        assert books.lots(SYMBOL) == self.trades(6).lots(SYMBOL)


class TestMarketMakers:
    def made(self, side: str, lots: int) -> Accounts:
        books = accounts(1, "A", "B", "C", "D")
        books.made_symbols += ["unknown", "A", "B", "C", "D"]
        books.on_fill(fill(side, lots, 100, "t1", symbol="A"), stamp(MAKER_EPISODE_NS))
        books.on_fill(fill(side, lots, 100, "t2", symbol="C"), stamp(0))
        books.on_fill(fill(side, lots, 100, "t3", symbol="D"), stamp(0))
        show_market(books, 97, 99, MAKER_EPISODE_NS, symbol="A")
        show_market(books, 97, 99, MAKER_EPISODE_NS, symbol="B")
        show_market(books, 97, 104, MAKER_EPISODE_NS, symbol="C")
        return books

    @pytest.mark.parametrize(
        ("side", "lots", "result"), [("buy", 1, -3), ("buy", 2, -6), ("sell", 1, -4), ("sell", 2, -8)]
    )
    def test_each_is_cut_for_itself_at_what_closing_it_would_bring(self, side: str, lots: int, result: int) -> None:
        """One is too young, one flat, one old enough, one without a price; what a timer ends has no number."""
        books = self.made(side, lots)
        books.cut_maker_episodes(MAKER_EPISODE_NS)
        assert books.take_episodes() == (Episode("C", result, 0),)
        books.cut_maker_episodes(MAKER_EPISODE_NS + 1)
        assert books.take_episodes() == (), "the next quarter of an hour began with the cut"
        books.cut_maker_episodes(2 * MAKER_EPISODE_NS)
        assert [episode.symbol for episode in books.take_episodes()] == ["A", "C"]

    def test_an_old_price_is_worsened_in_it_too(self) -> None:
        books = self.made("buy", 100)
        books.cut_maker_episodes(MAKER_EPISODE_NS + 3 * SECOND_NS)
        haircut = 9_700 * 50 // 10_000 + 1
        assert Episode("C", -300 - haircut, 0) in books.take_episodes()

    def test_a_restart_begins_the_quarter_anew(self) -> None:
        books = self.made("buy", 1)
        books.on_restart(stamp(5, 10**9))
        assert books.positions["C"].episode_start_ns == 5


class TestAdoption:
    def test_a_position_is_taken_over_at_its_price_and_no_cash_moves(self) -> None:
        books = accounts()
        books.adopt(SYMBOL, 10, 100, "a1", stamp(3, 4))
        assert (books.lots(SYMBOL), books.cash.get("quote", 0), books.transfers) == (10, 0, {"quote": 1_000})
        assert (books.positions[SYMBOL].episode_start_ns, results(books)) == (3, [])
        assert books.on_fill(fill("sell", 10, 101, "t1", exec_seq=1), NOW), "no execution has its number"
        assert results(books) == [10]
        assert cash_violations(books) == position_violations(books.positions[SYMBOL]) == []

    def test_one_that_is_not_there_any_more_ends_its_episode(self) -> None:
        books = booked(("buy", 10, 100))
        books.adopt(SYMBOL, 0, 90, "a1", NOW)
        assert books.take_episodes() == (Episode(SYMBOL, -100, 0),)
        assert books.cash == {"quote": -1_000}
        assert books.transfers == {"quote": -900}
        assert cash_violations(books) == []

    def test_a_balance_is_taken_over_and_remembered(self) -> None:
        books = accounts()
        books.adopt_cash("quote", 7, stamp(3, 4))
        books.adopt_cash("quote", -2, stamp(5, 6))
        books.adopt(SYMBOL, 1, 100, "a1", stamp(7, 8))
        assert books.cash == {"quote": 5}
        assert books.transfers == {"quote": 5 + 100}
        assert [(one.name, one.amount, one.price_ticks, one.wall_ns) for one in books.adopted] == [
            ("quote", 7, 0, 4),
            ("quote", -2, 0, 6),
            (SYMBOL, 1, 100, 8),
        ]
        assert cash_violations(books) == []

    def test_funding_before_anything_else_is_cash(self) -> None:
        books = accounts()
        assert books.on_flow(flow(5, "f", kind="funding", symbol=SYMBOL), 0) == 0
        assert books.cash == {"quote": 5}
