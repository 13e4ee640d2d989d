"""ABI coding against eth_abi, and its refusals."""

from __future__ import annotations

from typing import Any

import eth_abi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth import abi

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20),
    "bool": st.booleans(),
    "uint256": st.integers(0, 2**256 - 1),
    "uint8": st.integers(0, 255),
    "uint24": st.integers(0, 2**24 - 1),
    "int24": st.integers(-(2**23), 2**23 - 1),
    "int256": st.integers(-(2**255), 2**255 - 1),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes4": st.binary(min_size=4, max_size=4),
    "bytes": st.binary(max_size=70),
    "string": st.text(max_size=20),
}


def _array(inner: tuple[str, st.SearchStrategy[Any]], length: int | None) -> tuple[str, st.SearchStrategy[Any]]:
    text, values = inner
    if length is None:
        return f"{text}[]", st.lists(values, max_size=3)
    return f"{text}[{length}]", st.lists(values, min_size=length, max_size=length)


def _tuple(members: list[tuple[str, st.SearchStrategy[Any]]]) -> tuple[str, st.SearchStrategy[Any]]:
    return f"({','.join(text for text, _ in members)})", st.tuples(*(values for _, values in members))


TYPES = st.recursive(
    st.sampled_from(sorted(SCALARS.items())),
    lambda inner: st.one_of(
        st.builds(_array, inner, st.none() | st.integers(1, 3)),
        st.lists(inner, min_size=1, max_size=3).map(_tuple),
    ),
    max_leaves=5,
)


def _plain(value: Any, text: str) -> Any:
    """eth_abi's answer in our shape: addresses as bytes, arrays as lists."""
    if text == "address":
        return bytes.fromhex(value[2:])
    if text.endswith("]"):
        return [_plain(member, text[: text.rindex("[")]) for member in value]
    if text.startswith("("):
        return tuple(_plain(member, part) for member, part in zip(value, abi._split(text), strict=True))
    return value


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_encoding_and_decoding_equal_those_of_eth_abi(data: st.DataObject) -> None:
    pairs = data.draw(st.lists(TYPES, max_size=4))
    types = [text for text, _ in pairs]
    values = [data.draw(strategy) for _, strategy in pairs]
    raw = abi.encode(types, values)
    assert raw == eth_abi.encode(types, values)
    expected = tuple(_plain(value, text) for value, text in zip(eth_abi.decode(types, raw), types, strict=True))
    assert abi.decode(types, raw) == expected == tuple(values)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_decode_to_values_that_encode(data: st.DataObject) -> None:
    types = ["uint8", "(address,bytes)[]", "string[2]", "int24[]"]
    raw = bytearray(abi.encode(types, [7, [(bytes(20), b"abc")], ["x", "y"], [-1, 2]]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        values = abi.decode(types, bytes(raw))
    except abi.AbiError:
        return
    assert abi.decode(types, abi.encode(types, values)) == values


def test_a_call_is_its_selector_and_its_arguments() -> None:
    raw = abi.encode_call("transfer(address,uint256)", b"\x11" * 20, 5)
    assert raw.hex() == "a9059cbb" + "00" * 12 + "11" * 20 + f"{5:064x}"
    assert raw[4:] == abi.address_word(b"\x11" * 20) + abi.word(5)
    assert abi.signed_word(-1) == b"\xff" * 32
    with pytest.raises(abi.AbiError, match="signature"):
        abi.encode_call("transfer")


@pytest.mark.parametrize(
    "text",
    ["uint", "uint0", "uint7", "uint264", "uint08", "bytes33", "bytes0", "foo",
     "(uint8", "uint8)", "uint8[0]", "uint8[-1]",
     "(uint8)x", "(uint8)(bool)", "uint8[01]", "[]", "", "int²"],
)  # fmt: skip
def test_types_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(abi.AbiError):
        abi.encode([text], [1])


@pytest.mark.parametrize(
    ("text", "value"),
    [("uint8", 256), ("uint8", -1), ("uint8", True), ("int8", 128), ("address", b"1"), ("address", "0x" + "00" * 20),
     ("bool", 1), ("bytes4", b"abc"), ("bytes", "abc"), ("string", b"abc"), ("uint8[2]", [1]), ("(uint8,bool)", [1]),
     ("uint8[]", 5)],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused(text: str, value: Any) -> None:
    with pytest.raises(abi.AbiError):
        abi.encode([text], [value])


@pytest.mark.parametrize(
    ("types", "raw"),
    [
        (["uint256"], bytes(31)),
        (["uint8"], abi.word(256)),
        (["bool"], abi.word(2)),
        (["address"], b"\x01" + bytes(31)),
        (["bytes4"], bytes(31) + b"\x01"),
        (["bytes"], abi.word(32) + abi.word(2**255)),
        (["bytes"], abi.word(2**256 - 1)),
        (["uint256[]"], abi.word(32) + abi.word(2**200)),
        (["string"], abi.word(32) + abi.word(1) + b"\xff" + bytes(31)),
    ],
)
def test_bytes_that_do_not_encode_the_types_are_refused(types: list[str], raw: bytes) -> None:
    with pytest.raises(abi.AbiError):
        abi.decode(types, raw)


def test_offsets_that_multiply_the_same_bytes_are_refused() -> None:
    """Each level points 31 times at the next: 31**6 values from two thousand bytes, were it followed."""
    level = b"".join([abi.word(31), *[abi.word(32 * 31)] * 31])
    with pytest.raises(abi.AbiError, match="more values"):
        abi.decode(["uint256[][][][][][]"], abi.word(32) + level * 6 + bytes(64))
