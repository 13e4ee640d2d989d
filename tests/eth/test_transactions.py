"""Transactions against real blocks, the ethers vectors and eth_account."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth.hexes import address_text, to_address, to_data
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.transactions import (
    MAX_S,
    SECP256K1_N,
    TransactionError,
    authorization_signer,
    decode_transaction,
    recover,
    signing_digest,
    transaction_from_rpc,
)
from agent.eth.trie import ordered_root
from agent.eth.units import Address

KEY = bytes([0x46]) * 32
U64 = st.integers(0, 2**64 - 1)
AMOUNT = st.one_of(st.integers(0, 300), st.integers(0, 2**128))
ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
ACCESS_LISTS = st.lists(
    st.tuples(ADDRESSES, st.lists(st.integers(0, 2**256 - 1), max_size=3).map(tuple)), max_size=3
).map(tuple)


def cases(mainnet: Path) -> list[dict[str, Any]]:
    return [json.loads(gzip.decompress(path.read_bytes())) for path in sorted((mainnet / "public").glob("*.json.gz"))]


@pytest.fixture(scope="module")
def blocks(mainnet: Path) -> list[dict[str, Any]]:
    found = cases(mainnet)
    assert found
    return found


def test_every_transaction_of_the_archived_blocks_decodes_to_its_hash_and_sender(blocks: list[dict[str, Any]]) -> None:
    kinds = set()
    for block in blocks:
        for obj in block["transactions"]:
            raw = bytes.fromhex(obj["rlp"][2:])
            tx = decode_transaction(raw)
            assert tx.raw == raw
            assert to_data(tx.hash) == obj["hash"]
            assert tx.sender == to_address(obj["from"])
            kinds.add(tx.type)
    assert kinds == {0, 1, 2, 3, 4}


def test_a_node_object_gives_the_same_value_as_the_bytes(blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        for obj in block["transactions"]:
            assert transaction_from_rpc(obj) == decode_transaction(bytes.fromhex(obj["rlp"][2:]))


def test_the_transactions_root_of_each_archived_header_is_reproduced(blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        root = ordered_root(bytes.fromhex(obj["rlp"][2:]) for obj in block["transactions"])
        assert to_data(root) == block["header"]["transactionsRoot"]


def test_the_vectors_decode_to_their_sender_and_hash(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "transactions.json").read_text())["transactions"]
    for row in rows:
        tx = decode_transaction(bytes.fromhex(row["raw"][2:]))
        assert (address_text(tx.sender), to_data(tx.hash)) == (row["from"], row["hash"])
        assert tx.raw == bytes.fromhex(row["raw"][2:])
        assert tx.nonce == row["tx"]["nonce"]
        assert tx.value_wei == int(row["tx"]["value"])
        assert tx.type == row["tx"]["type"]


def test_dynamic_fee_vectors_are_signed_to_the_same_bytes(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "transactions.json").read_text())["transactions"]
    signed_rows = [row for row in rows if row["tx"]["type"] == 2]
    assert signed_rows
    for row in signed_rows:
        tx = decode_transaction(bytes.fromhex(row["raw"][2:]))
        signed = sign_dynamic_fee(
            Signer(bytes.fromhex(row["private_key"][2:])),
            chain_id=tx.chain_id or 0,
            nonce=tx.nonce,
            max_priority_fee_wei=tx.max_priority_fee_wei,
            max_fee_wei=tx.max_fee_wei,
            gas=tx.gas,
            to=tx.to,
            value_wei=tx.value_wei,
            data=tx.data,
            access_list=tx.access_list,
        )
        assert to_data(signed.raw) == row["raw"]


@settings(max_examples=80, deadline=None)
@given(
    key=st.integers(1, SECP256K1_N - 1),
    chain_id=st.integers(1, 2**53),
    nonce=st.integers(0, 2**64 - 2),
    tip=AMOUNT,
    extra=AMOUNT,
    gas=U64,
    to=st.none() | ADDRESSES,
    value=AMOUNT,
    calldata=st.binary(max_size=600),
    access_list=ACCESS_LISTS,
)
def test_signing_is_byte_equal_to_eth_account_and_decodes_back(
    key: int,
    chain_id: int,
    nonce: int,
    tip: int,
    extra: int,
    gas: int,
    to: Address | None,
    value: int,
    calldata: bytes,
    access_list: tuple[tuple[Address, tuple[int, ...]], ...],
) -> None:
    signer = Signer(key.to_bytes(32, "big"))
    signed = sign_dynamic_fee(
        signer,
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_wei=tip,
        max_fee_wei=tip + extra,
        gas=gas,
        to=to,
        value_wei=value,
        data=calldata,
        access_list=access_list,
    )
    expected = Account.sign_transaction(
        {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": tip + extra,
            "gas": gas,
            "to": b"" if to is None else address_text(to),
            "value": value,
            "data": calldata,
            "accessList": [
                {"address": address_text(address), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
                for address, slots in access_list
            ],
        },
        key.to_bytes(32, "big"),
    )
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.hash == bytes(expected.hash)
    tx = decode_transaction(signed.raw)
    assert tx.sender == signer.address
    assert (tx.nonce, tx.gas, tx.to, tx.value_wei, tx.data, tx.access_list) == (
        nonce,
        gas,
        to,
        value,
        calldata,
        access_list,
    )


def test_signatures_with_short_r_or_s_are_still_byte_equal_to_eth_account() -> None:
    signer = Signer(KEY)
    short = 0
    for nonce in range(600):
        signed = sign_dynamic_fee(
            signer, chain_id=1, nonce=nonce, max_priority_fee_wei=1, max_fee_wei=2, gas=21_000,
            to=Address(bytes(20)), value_wei=0, data=b"",
        )  # fmt: skip
        tx = decode_transaction(signed.raw)
        if min(tx.r, tx.s) >> 248:
            continue
        short += 1
        fields = {"type": 2, "chainId": 1, "nonce": nonce, "maxPriorityFeePerGas": 1, "maxFeePerGas": 2, "gas": 21_000}
        expected = Account.sign_transaction({**fields, "to": "0x" + "00" * 20, "value": 0, "data": b""}, KEY)
        assert signed.raw == bytes(expected.raw_transaction)
    assert short


def test_legacy_transactions_with_and_without_chain_id_agree_with_eth_account() -> None:
    for chain in ({}, {"chainId": 1}, {"chainId": 2**40}):
        fields = {
            "nonce": 3,
            "gasPrice": 10**9,
            "gas": 50_000,
            "to": "0x" + "35" * 20,
            "value": 7,
            "data": b"\1\2",
            **chain,
        }
        expected = Account.sign_transaction(fields, KEY)
        tx = decode_transaction(bytes(expected.raw_transaction))
        assert tx.chain_id == chain.get("chainId")
        assert tx.sender == Signer(KEY).address
        assert tx.max_fee_wei == tx.max_priority_fee_wei == 10**9


def test_set_code_transactions_name_the_account_that_gave_its_code_away(blocks: list[dict[str, Any]]) -> None:
    account = Account.from_key(KEY)
    signed = account.sign_authorization({"chainId": 1, "address": "0x" + "11" * 20, "nonce": 4})
    fields = {"type": 4, "chainId": 1, "nonce": 0, "maxPriorityFeePerGas": 1, "maxFeePerGas": 2, "gas": 10**5}
    outer = Account.sign_transaction(
        {**fields, "to": "0x" + "22" * 20, "value": 0, "data": b"", "authorizationList": [signed]}, bytes([1]) * 32
    )
    tx = decode_transaction(bytes(outer.raw_transaction))
    assert [authorization_signer(entry) for entry in tx.authorizations] == [Signer(KEY).address]
    assert tx.sender == Signer(bytes([1]) * 32).address


def test_a_high_s_gives_no_sender() -> None:
    r, s, v = Signer(KEY).sign_digest(keccak256(b"x"))
    assert recover(keccak256(b"x"), y_parity=v - 27, r=r, s=s) == Signer(KEY).address
    with pytest.raises(TransactionError, match="range"):
        recover(keccak256(b"x"), y_parity=28 - v, r=r, s=SECP256K1_N - s)
    assert s <= MAX_S


def test_an_object_whose_fields_do_not_hash_to_its_hash_gives_no_bytes(blocks: list[dict[str, Any]]) -> None:
    obj = dict(blocks[0]["transactions"][0])
    obj["nonce"] = hex(int(obj["nonce"], 16) + 1)
    tx = transaction_from_rpc(obj)
    with pytest.raises(TransactionError, match="another hash"):
        _ = tx.raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no bytes"),
        (b"\x05\xc0", "unknown transaction type 5"),
        (b"\x02\xc0", "12 fields"),
        (b"\xc0", "9 fields"),
        (b"\x02\x80", "list was expected"),
        (b"\x7f", "unknown transaction type 127"),
        (b"\x03\xc4\xc0\xc0\xc0\xc0", "sidecar"),
    ],
)
def test_bytes_that_are_no_transaction_are_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(TransactionError, match=reason):
        decode_transaction(raw)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_transaction_is_refused_or_decodes_to_other_bytes_never_crashes(data: st.DataObject) -> None:
    signed = sign_dynamic_fee(
        Signer(KEY), chain_id=1, nonce=1, max_priority_fee_wei=1, max_fee_wei=2, gas=21_000,
        to=Address(bytes(20)), value_wei=0, data=b"abc", access_list=((Address(bytes(20)), (1,)),),
    )  # fmt: skip
    raw = bytearray(signed.raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        tx = decode_transaction(bytes(raw))
    except TransactionError:
        return
    assert tx.raw == bytes(raw)
    assert tx.hash != signed.hash


def test_node_objects_with_missing_or_strange_fields_are_refused_by_name() -> None:
    with pytest.raises(TransactionError, match="maxFeePerGas"):
        transaction_from_rpc({"type": "0x2", "chainId": "0x1", "v": "0x0", "hash": "0x00"})
    with pytest.raises(TransactionError, match="unknown transaction type 9"):
        transaction_from_rpc({"type": "0x9"})
    with pytest.raises(TransactionError, match="not a number"):
        transaction_from_rpc({"type": None})


def test_the_signing_digest_of_a_decoded_transaction_is_what_the_key_signed() -> None:
    signed = sign_dynamic_fee(
        Signer(KEY), chain_id=1, nonce=1, max_priority_fee_wei=1, max_fee_wei=2, gas=1, to=None, value_wei=0, data=b""
    )
    tx = decode_transaction(signed.raw)
    r, s, v = Signer(KEY).sign_digest(signing_digest(tx))
    assert (r, s, v - 27) == (tx.r, tx.s, tx.y_parity)
