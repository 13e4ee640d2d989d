"""Every accounting vector through the real books: each state along the way, and the invariants after each event."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from agent.core.accounts.accounts import Accounts
from agent.core.accounts.invariants import cash_violations, position_violations, value_violations
from agent.core.accounts.marks import Rate
from tests.core.accounts.making import SYMBOL, accounts, fill, flow, show_market, stamp

NEGATIVE_PRICE = "negative_price_allowed"
"""Such an instrument is refused where it is loaded; its arithmetic is shown all the same, its cost has no sign."""


@pytest.fixture(scope="module")
def cases(vectors: Path) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((vectors / "core" / "accounting.json").read_text())["cases"]
    assert len(loaded) == 60
    return loaded


def play(case: dict[str, Any], *, numbered: bool) -> tuple[Accounts, int]:
    """The books at the end, and how many fills were known already. Every state on the way is compared."""
    books = accounts(case["tick_value"])
    books.rates["PTS"] = Rate(0, 1)
    repeated = 0
    states = case.get("after_each") or [None] * (len(case["events"]) - 1) + [case["final"]]
    assert len(states) == len(case["events"])
    for number, (event, state) in enumerate(zip(case["events"], states, strict=True), 1):
        if "funding" in event:
            books.on_flow(flow(event["funding"], f"f{number}", kind="funding", symbol=SYMBOL), 0)
        else:
            entry = fill(
                event["side"],
                event["qty"],
                event["px"],
                event["trade_id"],
                exec_seq=number if numbered else 0,
                fee=event.get("fee", 0),
                fee_currency=event.get("fee_ccy", "quote"),
            )
            repeated += not books.on_fill(entry, stamp(number))
        if state is not None:
            assert told(books) == {key: state[key] for key in told(books)}, f"{case['name']} after event {number}"
        assert cash_violations(books) == []
        if case["name"] != NEGATIVE_PRICE:
            assert position_violations(books.positions[SYMBOL]) == [], f"{case['name']} after event {number}"
    return books, repeated


def told(books: Accounts) -> dict[str, Any]:
    position = books.positions[SYMBOL]
    ledger = position.ledger
    average = position.average_cost
    return {
        "position": ledger.lots,
        "open_cost": ledger.cost_atoms,
        "avg_cost": None if average is None else str(Fraction(*average)),
        "realised": ledger.realised_atoms,
        "fees": ledger.fees,
        "fees_quote_equiv": ledger.fee_value_atoms,
        "funding": position.funding_atoms,
        "cash_quote": position.cash_atoms,
    }


@pytest.mark.parametrize("numbered", [False, True], ids=["by trade id", "by execution"])
def test_every_state_of_every_case(cases: list[dict[str, Any]], numbered: bool) -> None:
    for case in cases:
        books, repeated = play(case, numbered=numbered)
        assert told(books) == {key: case["final"][key] for key in told(books)}, case["name"]
        assert repeated == case["duplicates_ignored"], case["name"]


def test_the_result_is_never_above_the_exact_one(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        books, _ = play(case, numbered=False)
        exact = Fraction(case["final"]["realised_exact_rational"])
        realised_atoms = books.positions[SYMBOL].ledger.realised_atoms
        assert realised_atoms <= exact, case["name"]
        if case["final"]["position"] == 0:
            assert realised_atoms == exact, f"{case['name']}: flat, so nothing may be left of the rounding"


def test_a_position_is_worth_what_the_best_price_on_its_side_brings(cases: list[dict[str, Any]]) -> None:
    marked = [case for case in cases if "mark" in case]
    assert len(marked) == 17
    for case in marked:
        books, _ = play(case, numbered=False)
        mark = case["mark"]
        show_market(books, mark["bid"], mark["ask"] + (mark["ask"] == mark["bid"]))
        books.marks[SYMBOL].ask_ticks = mark["ask"]
        assert books.valuation(0).nav_atoms == mark["nav_liquidation"], case["name"]
        assert value_violations(books, 0) == [], case["name"]
        if "unrealised" in mark:
            position = books.positions[SYMBOL]
            price = mark["bid"] if position.lots > 0 else mark["ask"]
            assert position.unrealised_atoms(price) == mark["unrealised"], case["name"]
