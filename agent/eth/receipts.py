"""Receipts as consensus sees them: their bytes, their root in the header, the bloom of their logs.

Sources: Yellow Paper 4.3.1 and 4.4.1, EIP-658 (status), EIP-2718 (typed receipts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agent.eth import rlp
from agent.eth.hexes import from_data, from_quantity, to_address, to_hash
from agent.eth.keccak import keccak256
from agent.eth.trie import ordered_root
from agent.eth.units import Address, Hash32

BLOOM_BYTES = 256


class ReceiptLog(msgspec.Struct, frozen=True, gc=False):
    """What an event leaves in a receipt."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes


class Receipt(msgspec.Struct, frozen=True):
    """The four things of a receipt that the header commits to, and the transaction's type."""

    type: int
    is_success: bool
    cumulative_gas_used: int
    logs: tuple[ReceiptLog, ...]


def receipts_root(receipts: Iterable[Receipt]) -> Hash32:
    """The receipts root of a block with these receipts in this order."""
    return ordered_root(encode_receipt(receipt) for receipt in receipts)


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes that the trie holds."""
    body = rlp.encode_list(
        [
            b"\x01" if receipt.is_success else b"\x80",
            rlp.encode_int(receipt.cumulative_gas_used),
            rlp.encode_bytes(logs_bloom(receipt.logs)),
            rlp.encode_list([_encode_log(log) for log in receipt.logs]),
        ]
    )
    return body if receipt.type == 0 else bytes((receipt.type,)) + body


def logs_bloom(logs: Iterable[ReceiptLog]) -> bytes:
    """The 2048-bit filter over addresses and topics of `logs`; a block's is that over all its logs."""
    bits = 0
    for log in logs:
        bits |= _bloom_bits(log.address)
        for topic in log.topics:
            bits |= _bloom_bits(topic)
    return bits.to_bytes(BLOOM_BYTES, "big")


def bloom_may_hold(bloom: bytes, value: bytes) -> bool:
    """False: no log with this address or topic is under the filter. True says nothing."""
    wanted = _bloom_bits(value)
    return int.from_bytes(bloom, "big") & wanted == wanted


def receipt_from_rpc(obj: Mapping[str, Any]) -> Receipt:
    """The same value from a node's receipt object; ValueError for a missing or malformed field."""
    try:
        return Receipt(
            type=from_quantity(obj.get("type", "0x0")),
            is_success=from_quantity(obj["status"]) == 1,
            cumulative_gas_used=from_quantity(obj["cumulativeGasUsed"]),
            logs=tuple(
                ReceiptLog(
                    address=to_address(log["address"]),
                    topics=tuple(to_hash(topic) for topic in log["topics"]),
                    data=from_data(log["data"]),
                )
                for log in obj["logs"]
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"receipt object: {type(error).__name__} {str(error)[:120]}") from error


def _bloom_bits(value: bytes) -> int:
    digest = keccak256(value)
    bits = 0
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits


def _encode_log(log: ReceiptLog) -> bytes:
    topics = rlp.encode_list([b"\xa0" + topic for topic in log.topics])
    return rlp.encode_list([b"\x94" + log.address, topics, rlp.encode_bytes(log.data)])
