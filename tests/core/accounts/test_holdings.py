"""What an on-chain account is worth: what counts, what is left out, and what is not known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.accounts.holdings import Holdings
from agent.core.events.chain import Holding

ETHER = Holding("ETH", 1_000, 1_000)
LAST_WEI = 77


def test_the_value_is_the_sum_of_what_has_a_price() -> None:
    valued = Holdings().value([ETHER, Holding("0xaa", 5, 20), Holding("0xbb", 0, 0)], LAST_WEI)
    assert (valued.valuation.nav_atoms, valued.valuation.is_valid) == (1_020, True)
    assert (valued.deposit_wei, valued.alarms) == (0, ())


def test_what_never_had_a_price_counts_as_nothing_and_is_named_once() -> None:
    books = Holdings()
    first = books.value([ETHER, Holding("0xaa", 5, None)], LAST_WEI)
    assert (first.valuation.nav_atoms, first.valuation.is_valid) == (1_000, True)
    assert [(alarm.code, alarm.subject) for alarm in first.alarms] == [("HOLDING_LEFT_OUT", "0xaa")]
    more = books.value([ETHER, Holding("0xaa", 50, None)], LAST_WEI)
    assert (more.valuation.nav_atoms, more.alarms) == (1_000, ())


def test_what_was_left_out_and_has_a_price_now_is_a_deposit_and_no_profit() -> None:
    books = Holdings()
    books.value([ETHER, Holding("0xaa", 5, None)], LAST_WEI)
    valued = books.value([ETHER, Holding("0xaa", 5, 20)], 1_000)
    assert (valued.valuation.nav_atoms, valued.deposit_wei) == (1_020, 20)
    again = books.value([ETHER, Holding("0xaa", 6, 24)], 1_020)
    assert (again.valuation.nav_atoms, again.deposit_wei) == (1_024, 0)


def test_what_comes_in_with_a_price_is_no_deposit() -> None:
    books = Holdings()
    books.value([ETHER, Holding("0xaa", 0, 0)], LAST_WEI)
    assert books.value([ETHER, Holding("0xaa", 5, 20)], 1_000).deposit_wei == 0


def test_what_counted_and_has_no_price_or_no_answer_now_leaves_the_last_value_as_a_guess() -> None:
    for gone in (Holding("0xaa", 5, None), Holding("0xaa", None, None)):
        books = Holdings()
        books.value([ETHER, Holding("0xaa", 5, 20)], LAST_WEI)
        valuation = books.value([ETHER, gone], 1_020).valuation
        assert (valuation.nav_atoms, valuation.stale) == (1_020, ("0xaa",))


def test_what_is_spent_to_the_last_unit_needs_no_price() -> None:
    books = Holdings()
    books.value([ETHER, Holding("0xaa", 5, 20)], LAST_WEI)
    assert books.value([ETHER, Holding("0xaa", 0, None)], 1_020).valuation.is_valid


def test_no_answer_about_what_is_left_out_changes_nothing() -> None:
    books = Holdings()
    books.value([ETHER, Holding("0xaa", 5, None)], LAST_WEI)
    assert books.value([ETHER, Holding("0xaa", None, None)], 1_000).valuation.is_valid


AMOUNTS = st.one_of(st.none(), st.integers(0, 10))
PRICED = st.tuples(AMOUNTS, st.booleans())


@given(st.lists(st.lists(PRICED, min_size=3, max_size=3), max_size=12))
def test_a_value_that_is_valid_is_never_more_than_what_is_held_and_a_deposit_is_part_of_it(
    heads: list[list[tuple[int | None, bool]]],
) -> None:
    books, last_wei = Holdings(), 0
    for head in heads:
        held = [
            Holding(str(number), amount, 3 * amount if amount is not None and is_priced else None)
            for number, (amount, is_priced) in enumerate(head)
        ]
        valued = books.value(held, last_wei)
        assert not set(books.counted) & set(books.left_out)
        if valued.valuation.is_valid:
            assert valued.valuation.nav_atoms == sum(one.value_wei or 0 for one in held)
            assert 0 <= valued.deposit_wei <= valued.valuation.nav_atoms
        else:
            assert valued.valuation.nav_atoms == last_wei
        last_wei = valued.valuation.nav_atoms


def test_what_is_not_known_brings_no_deposit_and_the_last_value_stands() -> None:
    books = Holdings()
    books.value([ETHER, Holding("0xaa", 5, 20)], LAST_WEI)
    valued = books.value([ETHER, Holding("0xaa", None, None)], LAST_WEI)
    assert (valued.deposit_wei, valued.valuation.nav_atoms, valued.valuation.stale) == (0, LAST_WEI, ("0xaa",))


def test_every_token_is_looked_at_whatever_stands_before_it() -> None:
    """One that there is nothing of hides none behind it, and deposits of several add up."""
    books = Holdings()
    books.value([Holding("0x00", 0, 0), Holding("0xaa", 5, None), Holding("0xbb", 5, None)], LAST_WEI)
    valued = books.value([Holding("0x00", 0, 0), Holding("0xaa", 5, 20), Holding("0xbb", 5, 30)], LAST_WEI)
    assert (valued.deposit_wei, valued.valuation.nav_atoms) == (50, 50)
    assert list(books.counted) == ["0xaa", "0xbb"] and books.left_out == {}
