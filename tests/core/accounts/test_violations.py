"""The invariants see each thing that can be wrong, and say it with both figures."""

from __future__ import annotations

from agent.core.accounts.invariants import (
    cash_violations,
    high_violations,
    position_violations,
    reservation_violations,
    value_violations,
    venue_violations,
)
from agent.core.accounts.position import Position
from agent.core.instruments import Side
from agent.core.risk.breakers.drawdown import Drawdown
from tests.core.accounts.making import SYMBOL, accounts, fill, flow, show_market, stamp

NOW = stamp()


def held(*entries: tuple[str, int, int]) -> Position:
    books = accounts()
    for number, (side, lots, price) in enumerate(entries, 1):
        books.on_fill(fill(side, lots, price, f"t{number}", exec_seq=number), NOW)
    return books.positions[SYMBOL]


class TestPosition:
    def test_a_cost_without_lots(self) -> None:
        flat = held(("buy", 1, 100), ("sell", 1, 103))
        flat.ledger.cost_atoms = 5
        said = position_violations(flat)
        assert said[0] == "X-Q: 0 lots at a cost of 5", "cash and result agree: a flat position has no cost to count"
        assert "the kept fills come to" in said[1] and len(said) == 2

    def test_lots_without_a_cost(self) -> None:
        long = held(("buy", 1, 100))
        long.ledger.cost_atoms = 0
        assert position_violations(long)[:2] == [
            "X-Q: realised 0, cash and cost say -100",
            "X-Q: 1 lots at a cost of 0",
        ]

    def test_a_cost_below_zero(self) -> None:
        short = held(("sell", 1, 100))
        short.ledger.cost_atoms = -100
        assert "X-Q: -1 lots at a cost of -100" in position_violations(short)

    def test_a_ledger_that_its_fills_do_not_come_to(self) -> None:
        long = held(("buy", 2, 100))
        long.ledger.fees["quote"] = 3
        (said,) = position_violations(long)
        assert said.startswith("X-Q: the kept fills come to Ledger(lots=2") and "fees={'quote': 3}" in said


class TestCash:
    def test_it_says_whose_and_both_figures(self) -> None:
        books = accounts()
        books.on_flow(flow(100, "d"), 0)
        books.cash["quote"] += 1
        books.cash["EUR"] = 2
        books.transfers["PTS"] = 3
        assert cash_violations(books) == [
            "EUR: cash 2, its entries come to 0",
            "PTS: cash 0, its entries come to 3",
            "quote: cash 101, its entries come to 100",
        ]

    def test_fees_are_the_sum_over_all_markets(self) -> None:
        books = accounts(1, "A", "B")
        for symbol in ("A", "B"):
            books.on_fill(fill("buy", 1, 100, f"t {symbol}", symbol=symbol, fee=2), NOW)
        assert cash_violations(books) == []
        books.fees["quote"] -= 1
        books.fees["EUR"] = 7
        del books.positions["B"].ledger.fees["quote"]
        books.positions["B"].ledger.fees["PTS"] = 0
        assert cash_violations(books) == ["EUR: fees 7, its fills say 0", "quote: fees 3, its fills say 2"]

    def test_a_fee_that_no_total_knows(self) -> None:
        books = accounts()
        books.positions[SYMBOL].ledger.fees["quote"] = 4
        assert cash_violations(books) == ["quote: fees 0, its fills say 4"]

    def test_loose_funding_counts(self) -> None:
        books = accounts()
        books.loose_funding["quote"] = 6
        assert cash_violations(books) == ["quote: cash 0, its entries come to 6"]


class TestTheRest:
    def test_the_value_of_one_lot_either_way(self) -> None:
        for side, result in (("buy", -1), ("sell", -2)):
            books = accounts()
            books.on_fill(fill(side, 1, 100, "t1"), NOW)
            show_market(books, 99, 102)
            assert value_violations(books, 0) == []
            books.transfers["quote"] = 5
            assert value_violations(books, 0) == [f"the net asset value is {result}, its parts come to {result + 5}"]

    def test_the_venues_position(self) -> None:
        books = accounts(1, "A", "B", "C")
        books.on_fill(fill("buy", 10, 100, "t1", symbol="A"), NOW)
        books.on_fill(fill("sell", 1, 100, "t2", symbol="C"), NOW)
        assert venue_violations(books, {"A": 9, "Y": 1, "Z": 0}) == [
            "A: ours 10 lots, the venue's 9",
            "C: ours -1 lots, the venue's 0",
            "Y: ours 0 lots, the venue's 1",
        ]

    def test_reservations(self) -> None:
        orders = [("A", Side.BUY, 6), ("A", Side.SELL, -1), ("A", Side.SELL, 0), ("C", Side.BUY, 0)]
        assert reservation_violations({("A", Side.BUY): 5, ("B", Side.SELL): 3, ("D", Side.BUY): 0}, orders) == [
            "A: an order to sell reserves -1 lots",
            "A: 5 lots to buy are reserved, the orders come to 6",
            "A: 0 lots to sell are reserved, the orders come to -1",
            "B: 3 lots to sell are reserved, the orders come to 0",
        ]

    def test_the_high_of_a_single_unit(self) -> None:
        single = Drawdown(units=1, nav_atoms=13, high_nav_atoms=12, high_units=1)
        assert high_violations(single) == ["a unit is worth 13/1, above the high 12/1"]
        held = Drawdown(units=2, nav_atoms=9, high_nav_atoms=1, high_units=1, held_nav_atoms=8, held_units=2)
        assert high_violations(held) == ["a unit is worth 9/2, above the high 8/2"]
        held.held_nav_atoms = 9
        assert high_violations(held) == []
