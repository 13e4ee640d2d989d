"""Ranges of the slice's V3 pools keep the books that the contract keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devnet.slice.liquidity import ranges_around
from agent.devnet.slice.storage import TickLiquidity, v3_pool_state
from agent.dex.tick_math import sqrt_ratio_at_tick


@given(
    tick=st.integers(-700_000, 700_000),
    tick_spacing=st.sampled_from([1, 10, 60, 200]),
    liquidity=st.integers(10, 2**100),
    data=st.data(),
)
def test_ticks_sum_to_the_liquidity_at_the_price_and_to_nothing_in_all(
    tick: int, tick_spacing: int, liquidity: int, data: st.DataObject
) -> None:
    price = data.draw(st.integers(sqrt_ratio_at_tick(tick), sqrt_ratio_at_tick(tick + 1) - 1))
    ranges = ranges_around(sqrt_price_x96=price, tick=tick, liquidity=liquidity, tick_spacing=tick_spacing)
    assert sum(entry.liquidity_net for entry in ranges.ticks) == 0
    assert sum(entry.liquidity_net for entry in ranges.ticks if entry.tick <= tick) == liquidity
    assert all(entry.tick % tick_spacing == 0 for entry in ranges.ticks)
    assert all(entry.liquidity_gross >= abs(entry.liquidity_net) for entry in ranges.ticks)
    assert ranges.balance0 >= 0 <= ranges.balance1


def test_a_tick_off_the_spacing_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        v3_pool_state(sqrt_price_x96=1 << 96, tick=0, liquidity=1, ticks=(TickLiquidity(5, 1, 1),), tick_spacing=10)
