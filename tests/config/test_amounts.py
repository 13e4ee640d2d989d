"""Amounts are exact or refused."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.amounts import DIGITS_BY_UNIT, parse_amount


@given(st.integers(0, 10**30), st.sampled_from(["wei", "gwei", "ether"]), st.data())
def test_a_decimal_amount_is_the_wei_that_decimal_arithmetic_gives(whole: int, unit: str, data: st.DataObject) -> None:
    places = DIGITS_BY_UNIT[unit]
    decimals = data.draw(st.text("0123456789", max_size=places))
    text = f"{whole}.{decimals} {unit}" if decimals else f"{whole} {unit}"
    with localcontext() as context:
        context.prec = 80
        assert parse_amount(text) == int(Decimal(text.split()[0]).scaleb(places))


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0.3 ether", 300_000_000_000_000_000),
        ("0.000000000000000001 ether", 1),
        ("1.10000000000000000000000 ether", 1_100_000_000_000_000_000),
        ("1.000000001 gwei", 1_000_000_001),
        ("5wei", 5),
    ],
)
def test_amounts_that_people_write(text: str, wei: int) -> None:
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text",
    [
        "0.3",
        "1e3 wei",
        "-1 wei",
        "1 eth",
        "1,5 ether",
        ".5 ether",
        "5. ether",
        "0.5 wei",
        "0.0000000001 gwei",
        "",
        "ether",
        "1_0 wei",
        "٣ wei x",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|more decimals"):
        parse_amount(text)


def test_what_is_not_text_is_left_to_the_type_check() -> None:
    assert parse_amount(5) == 5
    assert parse_amount(0.5) == 0.5
