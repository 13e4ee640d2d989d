"""Typed data against the example of the EIP and against eth_account."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth.abi import AbiError
from agent.eth.eip712 import domain_separator, encode_type, hash_struct, typed_data_digest
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer

# The example of EIP-712, whose hashes and signature the EIP's own test prints.
MAIL = {
    "Person": [("name", "string"), ("wallet", "address")],
    "Mail": [("from", "Person"), ("to", "Person"), ("contents", "string")],
}
DOMAIN = {
    "name": "Ether Mail",
    "version": "1",
    "chainId": 1,
    "verifyingContract": bytes.fromhex("CcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"),
}
LETTER = {
    "from": {"name": "Cow", "wallet": bytes.fromhex("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826")},
    "to": {"name": "Bob", "wallet": bytes.fromhex("bBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB")},
    "contents": "Hello, Bob!",
}


def test_the_example_of_the_eip_is_reproduced() -> None:
    assert encode_type("Mail", MAIL) == "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    assert domain_separator(DOMAIN).hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
    assert hash_struct("Mail", MAIL, LETTER).hex() == "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    digest = typed_data_digest(DOMAIN, "Mail", MAIL, LETTER)
    assert digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    r, s, v = Signer(keccak256(b"cow")).sign_digest(digest)
    assert r == 0x4355C47D63924E8A72E509B65029052EB6C299D53A04E167C5775FD466751C9D
    assert (s, v) == (0x07299936D304C153F6443DFA05F40FF007D72911B6F72307F996231605B91562, 28)


def test_the_structs_a_type_refers_to_follow_in_order_of_name() -> None:
    types = {
        "Root": [("z", "Zebra[]"), ("m", "Mole"), ("a", "Ant")],
        "Zebra": [("b", "Bee")],
        "Mole": [("x", "bool")],
        "Ant": [("m", "Mole")],
        "Bee": [("r", "Root[]")],
    }
    text = "Root(Zebra[] z,Mole m,Ant a)Ant(Mole m)Bee(Root[] r)Mole(bool x)Zebra(Bee b)"
    assert encode_type("Root", types) == text


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "uint256": st.integers(0, 2**256 - 1),
    "int24": st.integers(-(2**23), 2**23 - 1),
    "bool": st.booleans(),
    "address": st.binary(min_size=20, max_size=20),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bytes": st.binary(max_size=40),
    "string": st.text(max_size=10),
    "uint8[]": st.lists(st.integers(0, 255), max_size=3),
    "string[2]": st.lists(st.text(max_size=4), min_size=2, max_size=2),
    "bytes4[][]": st.lists(st.lists(st.binary(min_size=4, max_size=4), max_size=2), max_size=2),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_digests_equal_those_of_eth_account(data: st.DataObject) -> None:
    def struct(*nested: str) -> list[tuple[str, str]]:
        kinds = data.draw(st.lists(st.sampled_from([*FIELDS, *nested]), min_size=1, max_size=4))
        return [(f"f{i}", kind) for i, kind in enumerate(kinds)]

    def value(fields: list[tuple[str, str]]) -> dict[str, Any]:
        return {name: one(kind) for name, kind in fields}

    def one(kind: str) -> Any:
        if kind == "Inner":
            return value(inner)
        if kind == "Inner[]":
            return [value(inner) for _ in range(data.draw(st.integers(0, 2)))]
        return data.draw(FIELDS[kind])

    inner = struct()
    outer = struct("Inner", "Inner[]")
    types = {"Outer": outer}
    if any(kind.startswith("Inner") for _, kind in outer):  # eth_account takes no type that nothing refers to
        types["Inner"] = inner
    message = value(outer)
    named = {kind: [{"name": n, "type": t} for n, t in fields] for kind, fields in types.items()}
    domain = {"name": "x", "chainId": 5, "salt": bytes(32)}
    expected = encode_typed_data(domain, named, message)
    assert expected.version == b"\x01"
    digest = keccak256(b"\x19" + expected.version + expected.header + expected.body)
    assert typed_data_digest(domain, "Outer", types, message) == digest


@pytest.mark.parametrize(
    "message",
    [
        {},
        {**LETTER, "more": 1},
        {**LETTER, "contents": b"bytes"},
        {**LETTER, "to": {"name": "Bob"}},
        {**LETTER, "to": "Bob"},
        {**LETTER, "to": {"name": "Bob", "wallet": b"short"}},
    ],
)
def test_a_message_that_does_not_fit_its_type_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(AbiError):
        typed_data_digest(DOMAIN, "Mail", MAIL, message)


def test_a_domain_has_known_fields_only() -> None:
    for domain in ({}, {"name": "x", "colour": "red"}, {"chainId": "1"}):
        with pytest.raises(AbiError):
            domain_separator(domain)


def test_an_array_of_fixed_length_takes_no_other() -> None:
    types = {"T": [("a", "uint8[2]")]}
    assert hash_struct("T", types, {"a": [1, 2]})
    for wrong in ([1], [1, 2, 3], "ab", 5):
        with pytest.raises(AbiError):
            hash_struct("T", types, {"a": wrong})
