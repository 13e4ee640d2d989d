"""What a person reads never flatters: gains are floored, costs raised, and a rounded figure says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.observe.amounts import ether_ceil, ether_floor, grouped, gwei, short


@pytest.mark.parametrize(
    ("wei", "gain", "cost"),
    [
        (0, "0.000000", "0.000000"),
        (1, "≈0.000000", "≈0.000001"),
        (10**18, "1.000000", "1.000000"),
        (10**12 + 1, "≈0.000001", "≈0.000002"),
        (-1, "≈-0.000001", "≈0.000000"),
        (-(10**12), "-0.000001", "-0.000001"),
    ],
)
def test_gains_round_down_and_costs_up(wei: int, gain: str, cost: str) -> None:
    assert (ether_floor(wei), ether_ceil(wei)) == (gain, cost)


@given(st.integers(min_value=-(10**24), max_value=10**24))
def test_the_shown_gain_is_within_a_millionth_below(wei: int) -> None:
    whole, part = ether_floor(wei).lstrip("≈").split(".")
    sign = -1 if whole.startswith("-") else 1
    shown = sign * (abs(int(whole)) * 10**6 + int(part)) * 10**12
    assert 0 <= wei - shown < 10**12


def test_small_things() -> None:
    assert gwei(1_234_567_890) == "1.234"
    assert short("0x" + "ab" * 20) == "0xabab…abab"
    assert short("0xabcd") == "0xabcd"
    assert grouped(1_234_567) == "1\u2009234\u2009567"
