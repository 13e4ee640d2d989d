"""Laws of the books, over made-up histories."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.core.accounts.accounts import Accounts
from agent.core.accounts.invariants import cash_violations, position_violations, value_violations
from agent.core.accounts.ledger import Ledger
from agent.core.events.orders import Fill
from tests.core.accounts.making import SYMBOL, accounts, bust, fill, flow, show_market, stamp

NOW = stamp()

trades = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 40),
        st.integers(50, 150),
        st.integers(-3, 5),
        st.sampled_from(["quote", "base", "PTS"]),
    ),
    max_size=25,
)


def fills_of(entries: list[Any], symbol: str = SYMBOL) -> list[Fill]:
    return [
        fill(side, lots, price, f"t{number}", exec_seq=number, symbol=symbol, fee=fee, fee_currency=currency)
        for number, (side, lots, price, fee, currency) in enumerate(entries, 1)
    ]


def booked(fills: list[Fill]) -> Accounts:
    books = accounts(3)
    for entry in fills:
        books.on_fill(entry, NOW)
    return books


def exact_realised(fills: list[Fill]) -> Fraction:
    """Average cost in rationals, in a few lines that share nothing with the ledger."""
    lots, average, realised = 0, Fraction(0), Fraction(0)
    for entry in fills:
        moves = [entry.side.sign * entry.lots]
        if entry.fee_currency == "base":
            moves.append(-entry.fee)
        for move in moves:
            closing = min(abs(move), abs(lots)) if lots * move < 0 else 0
            realised += closing * (entry.price_ticks - average) * (1 if lots > 0 else -1)
            opening = abs(move) - closing
            lots_before = abs(lots) - closing
            if opening and lots_before + opening:
                average = (average * lots_before + entry.price_ticks * opening) / (lots_before + opening)
            lots += move
    return realised * 3


@given(trades)
def test_the_invariants_hold_after_every_fill(entries: list[Any]) -> None:
    books = accounts(3)
    show_market(books, 99, 101)
    for entry in fills_of(entries):
        books.on_fill(entry, NOW)
        assert position_violations(books.positions[SYMBOL]) == []
        assert cash_violations(books) == []
        if "PTS" not in books.cash and entry.fee_currency != "PTS":
            assert value_violations(books, 0) == []


@given(trades)
def test_the_result_is_never_above_the_exact_one_and_equal_when_flat(entries: list[Any]) -> None:
    fills = fills_of(entries)
    ledger = booked(fills).positions[SYMBOL].ledger
    exact = exact_realised(fills)
    assert exact - 2 * len(fills) <= ledger.realised_atoms <= exact
    if ledger.lots == 0:
        assert ledger.realised_atoms == exact


@given(trades, st.randoms(use_true_random=False))
def test_fills_may_come_in_any_order_and_any_number_of_times(entries: list[Any], random: Any) -> None:
    fills = fills_of(entries)
    shuffled = fills + [entry for entry in fills if random.random() < 0.5]
    random.shuffle(shuffled)
    books = booked(shuffled)
    assert books.positions[SYMBOL].ledger == booked(fills).positions[SYMBOL].ledger
    assert books.cash == booked(fills).cash
    assert cash_violations(books) == position_violations(books.positions[SYMBOL]) == []


@given(trades, st.data())
def test_a_bust_leaves_what_there_would_be_without_the_trade(entries: list[Any], data: st.DataObject) -> None:
    fills = fills_of(entries)
    gone = data.draw(st.sets(st.sampled_from(fills), max_size=3) if fills else st.just(set()))
    books = booked(fills)
    for entry in sorted(gone, key=lambda entry: entry.exec_seq):
        assert books.on_bust(bust(entry.trade_id), NOW)
    left = booked([entry for entry in fills if entry not in gone])
    assert without_zeros(books.positions[SYMBOL].ledger) == without_zeros(left.positions[SYMBOL].ledger)
    assert {c: a for c, a in books.cash.items() if a} == {c: a for c, a in left.cash.items() if a}
    assert cash_violations(books) == []


def without_zeros(ledger: Ledger) -> tuple[Any, ...]:
    return (
        ledger.lots,
        ledger.cost_atoms,
        ledger.realised_atoms,
        ledger.cash_atoms,
        ledger.fee_value_atoms,
        {currency: fee for currency, fee in ledger.fees.items() if fee},
    )


@given(trades, trades, st.randoms(use_true_random=False))
def test_symbols_do_not_touch_each_other(first: list[Any], second: list[Any], random: Any) -> None:
    """Any interleaving of two symbols gives each of them the same books, and the account the same cash."""
    ones, twos = fills_of(first, "A"), fills_of(second, "B")
    apart, mixed = accounts(3, "A", "B"), accounts(3, "A", "B")
    for entry in ones + twos:
        apart.on_fill(entry, NOW)
    left, right = list(ones), list(twos)
    while left or right:
        source = left if left and (not right or random.random() < 0.5) else right
        mixed.on_fill(source.pop(0), NOW)
    assert mixed.positions == apart.positions
    assert mixed.cash == apart.cash
    assert mixed.fees == apart.fees


@given(trades)
def test_the_results_of_the_episodes_add_up_to_the_equity(entries: list[Any]) -> None:
    books = booked(fills_of(entries))
    position = books.positions[SYMBOL]
    assert sum(episode.result_atoms for episode in books.take_episodes()) == position.episode_start_atoms
    if position.lots == 0:
        assert position.equity_atoms == position.episode_start_atoms


@given(trades, st.lists(st.integers(-10_000, 10_000), max_size=5), st.integers(60, 140))
def test_flows_and_funding_move_the_value_by_their_amount(entries: list[Any], flows: list[int], bid: int) -> None:
    books = booked(fills_of([(*entry[:4], "quote") for entry in entries]))
    show_market(books, bid, bid + 2)
    for number, atoms in enumerate(flows):
        before = books.valuation(0).nav_atoms
        kind = ("deposit", "withdrawal", "faucet", "funding")[number % 4]
        told = books.on_flow(flow(atoms, str(number), kind=kind, symbol=SYMBOL), 0)
        assert books.valuation(0).nav_atoms == before + atoms
        assert told == (0 if kind == "funding" else atoms)
        assert (
            value_violations(books, 0) == cash_violations(books) == position_violations(books.positions[SYMBOL]) == []
        )
