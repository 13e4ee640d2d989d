"""Laws of the worst case: nothing is netted, more never counts for less, a reducing order never adds."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.instruments import Side
from agent.core.risk.exposure import Exposure, Standing, excess_lots, standing, worst_exposure
from agent.core.risk.profiles import PPM

lots = st.integers(0, 1_000)
positions = st.integers(-1_000, 1_000)
prices = st.integers(1, 500)
sides = st.sampled_from(Side)
worlds = st.fixed_dictionaries(
    {
        "position_lots": positions,
        "reserved_buy_lots": lots,
        "reserved_sell_lots": lots,
        "side": sides,
        "lots": st.integers(1, 1_000),
        "price_ticks": prices,
        "highest_buy_ticks": st.integers(0, 500),
        "mark_ticks": prices,
        "tick_value_atoms": st.integers(1, 30),
    }
)


def worst(world: dict[str, Any], **other: int) -> Exposure:
    return worst_exposure(**{**world, **other})


@given(worlds)
def test_a_long_is_worth_the_highest_price_that_may_be_paid_and_a_short_the_mark(world: dict[str, Any]) -> None:
    exposure = worst(world)
    if world["side"] is Side.BUY:
        price, lots_held = (
            max(world["mark_ticks"], world["highest_buy_ticks"], world["price_ticks"]),
            exposure.max_long_lots,
        )
    else:
        price, lots_held = world["mark_ticks"], -exposure.max_short_lots
    assert exposure.side_value_atoms == max(0, lots_held) * price * world["tick_value_atoms"]


@given(worlds)
def test_the_worst_is_the_farther_of_both_ends_and_nothing_when_flat(world: dict[str, Any]) -> None:
    exposure = worst(world)
    assert exposure.worst_lots == max(abs(exposure.max_long_lots), abs(exposure.max_short_lots))
    assert worst(world, position_lots=0, reserved_buy_lots=0, reserved_sell_lots=0, lots=0).worst_lots == 0


@given(worlds, st.integers(1, 100))
def test_a_larger_order_is_never_worth_less(world: dict[str, Any], more: int) -> None:
    small, large = worst(world), worst(world, lots=world["lots"] + more)
    assert large.side_value_atoms >= small.side_value_atoms
    assert large.worst_lots >= small.worst_lots
    assert small.is_reducing or not large.is_reducing


@given(worlds, st.integers(1, 100))
def test_what_works_on_the_other_side_helps_nothing(world: dict[str, Any], more: int) -> None:
    other = "reserved_sell_lots" if world["side"] is Side.BUY else "reserved_buy_lots"
    assert worst(world, **{other: world[other] + more}).side_value_atoms == worst(world).side_value_atoms


@given(worlds, st.integers(1, 100))
def test_what_works_on_the_same_side_adds(world: dict[str, Any], more: int) -> None:
    same = "reserved_buy_lots" if world["side"] is Side.BUY else "reserved_sell_lots"
    grown = worst(world, **{same: world[same] + more})
    assert grown.side_value_atoms >= worst(world).side_value_atoms
    assert worst(world).is_reducing or not grown.is_reducing


@given(worlds)
def test_no_way_of_filling_is_worse(world: dict[str, Any]) -> None:
    """Every subset of what works, filled: the position stays between the two worst cases."""
    exposure = worst(world)
    buys = world["reserved_buy_lots"] + (world["lots"] if world["side"] is Side.BUY else 0)
    sells = world["reserved_sell_lots"] + (world["lots"] if world["side"] is Side.SELL else 0)
    for bought in {0, buys // 2, buys}:
        for sold in {0, sells // 2, sells}:
            position = world["position_lots"] + bought - sold
            assert exposure.max_short_lots <= position <= exposure.max_long_lots
            assert abs(position) <= exposure.worst_lots


@given(worlds)
def test_a_reducing_order_cannot_turn_the_position(world: dict[str, Any]) -> None:
    exposure = worst(world)
    if exposure.is_reducing:
        assert exposure.side_value_atoms == 0
        assert exposure.max_short_lots >= 0 if world["position_lots"] > 0 else exposure.max_long_lots <= 0


@given(worlds)
def test_no_order_is_reducing_when_flat_or_on_the_positions_own_side(world: dict[str, Any]) -> None:
    if world["position_lots"] * world["side"].sign >= 0:
        assert not worst(world).is_reducing


@given(positions, lots, lots, sides)
def test_the_present_worst_case_is_no_order_and_so_reduces_nothing_when_flat(
    held: int, buys: int, sells: int, side: Side
) -> None:
    now = present(held if held * side.sign > 0 else 0, buys, sells, side, 0)
    assert not now.is_reducing


@example(1, 0, 1, Side.BUY)
@example(1, 0, 1, Side.SELL)
@given(st.integers(1, 1_000), lots, st.integers(1, 1_000), sides)
def test_an_order_reduces_as_long_as_what_is_held_covers_it_and_all_that_works_with_it(
    held: int, working: int, lots: int, side: Side
) -> None:
    """To the lot: the last one that is covered still reduces, the next does not. What works against it is no cover."""
    buys, sells = (working, 7) if side is Side.BUY else (7, working)
    assert present(-held * side.sign, buys, sells, side, lots).is_reducing is (lots + working <= held)
    if working < held:
        assert present(-held * side.sign, buys, sells, side, held - working).is_reducing
    assert not present(-held * side.sign, buys, sells, side, held - min(working, held) + 1).is_reducing


def present(held: int, buys: int, sells: int, side: Side, lots: int) -> Exposure:
    return worst_exposure(
        position_lots=held, reserved_buy_lots=buys, reserved_sell_lots=sells, side=side, lots=lots, price_ticks=100,
        highest_buy_ticks=100, mark_ticks=100, tick_value_atoms=1,
    )  # fmt: skip


@given(positions, prices, st.integers(1, 9), st.integers(0, 10**6), st.integers(1, PPM))
def test_shedding_the_excess_is_enough_and_no_more(held: int, mark: int, value: int, nav: int, limit: int) -> None:
    shed = excess_lots(held, mark, value, nav, limit)
    assert 0 <= shed <= abs(held)
    assert standing(abs(held) - shed, mark, value, nav, limit) is Standing.WITHIN
    if shed:
        assert standing(abs(held) - shed + 1, mark, value, nav, limit) is not Standing.WITHIN
