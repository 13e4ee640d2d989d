"""The relay header against 74 headers that unmodified clients sent or independent code computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ConfigError
from agent.eth.hexes import address_text, to_data
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.units import Address
from agent.venues.onchain.signer import (
    RelaySigner,
    SignatureRefused,
    TransactionTemplate,
    body_digest,
    require_separate_keys,
    sign_body,
    verify_header,
)

KEY = bytes([1]) * 32


@pytest.fixture(scope="module")
def signatures(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "bundles" / "signature.json").read_text())
    return loaded


def test_every_captured_and_computed_header_is_reproduced(signatures: dict[str, Any]) -> None:
    rows = signatures["captured"] + signatures["synthetic"]
    assert len(rows) == 74
    for row in rows:
        body = row["body"].encode()
        relay = RelaySigner(Signer(bytes.fromhex(row["private_key"][2:])))
        assert to_data(body_digest(body)) == row["eip191_digest"]
        assert relay.header(body) == row["header_value"], row["name"]
        assert verify_header(row["header_value"], body) == relay.address


def test_headers_are_accepted_and_refused_as_the_servers_do(signatures: dict[str, Any]) -> None:
    verification = signatures["verification"]
    assert len(verification["cases"]) == 14
    body = verification["body"].encode()
    for case in verification["cases"]:
        sent = body
        if "body differs" in case["name"]:
            sent = body.replace(b":", b": ", 1)
        if case["verdict"] == "accept":
            assert address_text(verify_header(case["header"], sent)) == case["recovers_to"]
        else:
            with pytest.raises(SignatureRefused):
                verify_header(case["header"], sent)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no signature provided"),
        ("0xabc", "missing separator"),
        ("0xabc:00", "0x prefix"),
        ("0xabc:0xzz", "invalid hex"),
        ("0xabc:0x00", "65 bytes"),
        ("0xabc:0x" + "01" * 64 + "1d", "recovery id"),
        ("0xabc:0x" + "ff" * 64 + "1b", "range"),
    ],
)
def test_the_reason_of_a_refusal_is_named(header: str, reason: str) -> None:
    with pytest.raises(SignatureRefused, match=reason):
        verify_header(header, b"{}")


def test_one_changed_byte_belongs_to_another_signer() -> None:
    signed = sign_body(RelaySigner(Signer(KEY)), b'{"a":1}')
    assert verify_header(signed.header, b'{"a":1}') == Signer(KEY).address
    with pytest.raises(SignatureRefused, match="mismatch"):
        verify_header(signed.header, b'{"a": 1}')


def test_a_relay_key_that_holds_funds_is_refused_at_start() -> None:
    other = Signer(bytes([2]) * 32)
    require_separate_keys(relay=RelaySigner(Signer(KEY)), trading=[other])
    with pytest.raises(ConfigError) as caught:
        require_separate_keys(relay=RelaySigner(Signer(KEY)), trading=[other, Signer(KEY)])
    assert caught.value.code == "E_RELAY_KEY_IS_TRADING_KEY"
    assert KEY.hex() not in str(caught.value)


def test_a_template_signs_what_the_plain_function_signs() -> None:
    to = Address(bytes([7]) * 20)
    template = TransactionTemplate(Signer(KEY), chain_id=1, to=to)
    given = {"nonce": 5, "max_priority_fee_wei": 1, "max_fee_wei": 10**9, "gas": 300_000, "data": b"\x01\x02"}
    assert template.sign(**given) == sign_dynamic_fee(Signer(KEY), chain_id=1, to=to, value_wei=0, **given)
    assert template.sender == Signer(KEY).address


def test_the_identity_shows_its_address_and_nothing_else() -> None:
    assert repr(RelaySigner(Signer(KEY))) == "RelaySigner(0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1)"
