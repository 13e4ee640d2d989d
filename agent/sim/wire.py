"""The JSON of `eth_simulateV1`, both ways, and the one error text that means "this state is unknown".

Source: the execution API's `eth_simulateV1` and the answers of anvil 1.7.1 and geth 1.16, both executed.
All six block overrides are always sent: what is left out runs as block N-1, 12 s early, with base fee 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agent.dex.pool import Log
from agent.eth.hexes import from_data, from_quantity, to_data, to_quantity
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv, Call, CallResult, Override, Slot

JsonObject = dict[str, Any]


class _WireLog(msgspec.Struct, frozen=True):
    address: str
    topics: tuple[str, ...]
    data: str


class _WireFailure(msgspec.Struct, frozen=True):
    message: str = ""


class WireCall(msgspec.Struct, frozen=True, rename="camel"):
    """One call's result as nodes send it."""

    status: str
    gas_used: str
    return_data: str = "0x"
    logs: tuple[_WireLog, ...] = ()
    error: _WireFailure | None = None


class WireBlock(msgspec.Struct, frozen=True):
    """The only part of a simulated block that is read."""

    calls: tuple[WireCall, ...]


_UNKNOWN_STATE = re.compile(
    r"\bunknown state: account (0x[0-9a-fA-F]{40})(?: slot (0x[0-9a-fA-F]{1,64})\b|(?! slot)\b)"
)


def unknown_slot(text: str) -> Slot | None:
    """The account or slot that an archive of one block says it does not hold; None for any other error.

    Anvil wraps the archive's words in its own, so they are looked for anywhere in the text. Only texts of JSON-RPC
    errors come here: what a contract says when it reverts stands in a result, and cannot pretend to be this.
    """
    found = _UNKNOWN_STATE.search(text)
    if found is None:
        return None
    slot = found.group(2)
    return Slot(Address(bytes.fromhex(found.group(1)[2:])), None if slot is None else int(slot, 16))


def block_overrides(env: BlockEnv) -> JsonObject:
    """All six fields."""
    return {
        "number": to_quantity(env.number),
        "time": to_quantity(env.timestamp),
        "baseFeePerGas": to_quantity(env.base_fee_wei),
        "feeRecipient": to_data(env.fee_recipient),
        "gasLimit": to_quantity(env.gas_limit),
        "prevRandao": _word(env.prev_randao),
    }


def call_object(call: Call) -> JsonObject:
    """A call as a transaction object; the fields of types 3 and 4 only where it has them."""
    tree: JsonObject = {
        "from": to_data(call.sender),
        "input": to_data(call.data),
        "gas": to_quantity(call.gas),
        "value": to_quantity(call.value_wei),
        "maxFeePerGas": to_quantity(call.max_fee_wei),
        "maxPriorityFeePerGas": to_quantity(call.max_priority_fee_wei),
    }
    if call.to is not None:
        tree["to"] = to_data(call.to)
    if call.nonce is not None:
        tree["nonce"] = to_quantity(call.nonce)
    if call.access_list:
        tree["accessList"] = [
            {"address": to_data(address), "storageKeys": [_word(slot) for slot in slots]}
            for address, slots in call.access_list
        ]
    if call.blob_hashes:
        tree["maxFeePerBlobGas"] = to_quantity(call.max_blob_fee_wei)
        tree["blobVersionedHashes"] = [to_data(blob) for blob in call.blob_hashes]
    if call.authorizations:
        tree["authorizationList"] = [
            {
                "chainId": to_quantity(entry.chain_id),
                "address": to_data(entry.address),
                "nonce": to_quantity(entry.nonce),
                "yParity": to_quantity(entry.y_parity),
                "r": to_quantity(entry.r),
                "s": to_quantity(entry.s),
            }
            for entry in call.authorizations
        ]
    return tree


def state_overrides(overrides: Iterable[Override], unknown: Iterable[Slot]) -> JsonObject:
    """Overrides, and zero for each unknown slot (an unknown account: no balance, nonce 0, no code)."""
    tree: JsonObject = {}
    for slot in unknown:
        entry = tree.setdefault(to_data(slot.address), {})
        if slot.slot is None:
            entry.update(balance="0x0", nonce="0x0", code="0x")
        else:
            entry.setdefault("stateDiff", {})[_word(slot.slot)] = _word(0)
    for override in overrides:
        entry = tree.setdefault(to_data(override.address), {})
        if override.balance_wei is not None:
            entry["balance"] = to_quantity(override.balance_wei)
        if override.nonce is not None:
            entry["nonce"] = to_quantity(override.nonce)
        if override.code is not None:
            entry["code"] = to_data(override.code)
        for key, value in override.slots:
            entry.setdefault("stateDiff", {})[_word(key)] = _word(value)
    return tree


def simulate_params(calls: Iterable[Call], env: BlockEnv, state: Mapping[str, Any], *, at: Any) -> list[Any]:
    """Parameters of `eth_simulateV1` for one block of calls on the state `at` (a tag, number or block hash)."""
    block: JsonObject = {"blockOverrides": block_overrides(env), "calls": [call_object(call) for call in calls]}
    if state:
        block["stateOverrides"] = state
    return [{"blockStateCalls": [block], "validation": True, "traceTransfers": False}, at]


def call_result(wire: WireCall) -> CallResult:
    """A result in our terms; ValueError for fields that are no hex."""
    return CallResult(
        is_success=from_quantity(wire.status) == 1,
        gas_used=from_quantity(wire.gas_used),
        return_data=from_data(wire.return_data),
        logs=tuple(
            Log(Address(from_data(log.address)), tuple(map(from_data, log.topics)), from_data(log.data))
            for log in wire.logs
        ),
        error="" if wire.error is None else wire.error.message,
    )


def _word(value: int) -> str:
    return f"0x{value:064x}"
