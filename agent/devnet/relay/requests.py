"""Parameters of the relay's methods, from JSON to bundles, with the limits and rules of the real services.

Strict mode refuses what a careful client would not send (unknown fields, block numbers as JSON integers, ids that
are no UUID of version 4); lenient mode takes it as the real host does. Sources: Flashbots' documentation,
flashbots/go-utils rpctypes, flashbots/rbuilder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from agent.devnet.builder.bundles import Bundle
from agent.devnet.pending import PendingTransaction, decode_pending
from agent.devnet.relay.answers import INVALID_PARAMS, Refusal, undecodable
from agent.eth.hexes import from_data, from_quantity, to_address, to_hash
from agent.eth.units import Address, Hash32

MAX_TRANSACTIONS = 100
MAX_BUNDLE_BYTES = 300_000
PRIVATE_TRANSACTION_BLOCKS = 25

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_SEND_FIELDS = frozenset(
    {
        "txs", "blockNumber", "minTimestamp", "maxTimestamp", "revertingTxHashes", "droppingTxHashes",
        "replacementUuid", "uuid", "replacementNonce", "replacementSeqNumber", "refundPercent", "refundRecipient",
        "refundTxHashes", "delayedRefund", "refundIdentity", "version", "desiredState", "targetAddresses",
        "targetSlots", "builders",
    }
)  # fmt: skip
_CALL_FIELDS = frozenset({"txs", "blockNumber", "stateBlockNumber", "timestamp", "coinbase", "gasLimit", "baseFee"})
_PRIVATE_FIELDS = frozenset({"tx", "maxBlockNumber", "preferences"})


class Cancellation(msgspec.Struct, frozen=True):
    """A bundle without transactions, or `eth_cancelBundle`: withdraws what the id holds. `sequence` None: now."""

    replacement_id: str
    sequence: int | None


class Submission(msgspec.Struct, frozen=True):
    """A decoded `eth_sendBundle`; the bundle lacks signer, and its sequence where the client sent none."""

    bundle: Bundle
    is_multiplexed: bool
    """`builders` was given: the reply says `"smart": "true"`."""


class SimulationRequest(msgspec.Struct, frozen=True):
    """A decoded `eth_callBundle`. `state_block` is a number or a tag."""

    transactions: tuple[PendingTransaction, ...]
    block_number: int
    state_block: int | str
    timestamp: int | None
    coinbase: Address | None
    gas_limit: int | None
    base_fee_wei: int | None


def only_object(params: Any) -> dict[str, Any]:
    """The one parameter of a method that takes an object."""
    if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
        raise Refusal("expected exactly one parameter, an object", code=INVALID_PARAMS)
    return params[0]


def decode_send_bundle(params: Any, *, is_strict: bool) -> Submission | Cancellation:
    """`eth_sendBundle` with the union of all builders' fields."""
    fields = only_object(params)
    _check_fields(fields, _SEND_FIELDS, is_strict=is_strict)
    replacement_id = _replacement_id(fields, is_strict=is_strict)
    sequence = _integer(fields, "replacementNonce")
    if sequence is None:
        sequence = _integer(fields, "replacementSeqNumber")
    transactions = _transactions(fields)
    if not transactions:
        if replacement_id is None:
            raise Refusal("Empty bundle", code=INVALID_PARAMS)
        return Cancellation(replacement_id, sequence)
    if sequence is not None and replacement_id is None:
        raise Refusal("a sequence needs an id", code=INVALID_PARAMS)
    if fields.get("desiredState") or fields.get("targetAddresses") or fields.get("targetSlots"):
        raise Refusal("bottom-of-block bundles are not built here", code=INVALID_PARAMS)
    percent, recipient, hashes = _refund(fields)
    block_number = _block_number(fields, "blockNumber", is_strict=is_strict)
    if is_strict and block_number is None:
        raise Refusal("blockNumber is required", code=INVALID_PARAMS)
    return Submission(
        Bundle(
            transactions=transactions,
            block_number=block_number or None,
            min_timestamp=_integer(fields, "minTimestamp") or 0,
            max_timestamp=_integer(fields, "maxTimestamp") or 0,
            reverting=frozenset(_hashes(fields, "revertingTxHashes")),
            dropping=frozenset(_hashes(fields, "droppingTxHashes")),
            replacement_id=replacement_id,
            sequence=sequence,
            refund_percent=percent,
            refund_recipient=recipient,
            refund_transactions=hashes,
            is_refund_delayed=bool(fields.get("delayedRefund")),
        ),
        is_multiplexed=bool(fields.get("builders")),
    )


def decode_cancel_bundle(params: Any, *, is_strict: bool) -> Cancellation:
    """`eth_cancelBundle`: for good, whatever sequence was or will be sent."""
    fields = only_object(params)
    _check_fields(fields, frozenset({"replacementUuid", "uuid"}), is_strict=is_strict)
    replacement_id = _replacement_id(fields, is_strict=is_strict)
    if replacement_id is None:
        raise Refusal("replacementUuid is required", code=INVALID_PARAMS)
    return Cancellation(replacement_id, None)


def decode_private_transaction(params: Any, *, next_block: int, is_strict: bool) -> Bundle:
    """`eth_sendPrivateTransaction`: one transaction for any block up to the last one named."""
    fields = only_object(params)
    _check_fields(fields, _PRIVATE_FIELDS, is_strict=is_strict)
    # Both old client libraries send this block as a JSON integer, and the relay takes it.
    last = _block_number(fields, "maxBlockNumber", is_strict=False)
    return _private(fields.get("tx"), last or next_block + PRIVATE_TRANSACTION_BLOCKS - 1)


