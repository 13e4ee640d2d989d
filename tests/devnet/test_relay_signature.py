"""The relay accepts and refuses signatures as the real services do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.devnet.relay.signature import SignatureRefused, verify_signature


def test_the_verification_cases_of_the_vectors_are_decided_the_same_way(vectors: Path) -> None:
    block = json.loads((vectors / "bundles" / "signature.json").read_text())["verification"]
    assert len(block["cases"]) == 14
    verdicts = []
    for case in block["cases"]:
        body = case.get("body_override", block["body"]).encode()
        try:
            signer = verify_signature(case["header"], body)
        except SignatureRefused:
            assert case["verdict"].startswith("reject"), case["name"]
            verdicts.append(False)
        else:
            assert case["verdict"] == "accept", case["name"]
            assert "0x" + signer.hex() == case["recovers_to"].lower()
            verdicts.append(True)
    assert verdicts.count(True) == 3


def test_every_request_captured_from_real_clients_is_accepted(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "signature.json").read_text())
    assert len(rows["captured"]) == 58
    for row in (*rows["captured"], *rows["synthetic"]):
        assert "0x" + verify_signature(row["header_value"], row["body"].encode()).hex() == row["address"].lower()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("0xabc", "missing separator"),
        ("0xabc:", "empty hex string"),
        ("0xabc:00", "without 0x prefix"),
        ("0xabc:0x0", "odd length"),
        ("0xabc:0xzz", "invalid hex string"),
        ("0xabc:0x00", "length"),
        ("0xabc:0x" + "01" * 64 + "05", "recovery id"),
        ("0xabc:0x" + "01" * 64 + "1d", "recovery id"),
        ("not hex:0x" + "01" * 64 + "1b", "mismatch"),
        ("0xabc:0x" + "00" * 64 + "1b", "recovery failed"),
    ],
)
def test_malformed_headers_are_refused_in_the_servers_words(header: str, words: str) -> None:
    with pytest.raises(SignatureRefused, match=words):
        verify_signature(header, b"{}")
