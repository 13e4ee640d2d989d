"""Client order ids: one for each order of each run, recognised without a list."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.orders.ids import MAX_COUNTER, MAX_RUN_EPOCH, IdSource, crc8, decoded, encoded

RUNS = st.integers(0, MAX_RUN_EPOCH)
COUNTERS = st.integers(0, MAX_COUNTER)


def test_the_check_is_crc8_smbus() -> None:
    assert crc8(b"123456789") == 0xF4


@given(RUNS, COUNTERS)
def test_an_id_says_its_run_and_number(run: int, counter: int) -> None:
    name = encoded(run, counter)
    assert re.fullmatch(r"[A-Za-z0-9_-]{18}", name)
    assert decoded(name) == (run, counter)


@given(RUNS, st.integers(0, MAX_COUNTER - 3))
def test_a_source_gives_the_ids_of_its_run_in_order(run: int, counter: int) -> None:
    source = IdSource(run, counter)
    assert [source.take() for _ in range(3)] == [encoded(run, counter + step) for step in range(3)]


def test_a_source_goes_on_where_its_block_ends() -> None:
    source = IdSource(7, 1_000)
    assert [source.take() for _ in range(2_100)] == [encoded(7, number) for number in range(1_000, 3_100)]


@given(RUNS, COUNTERS, st.integers(0, 17), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_wrong_letter_is_seen(run: int, counter: int, place: int, letter: str) -> None:
    name = encoded(run, counter)
    wrong = name[:place] + letter + name[place + 1 :]
    assert wrong == name or decoded(wrong) is None


@pytest.mark.parametrize("name", ["", "a", "ghost", "A" * 18, "a" * 17 + "1", "ä" * 18])
def test_what_has_another_form_is_no_id(name: str) -> None:
    assert decoded(name) is None


def test_ours_is_what_this_run_gave_or_an_earlier_one_may_have() -> None:
    source = IdSource(5, 0)
    assert not source.was_issued(encoded(5, 0))
    assert source.was_issued(source.take())
    assert not source.was_issued(encoded(5, 1))
    assert source.was_issued(encoded(4, 10**9)), "the tail of an earlier journal may be lost"
    assert not source.was_issued(encoded(6, 0))


def test_a_number_out_of_range_has_no_id() -> None:
    with pytest.raises(ValueError):
        encoded(MAX_RUN_EPOCH + 1, 0)
    with pytest.raises(ValueError):
        encoded(0, MAX_COUNTER + 1)
