"""RLP against the `rlp` package, and its refusals."""

from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st
from rlp.sedes import big_endian_int

from agent.eth import rlp

ITEMS = st.recursive(st.binary(max_size=300), lambda inner: st.lists(inner, max_size=6), max_leaves=30)


@given(ITEMS)
def test_encoding_equals_the_reference_and_decodes_to_the_same_item(item: rlp.Item) -> None:
    raw = rlp.encode(item)
    assert raw == reference.encode(item)
    assert rlp.decode(raw) == item


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_integers_encode_as_the_reference_does(value: int) -> None:
    raw = rlp.encode_int(value)
    assert raw == reference.encode(value, big_endian_int)
    assert rlp.as_int(rlp.decode(raw)) == value


@given(st.binary(max_size=80))
def test_whatever_is_accepted_encodes_back_to_the_same_bytes(raw: bytes) -> None:
    try:
        item = rlp.decode(raw)
    except rlp.RlpError:
        return
    assert rlp.encode(item) == raw


@given(st.binary(max_size=80))
def test_the_reference_accepts_exactly_the_same_bytes(raw: bytes) -> None:
    try:
        expected = reference.decode(raw)
    except reference.DecodingError:
        with pytest.raises(rlp.RlpError):
            rlp.decode(raw)
    else:
        assert rlp.decode(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "end where"),
        (b"\x81\x7f", "single byte"),
        (b"\xb8\x01a", "short item"),
        (b"\xb8\x37" + bytes(55), "short item"),
        (b"\xf8\x37" + bytes([1]) * 55, "short item"),
        (b"\xb9\x00\x38" + bytes(56), "leading zeros"),
        (b"\xb8", "inside a length"),
        (b"\x83ab", "too far"),
        (b"\xc2\x83a", "too far"),
        (b"\x01\x02", "behind"),
        (b"\xf8\x01\x01", "short item"),
        (b"\xc1" * 200_000, "too far"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(rlp.RlpError, match=reason):
        rlp.decode(raw)


def test_nesting_that_would_exhaust_the_stack_is_refused() -> None:
    raw = b"\xc0"
    for _ in range(5_000):
        raw = rlp.encode_list([raw])
    with pytest.raises(rlp.RlpError, match="nested deeper"):
        rlp.decode(raw)


def test_shapes_are_checked_where_fields_are_read() -> None:
    with pytest.raises(rlp.RlpError, match="leading zeros"):
        rlp.as_int(b"\0\1")
    with pytest.raises(rlp.RlpError, match="64 bits"):
        rlp.as_int(bytes([1] * 9), bits=64)
    with pytest.raises(rlp.RlpError, match="20 bytes"):
        rlp.as_fixed(b"abc", 20)
    with pytest.raises(rlp.RlpError, match="a list was expected"):
        rlp.decode_list(b"\x80")
    with pytest.raises(rlp.RlpError, match="a byte string was expected"):
        rlp.as_int([])
