"""Bundles in every dialect: what is said, and what is refused rather than dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.eth.hexes import to_data, to_hash
from agent.eth.keccak import keccak256
from agent.eth.units import Address
from agent.venues.onchain.bundle import (
    BodyTemplate,
    Bundle,
    NotExpressible,
    Refund,
    bundle_params,
    is_uuid4,
    refusals,
    replacement_uuid,
    send_bundle_body,
)
from agent.venues.onchain.bundle_ids import bundle_hash, mev_share_event_hash, mev_share_hash
from agent.venues.onchain.endpoints import BUILDERNET, DIALECTS, ENDPOINTS, FLASHBOTS, QUASAR, TITAN, endpoints_for

RAW = (b"\x02target", b"\x02ours")
HASHES = tuple(keccak256(raw) for raw in RAW)
UUID = "8b4b1f0a-0f4e-4d2e-9a52-0d2f6f6b7a11"
RECIPIENT = Address(bytes([0x35]) * 20)


def bundle(**fields: Any) -> Bundle:
    return Bundle(**{"transactions": RAW, "block_number": 24_000_001, **fields})


def test_bundle_hashes_of_the_vectors_are_reproduced(vectors: Path) -> None:
    loaded = json.loads((vectors / "bundles" / "transactions.json").read_text())
    hashes = [to_hash(row["hash"]) for row in loaded["transactions"]]
    for row in loaded["bundles"]:
        members = [hashes[i] for i in row["tx_indices"]]
        assert to_data(bundle_hash(members)) == row["bundle_hash"]
        assert to_data(mev_share_hash(members)) == row["mev_share_bundle_hash"]
        assert to_data(mev_share_event_hash(mev_share_hash(members))) == row["mev_share_matching_hash"]


def test_block_numbers_are_hex_text_and_timestamps_are_integers() -> None:
    params = bundle_params(bundle(min_timestamp_s=5, max_timestamp_s=9), FLASHBOTS)
    assert params == {
        "txs": [to_data(raw) for raw in RAW],
        "blockNumber": "0x16e3601",
        "minTimestamp": 5,
        "maxTimestamp": 9,
    }


def test_each_dialect_names_the_order_of_replacements_in_its_own_way() -> None:
    one = bundle(replacement_uuid=UUID, sequence=1_800_000_000_000_000)
    named = {name: bundle_params(one, dialect) for name, dialect in DIALECTS.items()}
    assert named["buildernet"]["replacementNonce"] == 1_800_000_000_000_000
    assert named["titan"]["replacementSeqNumber"] == named["quasar"]["replacementSeqNumber"] == 1_800_000_000_000_000
    assert {"replacementNonce", "replacementSeqNumber"}.isdisjoint(named["flashbots"])
    assert {params["replacementUuid"] for params in named.values()} == {UUID}


@pytest.mark.parametrize(
    ("fields", "refusing"),
    [
        ({}, set()),
        ({"dropping": HASHES[:1]}, {"flashbots", "titan"}),
        ({"reverting": HASHES[:1]}, {"titan"}),
        ({"reverting": HASHES[:1], "dropping": HASHES[:1]}, {"flashbots"}),
        ({"refund": Refund(50, RECIPIENT, HASHES[1])}, {"flashbots"}),
        ({"refund": Refund(0, RECIPIENT, HASHES[1])}, {"flashbots"}),
        ({"refund": Refund(100, RECIPIENT, HASHES[1])}, {"flashbots", "buildernet", "titan", "quasar"}),
        ({"builders": ("Titan",)}, {"buildernet", "titan", "quasar"}),
        ({"transactions": RAW * 51}, {"flashbots", "buildernet", "titan", "quasar"}),
        ({"transactions": (bytes(160_000),)}, {"flashbots", "buildernet", "titan", "quasar"}),
    ],
)
def test_what_a_dialect_cannot_say_is_refused_and_never_dropped(fields: dict[str, Any], refusing: set[str]) -> None:
    one = bundle(**fields)
    assert {name for name, dialect in DIALECTS.items() if refusals(one, dialect)} == refusing
    for name, dialect in DIALECTS.items():
        if name in refusing:
            with pytest.raises(NotExpressible) as caught:
                send_bundle_body(one, dialect)
            assert name in str(caught.value) and caught.value.hint
        else:
            send_bundle_body(one, dialect)


def test_permissions_and_refunds_are_said_where_they_can_be() -> None:
    both = bundle(reverting=HASHES[:1], dropping=HASHES[:1], refund=Refund(90, RECIPIENT, HASHES[1]))
    for dialect in (BUILDERNET, QUASAR):
        params = bundle_params(both, dialect)
        assert params["revertingTxHashes"] == params["droppingTxHashes"] == [to_data(HASHES[0])]
        assert (params["refundPercent"], params["refundTxHashes"]) == (90, [to_data(HASHES[1])])
        assert params["refundRecipient"] == "0x" + "35" * 20
    titan = bundle_params(both, TITAN)
    assert titan["revertingTxHashes"] == [to_data(HASHES[0])] and "droppingTxHashes" not in titan


def test_a_refund_of_nothing_is_said_by_silence() -> None:
    params = bundle_params(bundle(refund=Refund(0, RECIPIENT, HASHES[1])), BUILDERNET)
    assert not [key for key in params if key.startswith("refund")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"transactions": ()}, "at least one"),
        ({"block_number": 0}, "names its block"),
        ({"replacement_uuid": UUID.upper(), "sequence": 1}, "UUIDv4"),
        ({"replacement_uuid": UUID}, "come together"),
        ({"sequence": 1}, "come together"),
        ({"min_timestamp_s": 2, "max_timestamp_s": 1}, "no block"),
        ({"max_timestamp_s": 0}, "no block"),
        ({"reverting": (keccak256(b"x"),)}, "no transaction of the bundle"),
        ({"dropping": (keccak256(b"x"),)}, "no transaction of the bundle"),
        ({"refund": Refund(1, RECIPIENT, keccak256(b"x"))}, "no transaction of the bundle"),
    ],
)
def test_a_bundle_that_means_nothing_cannot_be_made(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bundle(**fields)


@given(
    st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4).map(tuple),
    st.integers(1, 2**40),
    st.integers(1, 2**53),
    st.sampled_from(sorted(DIALECTS)),
    st.booleans(),
    st.none() | st.integers(1, 2**33),
)
def test_the_template_gives_the_bytes_of_the_plain_json(
    transactions: tuple[bytes, ...], block: int, sequence: int, name: str, has_id: bool, timestamp: int | None
) -> None:
    dialect = DIALECTS[name]
    order: dict[str, Any] = {"replacement_uuid": UUID, "sequence": 7} if has_id else {}
    template = BodyTemplate(bundle(max_timestamp_s=timestamp, **order), dialect)
    if has_id:
        order["sequence"] = sequence
    other = bundle(transactions=transactions, block_number=block, max_timestamp_s=timestamp, **order)
    filled = template.fill(transactions, block_number=block, sequence=sequence)
    assert filled == send_bundle_body(other, dialect)
    assert json.loads(filled)["method"] == "eth_sendBundle"


def test_a_template_of_a_numbered_bundle_asks_for_its_number() -> None:
    template = BodyTemplate(bundle(replacement_uuid=UUID, sequence=1), TITAN)
    with pytest.raises(ValueError, match="sequence"):
        template.fill(RAW, block_number=1)


@given(st.binary(max_size=40))
def test_ids_are_functions_of_their_seed_and_of_the_form_every_service_takes(seed: bytes) -> None:
    made = replacement_uuid(seed)
    assert is_uuid4(made) and made == replacement_uuid(seed)
    assert made != replacement_uuid(seed + b"x")


def test_the_rows_agree_with_the_services_documentation(vectors: Path) -> None:
    read = {row["id"]: row for row in json.loads((vectors / "bundles" / "endpoints.json").read_text())["endpoints"]}
    for endpoint in endpoints_for(1):
        row = read["flashbots-relay" if endpoint.name == "flashbots" else endpoint.name]
        assert endpoint.url == row["url"]
        fields = set(row["methods"]["eth_sendBundle"]["fields"])
        dialect = endpoint.dialect
        assert dialect.sequence_field is None or dialect.sequence_field in fields
        assert (dialect.refund_percent_range is not None) == ("refundPercent" in fields)
        assert dialect.can_multiplex == ("builders" in fields)
        assert dialect.can_call == ("eth_callBundle" in row["methods"])
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    assert all(endpoint.url.startswith("https://") for endpoint in ENDPOINTS)
    assert endpoints_for(31_337) == ()
