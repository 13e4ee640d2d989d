"""Headers of real blocks hash to their hash, and their children inherit what they must."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest

from agent.chain.headers import Header, WireHeader, broken_inheritance, header_from_wire

NUMBERS = (13217637, 15274915, 16146267, 17666333, 19426586, 19932148, 19933597, 23879620, 24628607, 24647140)


def headers(mainnet, number: int) -> tuple[WireHeader, WireHeader, bool]:
    case = json.loads(gzip.decompress((mainnet / "public" / f"{number}.json.gz").read_bytes()))
    wires = [msgspec.convert(case[name], WireHeader) for name in ("parent", "header")]
    return wires[0], wires[1], "synthetic" in case["parent"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_real_header_is_proved_and_each_changed_field_is_noticed(mainnet, number):
    _, wire, _ = headers(mainnet, number)
    assert header_from_wire(wire).is_proved
    for field in ("gas_used", "timestamp", "base_fee_per_gas", "number", "gas_limit"):
        changed = msgspec.structs.replace(wire, **{field: hex(int(getattr(wire, field), 16) + 1)})
        assert not header_from_wire(changed).is_proved, field
    for field in ("mix_hash", "logs_bloom", "receipts_root", "miner", "parent_hash"):
        text = getattr(wire, field)
        changed = msgspec.structs.replace(wire, **{field: text[:-1] + ("0" if text[-1] != "0" else "1")})
        assert not header_from_wire(changed).is_proved, field


@pytest.mark.parametrize("number", [23879620, 24628607, 24647140])
def test_a_real_child_breaks_no_rule_and_a_wrong_one_is_named(mainnet, number):
    parent, child, is_synthetic = headers(mainnet, number)
    assert not is_synthetic
    older, newer = header_from_wire(parent), header_from_wire(child)
    assert broken_inheritance(older, newer) == ""

    def broken(**fields: object) -> str:
        return broken_inheritance(older, msgspec.structs.replace(newer, **fields))

    assert "base fee" in broken(base_fee_wei=newer.base_fee_wei + 1)
    assert "time" in broken(timestamp=older.timestamp)
    assert "gas limit" in broken(gas_limit=older.gas_limit + older.gas_limit // 1024)
    assert "uses" in broken(gas_used=newer.gas_limit + 1)


def test_text_that_is_no_header_is_a_value_error(mainnet):
    _, wire, _ = headers(mainnet, 24628607)
    for fields in ({"number": "12"}, {"hash": "0x12"}, {"logs_bloom": "0x00"}, {"miner": "0x" + "zz" * 20}):
        with pytest.raises(ValueError, match=r"hex|bytes|non-hex"):
            header_from_wire(msgspec.structs.replace(wire, **fields))


def test_a_header_is_a_value(mainnet):
    _, wire, _ = headers(mainnet, 24628607)
    header: Header = header_from_wire(wire)
    assert header == header_from_wire(wire) and header.number == 24628607
