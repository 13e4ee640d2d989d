"""The JSON of a simulation, and the block rules that nodes forget."""

from __future__ import annotations

import msgspec
import pytest

from agent.eth.units import Address
from agent.sim import rules, wire
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Slot

A, B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)
ENV = BlockEnv(number=7, timestamp=8, base_fee_wei=100, fee_recipient=B, gas_limit=100_000, prev_randao=5)


def call(**changes: object) -> Call:
    fields = {"sender": A, "to": B, "data": b"", "gas": 50_000, "max_fee_wei": 100}
    return Call(**(fields | changes))  # type: ignore[arg-type]


def test_all_six_block_fields_are_always_sent():
    assert wire.block_overrides(ENV) == {
        "number": "0x7",
        "time": "0x8",
        "baseFeePerGas": "0x64",
        "feeRecipient": "0x" + "bb" * 20,
        "gasLimit": "0x186a0",
        "prevRandao": "0x" + "0" * 63 + "5",
    }
    (request, at) = wire.simulate_params([call()], ENV, {}, at="latest")
    assert request["validation"] is True and at == "latest"
    assert "stateOverrides" not in request["blockStateCalls"][0]


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("unknown state: account 0x" + "aa" * 20 + " slot 0x2", Slot(A, 2)),
        ("unknown state: account 0x" + "AA" * 20, Slot(A, None)),
        (
            "failed to get storage for 0xAa at 2: server returned an error response: error code -32001: "
            "unknown state: account 0x" + "aa" * 20 + " slot 0x" + "f" * 64,
            Slot(A, 2**256 - 1),
        ),
        ("unknown state: account 0x" + "aa" * 19, None),
        ("unknown state: account 0x" + "aa" * 20 + "aa", None),
        ("unknown state: account 0x" + "aa" * 20 + " slot 0x" + "f" * 65, None),
        ("Insufficient funds for gas * price + value", None),
    ],
)
def test_only_the_archives_own_words_name_an_unknown_slot(text, slot):
    assert wire.unknown_slot(text) == slot


def test_unknown_slots_become_zero_beside_overrides_of_the_same_account():
    state = wire.state_overrides([Override(A, balance_wei=9, slots=((1, 3),))], [Slot(A, 2), Slot(B, None)])
    assert state == {
        "0x" + "aa" * 20: {"balance": "0x9", "stateDiff": {f"0x{2:064x}": f"0x{0:064x}", f"0x{1:064x}": f"0x{3:064x}"}},
        "0x" + "bb" * 20: {"balance": "0x0", "nonce": "0x0", "code": "0x"},
    }


def test_a_result_is_read_and_one_without_hex_is_refused():
    tree = {"status": "0x0", "gasUsed": "0x10", "returnData": "0x01", "logs": [], "error": {"code": 3, "message": "no"}}
    result = wire.call_result(msgspec.convert(tree, wire.WireCall))
    assert result == CallResult(is_success=False, gas_used=16, return_data=b"\x01", logs=(), error="no")
    with pytest.raises(ValueError, match="hex"):
        wire.call_result(msgspec.convert(tree | {"gasUsed": "16"}, wire.WireCall))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"max_fee_wei": 99}, "below the base fee"),
        ({"max_priority_fee_wei": 101}, "exceeds the fee cap"),
        ({"gas": 100_001}, "exceeds the block"),
    ],
)
def test_what_no_block_could_hold_is_named_with_its_place(broken, says):
    assert rules.broken_rule((call(),), ENV) == ""
    reason = rules.broken_rule((call(), call(**broken)), ENV)
    assert says in reason and reason.startswith("call 1")


def test_each_call_needs_its_whole_gas_left_when_it_begins():
    result = CallResult(is_success=True, gas_used=50_000, return_data=b"", logs=())
    assert rules.broken_gas_limit((call(), call()), (result, result), ENV) == ""
    assert "call 1" in rules.broken_gas_limit((call(), call(gas=50_001)), (result, result), ENV)


def test_nonces_count_on_within_a_sequence_and_unknown_senders_are_not_judged():
    good = (call(nonce=4), call(), call(nonce=6), call(sender=B, nonce=77))
    assert rules.broken_nonce(good, {A: 4}) == ""
    assert "taken" in rules.broken_nonce((call(nonce=3),), {A: 4})
    assert "too high" in rules.broken_nonce((call(nonce=4), call(nonce=6)), {A: 4})