def decode_private_raw_transaction(params: Any, *, next_block: int) -> Bundle:
    """`eth_sendPrivateRawTransaction [raw, preferences?]`."""
    if not isinstance(params, list) or len(params) not in (1, 2):
        raise Refusal("expected one or two parameters", code=INVALID_PARAMS)
    return _private(params[0], next_block + PRIVATE_TRANSACTION_BLOCKS - 1)


def decode_cancel_private(params: Any) -> Hash32:
    """`eth_cancelPrivateTransaction [{txHash}]`."""
    fields = only_object(params)
    hashes = _hashes({"txHash": [fields.get("txHash")]}, "txHash")
    return hashes[0]


def decode_call_bundle(params: Any, *, is_strict: bool) -> SimulationRequest:
    """`eth_callBundle`."""
    fields = only_object(params)
    _check_fields(fields, _CALL_FIELDS, is_strict=is_strict)
    transactions = _transactions(fields)
    if not transactions:
        raise Refusal("bundle missing txs", code=INVALID_PARAMS)
    block_number = _block_number(fields, "blockNumber", is_strict=is_strict)
    if not block_number:
        raise Refusal("bundle missing blockNumber", code=INVALID_PARAMS)
    state = fields.get("stateBlockNumber", "latest")
    if isinstance(state, str) and state.startswith("0x"):
        state = _block_number(fields, "stateBlockNumber", is_strict=is_strict)
    elif isinstance(state, bool) or not (state in ("latest", "pending") or isinstance(state, int)):
        raise Refusal("stateBlockNumber is a hex number or latest", code=INVALID_PARAMS)
    return SimulationRequest(
        transactions=transactions,
        block_number=block_number,
        state_block="latest" if state in ("latest", "pending", None) else state,
        timestamp=_integer(fields, "timestamp") or None,
        coinbase=_address(fields, "coinbase"),
        gas_limit=_integer(fields, "gasLimit"),
        base_fee_wei=_integer(fields, "baseFee"),
    )


def _private(raw: Any, last_block: int) -> Bundle:
    if not isinstance(raw, str):
        raise undecodable()
    return Bundle(
        transactions=_decode_all([raw]), block_number=None, last_block=last_block, is_private_transaction=True
    )


def _check_fields(fields: Mapping[str, Any], known: frozenset[str], *, is_strict: bool) -> None:
    unknown = sorted(set(fields) - known)
    if is_strict and unknown:
        raise Refusal(f"unknown field {unknown[0]!r}"[:120], code=INVALID_PARAMS)


def _transactions(fields: Mapping[str, Any]) -> tuple[PendingTransaction, ...]:
    raws = fields.get("txs")
    if not isinstance(raws, list) or not all(isinstance(raw, str) for raw in raws):
        raise undecodable()
    if len(raws) > MAX_TRANSACTIONS:
        raise Refusal("too many txs in bundle")
    if sum(len(raw) // 2 - 1 for raw in raws) > MAX_BUNDLE_BYTES:
        raise Refusal("bundle too large")
    return _decode_all(raws)


def _decode_all(raws: list[str]) -> tuple[PendingTransaction, ...]:
    try:
        return tuple(decode_pending(from_data(raw)) for raw in raws)
    except ValueError:
        raise undecodable() from None


def _replacement_id(fields: Mapping[str, Any], *, is_strict: bool) -> str | None:
    """rbuilder prefers `uuid` where both are given."""
    value = fields.get("uuid") or fields.get("replacementUuid")
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > 255 or (is_strict and not _UUID4.fullmatch(value)):
        raise Refusal("replacementUuid must be a UUIDv4", code=INVALID_PARAMS)
    return value


def _block_number(fields: Mapping[str, Any], name: str, *, is_strict: bool) -> int | None:
    value = fields.get(name)
    if value is None or value in ("", "0x"):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not is_strict and value >= 0:
        return value
    if not isinstance(value, str):
        raise Refusal(f"{name} must be a hex string", code=INVALID_PARAMS)
    try:
        return from_quantity(value)
    except ValueError:
        raise Refusal(f"{name} must be a hex string", code=INVALID_PARAMS) from None


def _integer(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise Refusal(f"{name} must be a non-negative integer", code=INVALID_PARAMS)
    return value


def _hashes(fields: Mapping[str, Any], name: str) -> tuple[Hash32, ...]:
    value = fields.get(name) or []
    try:
        return tuple(to_hash(text) for text in value)
    except (TypeError, ValueError, AttributeError):
        raise Refusal(f"{name} must be hashes", code=INVALID_PARAMS) from None


def _address(fields: Mapping[str, Any], name: str) -> Address | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        return to_address(value.lower())
    except (AttributeError, ValueError):
        raise Refusal(f"{name} must be an address", code=INVALID_PARAMS) from None


def _refund(fields: Mapping[str, Any]) -> tuple[int, Address | None, tuple[Hash32, ...]]:
    percent, recipient = _integer(fields, "refundPercent") or 0, _address(fields, "refundRecipient")
    _address(fields, "refundIdentity")
    hashes = _hashes(fields, "refundTxHashes")
    version = fields.get("version")
    if version not in (None, "", "v1", "v2"):
        raise Refusal("unsupported bundle version", code=INVALID_PARAMS)
    if version == "v1" and (percent or recipient or hashes or fields.get("droppingTxHashes")):
        raise Refusal("version v1 knows neither dropping nor refund fields", code=INVALID_PARAMS)
    if percent >= 100:
        raise Refusal("refundPercent must be below 100", code=INVALID_PARAMS)
    if len(hashes) > 1:
        raise Refusal("more than one refundTxHashes", code=INVALID_PARAMS)
    return percent, recipient, hashes
