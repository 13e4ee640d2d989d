"""Roots and blooms against the trie's published vectors and py-ecosystem encoders."""

from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth.keccak import keccak256
from agent.eth.receipts import (
    Receipt,
    ReceiptLog,
    bloom_may_hold,
    encode_receipt,
    logs_bloom,
    receipt_from_rpc,
    receipts_root,
)
from agent.eth.trie import EMPTY_ROOT, ordered_root, trie_root
from agent.eth.units import Address, Hash32

LOGS = st.builds(
    ReceiptLog,
    address=st.binary(min_size=20, max_size=20).map(Address),
    topics=st.lists(st.binary(min_size=32, max_size=32).map(Hash32), max_size=4).map(tuple),
    data=st.binary(max_size=100),
)
RECEIPTS = st.builds(
    Receipt,
    type=st.integers(0, 4),
    is_success=st.booleans(),
    cumulative_gas_used=st.integers(0, 2**40),
    logs=st.lists(LOGS, max_size=3).map(tuple),
)


@given(RECEIPTS)
def test_a_receipt_encodes_as_the_reference_would(receipt: Receipt) -> None:
    logs = [[log.address, list(log.topics), log.data] for log in receipt.logs]
    status = b"\x01" if receipt.is_success else b""
    gas = receipt.cumulative_gas_used
    body = reference.encode([status, gas.to_bytes((gas.bit_length() + 7) // 8, "big"), logs_bloom(receipt.logs), logs])
    prefix = bytes((receipt.type,)) if receipt.type else b""
    assert encode_receipt(receipt) == prefix + body


def test_the_bloom_sets_three_bits_of_each_address_and_topic() -> None:
    # The Yellow Paper's example, as tested in several clients.
    log = ReceiptLog(Address(bytes.fromhex("095e7baea6a6c7c4c2dfeb977efac326af552d87")), (Hash32(bytes(32)),), b"")
    bloom = logs_bloom([log])
    assert bloom_may_hold(bloom, log.address) and bloom_may_hold(bloom, log.topics[0])
    assert bin(int.from_bytes(bloom, "big")).count("1") <= 6
    digest = keccak256(log.address)
    for start in (0, 2, 4):
        bit = int.from_bytes(digest[start : start + 2], "big") % 2048
        assert bloom[255 - bit // 8] >> (bit % 8) & 1
    assert not bloom_may_hold(bloom, b"another value")
    assert logs_bloom([]) == bytes(256)


@pytest.mark.parametrize(
    ("pairs", "root"),
    [
        # ethereum/tests, TrieTests/trieanyorder.json
        ({b"A": b"a" * 50}, "d23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab"),
        ({b"doe": b"reindeer", b"dog": b"puppy", b"dogglesworth": b"cat"},
         "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"),
        ({b"do": b"verb", b"horse": b"stallion", b"doge": b"coin", b"dog": b"puppy"},
         "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84"),
        ({b"foo": b"bar", b"food": b"bass"}, "17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3"),
        ({b"be": b"e", b"dog": b"puppy", b"bed": b"d"},
         "3f67c7a47520f79faa29255d2d3c084a7a6df0453116ed7232ff10277a8be68b"),
        ({b"test": b"test", b"te": b"testy"}, "8452568af70d8d140f58d941338542f645fcca50094b20f3c3d8c3df49337928"),
    ],
)  # fmt: skip
def test_the_published_tries_have_their_roots(pairs: dict[bytes, bytes], root: str) -> None:
    assert trie_root(pairs).hex() == root


def test_nothing_has_the_empty_root_and_an_empty_value_is_refused() -> None:
    assert trie_root({}) == receipts_root([]) == EMPTY_ROOT
    with pytest.raises(ValueError, match="empty value"):
        trie_root({b"a": b""})


@settings(max_examples=60)
@given(st.dictionaries(st.binary(max_size=6), st.binary(min_size=1, max_size=40), max_size=40))
def test_a_trie_built_by_another_program_has_the_same_root(pairs: dict[bytes, bytes]) -> None:
    trie = pytest.importorskip("trie").HexaryTrie({})
    for key, value in pairs.items():
        trie[key] = value
    assert trie_root(pairs) == trie.root_hash


@given(st.lists(RECEIPTS, min_size=2, max_size=4))
def test_the_root_depends_on_the_order(receipts: list[Receipt]) -> None:
    turned = list(reversed(receipts))
    assert (receipts_root(receipts) == receipts_root(turned)) == (receipts == turned)


def test_more_than_128_values_keep_the_order_of_their_keys() -> None:
    """RLP(128) is two bytes, so keys stop being in list order there."""
    values = [b"%d" % i for i in range(300)]
    pairs = {reference.encode(i): value for i, value in enumerate(values)}
    assert ordered_root(values) == trie_root(pairs)


def test_a_node_object_becomes_the_receipt_and_a_broken_one_is_refused() -> None:
    obj = {
        "type": "0x2",
        "status": "0x1",
        "cumulativeGasUsed": "0x5208",
        "logs": [{"address": "0x" + "11" * 20, "topics": ["0x" + "22" * 32], "data": "0x33"}],
    }
    log = ReceiptLog(Address(bytes([0x11] * 20)), (Hash32(bytes([0x22] * 32)),), b"\x33")
    assert receipt_from_rpc(obj) == Receipt(2, True, 21_000, (log,))
    with pytest.raises(ValueError, match="status"):
        receipt_from_rpc({"type": "0x2"})
