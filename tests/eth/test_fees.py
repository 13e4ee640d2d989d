"""Fees against the vectors (recomputed by @ethereumjs/block and the published alloy cases) and archived headers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.eth.fees import (
    base_fee_bound,
    blob_base_fee,
    next_base_fee,
    next_excess_blob_gas,
    op_fee_rule,
    op_next_base_fee,
    worst_base_fee,
)
from agent.eth.forks import BLOB_SCHEDULES, BlobSchedule, Fork, mainnet_fork
from agent.eth.units import Gas, Wei

ODD_LIMIT = Gas(60_000_001)
EVEN_LIMIT = Gas(60_000_000)


@pytest.fixture(scope="module")
def fees(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "bundles" / "fees.json").read_text())
    return loaded


def test_every_row_of_the_next_base_fee_is_reproduced(fees: dict[str, Any]) -> None:
    rows = fees["next_base_fee"]
    assert len(rows) == 86
    for row in rows:
        following = next_base_fee(
            Wei(int(row["base_fee"])), gas_used=Gas(int(row["gas_used"])), gas_limit=Gas(int(row["gas_limit"]))
        )
        assert following == int(row["next"]), row["name"]


def test_the_worst_base_fees_for_even_and_odd_limits_are_reproduced(fees: dict[str, Any]) -> None:
    rows = fees["worst_case"]
    assert len(rows) == 42
    for row in rows:
        base, blocks = Wei(int(row["base_fee"])), row["blocks"]
        even = worst_base_fee(base, gas_limit=EVEN_LIMIT, blocks=blocks)
        odd = worst_base_fee(base, gas_limit=ODD_LIMIT, blocks=blocks)
        assert (even, odd) == (int(row["worst_even_limit_60M"]), int(row["worst_odd_limit_60000001"]))
        assert base_fee_bound(base, gas_limit=EVEN_LIMIT, blocks=blocks) >= max(even, odd)


@given(
    base=st.integers(0, 10**15).map(Wei),
    gas_limit=st.integers(5_000, 10**9),
    usage=st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), max_size=12),
)
def test_no_sequence_of_blocks_passes_the_bound(base: Wei, gas_limit: int, usage: list[tuple[float, float]]) -> None:
    bound = base_fee_bound(base, gas_limit=Gas(gas_limit), blocks=len(usage))
    fee = base
    for full, drift in usage:
        fee = next_base_fee(fee, gas_used=Gas(int(gas_limit * full)), gas_limit=Gas(gas_limit))
        gas_limit += int((gas_limit // 1024 - 1) * drift)
    assert fee <= bound


def test_the_bound_holds_while_odd_limits_fall_as_fast_as_they_may() -> None:
    base, limit, blocks = Wei(10**15), 5_119, 12
    fee = base
    for _ in range(blocks):
        fee = next_base_fee(fee, gas_used=Gas(limit), gas_limit=Gas(limit))
        limit -= (limit // 1024 - 1) // 2 * 2  # stays odd
    assert fee <= base_fee_bound(base, gas_limit=Gas(5_119), blocks=blocks)
    assert fee > worst_base_fee(base, gas_limit=Gas(5_119), blocks=blocks), "limits that stay give a lower fee"


def test_every_blob_row_is_reproduced(fees: dict[str, Any]) -> None:
    rows = fees["blob"]["rows"]
    assert len(rows) == 220
    for row in rows:
        fork = Fork[row["fork"].upper()]
        schedule = BLOB_SCHEDULES[fork]
        excess = next_excess_blob_gas(
            excess_blob_gas=int(row["parent_excess"]),
            blob_gas_used=int(row["parent_blob_gas_used"]),
            parent_base_fee_wei=Wei(int(row["parent_base_fee"])),
            child_fork=fork,
        )
        assert excess == int(row["child_excess"])
        assert blob_base_fee(int(row["parent_excess"]), schedule) == int(row["parent_blob_fee"])
        assert blob_base_fee(excess, schedule) == int(row["child_blob_fee"])


def test_the_blob_schedules_and_activations_are_those_of_the_vectors(fees: dict[str, Any]) -> None:
    for name, row in fees["blob"]["parameters"].items():
        expected = BlobSchedule(row["target"], row["max"], row["update_fraction"])
        assert BLOB_SCHEDULES[Fork[name.upper()]] == expected
    for name, timestamp in fees["blob"]["activation"].items():
        fork = Fork[name.upper()]
        assert mainnet_fork(block_number=25_000_000, timestamp=timestamp) == fork
        assert mainnet_fork(block_number=25_000_000, timestamp=timestamp - 1) == Fork(fork - 1)


def test_every_row_of_the_op_stack_is_reproduced(fees: dict[str, Any]) -> None:
    assert len(fees["op_stack"]) == 7
    for row in fees["op_stack"]:
        rule = op_fee_rule(bytes.fromhex(row["parent_extra_data"][2:]))
        assert (rule.denominator, rule.elasticity) == (row["denominator"], row["elasticity"])
        assert rule.min_base_fee_wei == row["min_base_fee"]
        following = op_next_base_fee(
            Wei(row["parent_base_fee"]),
            gas_used=Gas(row["parent_gas_used"]),
            gas_limit=Gas(row["parent_gas_limit"]),
            da_footprint=row["parent_blob_gas_used"],
            rule=rule,
        )
        assert following == row["next"], row["name"]


def test_zero_parameters_mean_the_defaults_and_other_forms_are_refused() -> None:
    assert op_fee_rule(bytes(9)).denominator == 250
    assert op_fee_rule(bytes(9), default_denominator=50).elasticity == 6
    for extra_data in (b"", bytes(10), b"\x01" + bytes(8), bytes(17), b"\x00\x00\x00\x00\x01\x00\x00\x00\x00"):
        with pytest.raises(ValueError, match="extraData"):
            op_fee_rule(extra_data)


def test_a_header_with_more_gas_than_its_limit_is_none() -> None:
    with pytest.raises(ValueError, match="not in"):
        next_base_fee(Wei(1), gas_used=Gas(2), gas_limit=Gas(1))


def test_archived_headers_follow_their_parents(mainnet: Path) -> None:
    checked = 0
    for path in sorted((mainnet / "public").glob("*.json.gz")):
        block = json.loads(gzip.decompress(path.read_bytes()))
        header, parent = block["header"], block["parent"]
        number, timestamp = int(header["number"], 16), int(header["timestamp"], 16)
        fork = mainnet_fork(block_number=number, timestamp=timestamp)
        assert fork.name.lower().replace("_", "") == block["fork"].split("(")[-1].strip(")")
        if "synthetic" in parent:
            continue
        checked += 1
        following = next_base_fee(
            Wei(int(parent["baseFeePerGas"], 16)),
            gas_used=Gas(int(parent["gasUsed"], 16)),
            gas_limit=Gas(int(parent["gasLimit"], 16)),
        )
        assert following == int(header["baseFeePerGas"], 16)
        excess = next_excess_blob_gas(
            excess_blob_gas=int(parent["excessBlobGas"], 16),
            blob_gas_used=int(parent["blobGasUsed"], 16),
            parent_base_fee_wei=Wei(int(parent["baseFeePerGas"], 16)),
            child_fork=fork,
        )
        assert excess == int(header["excessBlobGas"], 16)
    assert checked >= 3


def test_blocks_before_the_known_rules_are_refused() -> None:
    assert mainnet_fork(block_number=12_965_000, timestamp=1) == Fork.LONDON
    assert mainnet_fork(block_number=15_537_393, timestamp=1) == Fork.GRAY_GLACIER
    with pytest.raises(ValueError, match="older than Berlin"):
        mainnet_fork(block_number=1, timestamp=1)
