"""The signer keeps its key to itself and signs as eth_account does."""

from __future__ import annotations

import copy
import pickle

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth.hexes import address_text
from agent.eth.keys import Signer
from agent.eth.transactions import SECP256K1_N, recover
from agent.eth.units import Hash32

KEY = bytes.fromhex("4646464646464646464646464646464646464646464646464646464646464646")


@settings(max_examples=50)
@given(key=st.integers(1, SECP256K1_N - 1), digest=st.binary(min_size=32, max_size=32).map(Hash32))
def test_signatures_and_addresses_equal_those_of_eth_account(key: int, digest: Hash32) -> None:
    private_key = key.to_bytes(32, "big")
    signer = Signer(private_key)
    expected = Account.unsafe_sign_hash(digest, private_key)
    assert signer.sign_digest(digest) == (expected.r, expected.s, expected.v)
    assert address_text(signer.address) == Account.from_key(private_key).address
    r, s, v = signer.sign_digest(digest)
    assert recover(digest, y_parity=v - 27, r=r, s=s) == signer.address


@pytest.mark.parametrize("private_key", [b"", bytes(31), bytes(32), SECP256K1_N.to_bytes(32, "big"), b"\xff" * 32])
def test_bytes_that_are_no_key_are_refused_without_repeating_them(private_key: bytes) -> None:
    with pytest.raises(ValueError, match="private key") as caught:
        Signer(private_key)
    assert private_key.hex() not in str(caught.value) or not private_key


def test_neither_text_nor_a_copy_gives_the_key_away() -> None:
    signer = Signer(KEY)
    assert repr(signer) == str(signer) == "Signer(0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F)"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            take(signer)
    assert not hasattr(signer, "__dict__")
