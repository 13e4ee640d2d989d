"""Decimal text and integers on a grid: exact both ways, and refused where they are not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.instruments import Step
from agent.venues.purpleflea.decimals import Grid, NotDecimal, OffGrid, floor, parse, parse_literal, step_of, text_of

steps = st.builds(Step, units=st.integers(1, 10_000), digits=st.integers(0, 12))
counts = st.integers(-(10**15), 10**15)
texts = st.from_regex(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,12})?", fullmatch=True)


@given(counts, steps)
def test_what_is_written_is_read_back(count: int, step: Step) -> None:
    assert parse(text_of(count, step), step) == count


@given(texts, steps)
def test_a_text_is_read_exactly_or_refused_as_off_the_grid(text: str, step: Step) -> None:
    exact = Decimal(text) / (Decimal(step.units) / 10**step.digits)
    if exact == exact.to_integral_value():
        assert parse(text, step) == int(exact)
    else:
        with pytest.raises(OffGrid):
            parse(text, step)


@given(texts, steps)
def test_a_floor_never_promises_more_than_is_there(text: str, step: Step) -> None:
    count = floor(text, step)
    size = Decimal(step.units) / 10**step.digits
    assert count * size <= Decimal(text) < (count + 1) * size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        "01",
        ".5",
        "1.",
        "1e3",
        "0x1",
        " 1",
        "1 ",
        "NaN",
        "Infinity",
        "1,0",
        "١",
        "--1",
        "1" * 39,
        "0." + "1" * 39,
    ],
)
def test_what_is_no_decimal_of_the_contract_is_refused(text: str) -> None:
    with pytest.raises(NotDecimal):
        parse(text, Step(1, 8))


def test_thirty_eight_digits_are_read() -> None:
    assert parse("1" * 38, Step(1, 0)) == int("1" * 38)
    assert parse("0." + "0" * 36 + "1", Step(1, 37)) == 1


@pytest.mark.parametrize(
    ("text", "ticks"), [("100.1", 1001), ("1001e-1", 1001), ("1.001E2", 1001), ("1e+2", 1000), ("-0.1", -1), ("0", 0)]
)
def test_a_number_is_taken_from_its_literal_text(text: str, ticks: int) -> None:
    assert parse_literal(text, Step(1, 1)) == ticks


@pytest.mark.parametrize("text", ["1e400", "1e", "NaN", "Infinity", "1e1.5", "1e-99999999", "9" * 60])
def test_a_literal_that_is_no_small_number_is_refused(text: str) -> None:
    with pytest.raises(NotDecimal):
        parse_literal(text, Step(1, 1))


def test_the_sum_of_two_floats_is_off_the_grid() -> None:
    with pytest.raises(OffGrid):
        parse_literal("0.30000000000000004", Step(1, 1))


@pytest.mark.parametrize(
    ("text", "step"), [("0.1", Step(1, 1)), ("0.10", Step(1, 1)), ("0.25", Step(25, 2)), ("5", Step(5, 0))]
)
def test_a_step_is_named_by_its_size(text: str, step: Step) -> None:
    assert step_of(text) == step


@pytest.mark.parametrize("text", ["0", "0.0", "-0.1", "x"])
def test_a_step_is_above_zero(text: str) -> None:
    with pytest.raises(NotDecimal):
        step_of(text)


def test_a_grid_remembers_a_bounded_number_of_texts() -> None:
    grid = Grid(Step(1, 2))
    for count in range(10_000):
        assert grid.parse(text_of(count, grid.step)) == count
    assert len(grid._known) <= 4_096


def test_a_grid_tells_what_may_not_be_zero_from_what_may() -> None:
    grid = Grid(Step(1, 1))
    assert grid.natural("0.0") == 0
    with pytest.raises(OffGrid):
        grid.positive("0.0")
    with pytest.raises(OffGrid):
        grid.natural("-0.1")
