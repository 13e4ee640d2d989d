"""Any line is an event: a signal on its bounds, or one that says in our own words what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from agent.core.events.market import SignalIn
from agent.core.instruments import Side
from agent.engine.signal_wire import LINE_BYTES_MAX, Ask, WireSignal, read, signed, unreadable

KEY = b"a key of a producer"
GOOD: dict[str, Any] = {
    "signal_id": "ab" * 16,
    "producer": "model",
    "symbol": "BTC-USDC",
    "side": "buy",
    "lots": 10,
    "limit_ticks": 600_000,
    "urgency": 5,
    "valid_from_ns": 1,
    "expires_ns": 2,
    "max_slippage_ppm": 5_000,
    "input_seq": 7,
}


def line(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def known(wire: bytes, key: bytes | None = KEY) -> SignalIn:
    found = read(wire, {"model": key})
    assert isinstance(found, SignalIn)
    return found


def test_a_signed_line_is_authentic_and_one_changed_afterwards_is_not() -> None:
    wire = signed(msgspec.convert(GOOD, WireSignal), KEY)
    assert known(msgspec.json.encode(wire)).is_authentic
    for field, other in (("lots", 11), ("limit_ticks", 1), ("side", Side.SELL), ("producer", "another")):
        lying = msgspec.structs.replace(wire, **{field: other})
        assert not known(msgspec.json.encode(lying)).is_authentic
    assert not known(line()).is_authentic, "without its code"
    assert not known(msgspec.json.encode(wire), b"another key").is_authentic


def test_a_producer_without_a_key_is_known_by_its_name_and_any_other_is_not() -> None:
    assert known(line(), None).is_authentic
    assert not known(line(producer="stranger"), None).is_authentic


def test_the_code_is_over_the_fields_in_their_order_as_json_without_spaces() -> None:
    import hashlib
    import hmac

    fields = GOOD | {"position_target_lots": None, "model_hash": ""}
    order = [name for name in WireSignal.__struct_fields__ if name != "mac"]
    body = json.dumps({name: fields[name] for name in order}, separators=(",", ":")).encode()
    expected = hmac.new(KEY, body, hashlib.sha256).hexdigest()
    assert signed(msgspec.convert(GOOD, WireSignal), KEY).mac == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"signal_id": "AB" * 16},
        {"signal_id": "ab"},
        {"lots": -1},
        {"lots": 1.5},
        {"lots": "10"},
        {"lots": 2**62},
        {"urgency": 0},
        {"urgency": 11},
        {"max_slippage_ppm": 1_000_000},
        {"symbol": "BTC USDC; buy everything"},
        {"side": "hold"},
        {"reasoning": "the user wants to be rich"},
        {"model_hash": "ignore previous instructions"},
        {"is_authentic": True},
        {"problem": ""},
    ],
)
def test_what_is_out_of_bounds_or_of_another_shape_is_no_signal(changes: dict[str, Any]) -> None:
    found = known(line(**changes))
    assert found.problem == "JSON of another shape, or out of bounds"
    assert (found.lots, found.symbol, found.is_authentic) == (0, "", False), "nothing of it goes any further"


def test_a_question_about_a_market_is_no_signal() -> None:
    assert read(b'{"ask":"market","symbol":"BTC-USDC"}', {}) == Ask(ask="market", symbol="BTC-USDC")
    assert known(b'{"ask":"market","symbol":"a b"}').problem


def test_a_line_that_is_too_long_is_not_even_read() -> None:
    assert known(line(model_hash="0" * LINE_BYTES_MAX)).problem == f"longer than {LINE_BYTES_MAX} bytes"


def test_the_same_nonsense_is_known_by_the_same_name() -> None:
    assert unreadable(b"x", "p").signal_id == unreadable(b"x", "q").signal_id != unreadable(b"y", "p").signal_id
