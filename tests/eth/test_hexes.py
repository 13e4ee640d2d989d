"""Hex text at the edges against eth_utils, and what is not hex."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from agent.eth.hexes import address_text, from_data, from_quantity, to_address, to_data, to_hash, to_quantity
from agent.eth.units import Address


@given(st.binary(min_size=20, max_size=20).map(Address))
def test_addresses_are_written_with_their_checksum_and_read_in_any_plain_case(address: Address) -> None:
    text = address_text(address)
    assert text == to_checksum_address(address)
    assert to_address(text) == to_address(text.lower()) == to_address("0x" + text[2:].upper()) == address


def test_one_wrong_case_is_a_wrong_checksum() -> None:
    good = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    assert to_address(good)
    with pytest.raises(ValueError, match="checksum"):
        to_address(good.replace("aaA", "aAa"))


@given(st.integers(0, 2**260), st.binary(max_size=80))
def test_quantities_and_data_come_back_as_they_were(number: int, raw: bytes) -> None:
    assert from_quantity(to_quantity(number)) == number
    assert from_data(to_data(raw)) == raw


def test_leading_zeros_of_a_quantity_are_taken_as_nodes_send_them() -> None:
    assert from_quantity("0x000a") == 10
    assert to_quantity(0) == "0x0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "5",
        "0X5",
        "0x 5",
        "0x5 ",
        "0x-5",
        "0x+5",
        "0x1_0",
        "0x\u0663",
        "0xg",
        "-0x5",
        "0x5\n",
        "0x0x5",
        "0x0X5",
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_quantity(text)


@pytest.mark.parametrize("text", ["", "00", "0x0", "0x00 11", "0x0g", "0x\u0663\u0663", "0x00\n", " 0x00"])
def test_what_is_no_data_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_data(text)


def test_lengths_are_checked_and_a_quantity_is_never_negative() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        to_address("0x00")
    with pytest.raises(ValueError, match="32 bytes"):
        to_hash("0x00")
    with pytest.raises(ValueError, match="negative"):
        to_quantity(-1)
