"""Bids: the builder's share of what is left after gas, and the floor that includes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.strategies.arb.bid import BPS, bid_by_priority_fee, bid_in_weth

wei = st.integers(0, 10**21)


def test_the_share_is_of_gross_minus_gas_and_floored() -> None:
    bid = bid_in_weth(gross_wei=1_000_000, gas_cost_wei=300_001, share_bps=9_000, least_net_wei=0)
    assert bid is not None
    assert bid.payment_bps == 9_000 * 699_999 // 1_000_000 == 6_299
    assert (bid.payment_amount, bid.floor_amount, bid.priority_fee_wei) == (629_900, 300_001, 0)


def test_nothing_is_bid_where_gas_eats_the_gross_or_the_least_net_is_not_left() -> None:
    assert bid_in_weth(gross_wei=100, gas_cost_wei=100, share_bps=5_000, least_net_wei=0) is None
    assert bid_in_weth(gross_wei=1_000, gas_cost_wei=0, share_bps=9_000, least_net_wei=101) is None
    assert bid_in_weth(gross_wei=1_000, gas_cost_wei=0, share_bps=9_000, least_net_wei=100) is not None
    with pytest.raises(ValueError, match="share"):
        bid_in_weth(gross_wei=1_000, gas_cost_wei=0, share_bps=10_001, least_net_wei=0)


@given(wei, wei, st.integers(0, BPS), wei)
def test_what_is_kept_covers_gas_and_the_least_net(gross: int, gas: int, share: int, least: int) -> None:
    bid = bid_in_weth(gross_wei=gross, gas_cost_wei=gas, share_bps=share, least_net_wei=least)
    if bid is not None:
        assert 0 <= bid.payment_bps <= BPS
        assert bid.payment_amount == gross * bid.payment_bps // BPS
        assert gross - bid.payment_amount >= bid.floor_amount == gas + least
        assert bid.payment_amount * BPS <= share * (gross - gas)


@given(wei.map(lambda x: x + 1), wei, st.integers(1, 10**6), wei, st.integers(0, BPS), wei)
def test_in_another_token_the_floor_is_worth_all_that_was_spent(
    gross: int, value: int, gas_used: int, gas: int, share: int, least: int
) -> None:
    bid = bid_by_priority_fee(
        gross_amount=gross, value_wei=value, gas_used=gas_used, gas_cost_wei=gas, share_bps=share, least_net_wei=least
    )
    if bid is not None:
        spent = gas + bid.priority_fee_wei * gas_used
        assert bid.payment_bps == bid.payment_amount == 0
        assert bid.priority_fee_wei * gas_used * BPS <= share * (value - gas)
        assert value - spent >= least
        assert bid.floor_amount * value >= gross * (spent + least)
        assert bid.floor_amount <= gross
