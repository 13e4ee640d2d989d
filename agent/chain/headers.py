"""A block's header as the agent uses it, and the proof that its fields are those its hash commits to.

Source: the execution API's block object; RLP order of the Yellow Paper 4.4.3 with the fields that EIP-1559, 4895,
4844, 4788 and 7685 appended. Amounts are wei, times are seconds.
"""

from __future__ import annotations

import msgspec

from agent.eth import rlp
from agent.eth.fees import GAS_LIMIT_BOUND_DIVISOR, next_base_fee
from agent.eth.hexes import from_data, from_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Gas, Hash32, Wei


class WireHeader(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The header of a block object or of a `newHeads` notification, still text."""

    hash: str
    parent_hash: str
    sha3_uncles: str
    miner: str
    state_root: str
    transactions_root: str
    receipts_root: str
    logs_bloom: str
    number: str
    gas_limit: str
    gas_used: str
    timestamp: str
    extra_data: str
    difficulty: str = "0x0"
    mix_hash: str = "0x" + "0" * 64
    nonce: str = "0x" + "0" * 16
    base_fee_per_gas: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None


class Header(msgspec.Struct, frozen=True, gc=False):
    """A header as values. `is_proved` says whether the hash is that of the fields; where it is not, the node lies
    or the chain has fields that are not known here."""

    number: int
    hash: Hash32
    parent_hash: Hash32
    timestamp: int
    base_fee_wei: int
    gas_limit: int
    gas_used: int
    fee_recipient: Address
    prev_randao: Hash32
    logs_bloom: bytes
    receipts_root: Hash32
    transactions_root: Hash32
    state_root: Hash32
    excess_blob_gas: int | None
    blob_gas_used: int | None
    is_proved: bool


def header_from_wire(wire: WireHeader) -> Header:
    """The values of a header; ValueError for text that is no hex or has the wrong size."""
    return Header(
        number=from_quantity(wire.number),
        hash=_hash(wire.hash),
        parent_hash=_hash(wire.parent_hash),
        timestamp=from_quantity(wire.timestamp),
        base_fee_wei=0 if wire.base_fee_per_gas is None else from_quantity(wire.base_fee_per_gas),
        gas_limit=from_quantity(wire.gas_limit),
        gas_used=from_quantity(wire.gas_used),
        fee_recipient=Address(_sized(wire.miner, 20)),
        prev_randao=_hash(wire.mix_hash),
        logs_bloom=_sized(wire.logs_bloom, 256),
        receipts_root=_hash(wire.receipts_root),
        transactions_root=_hash(wire.transactions_root),
        state_root=_hash(wire.state_root),
        excess_blob_gas=None if wire.excess_blob_gas is None else from_quantity(wire.excess_blob_gas),
        blob_gas_used=None if wire.blob_gas_used is None else from_quantity(wire.blob_gas_used),
        is_proved=hash_of_fields(wire) == _hash(wire.hash),
    )


def hash_of_fields(wire: WireHeader) -> Hash32:
    """keccak-256 of the RLP of all consensus fields that are present."""
    data, number = from_data, from_quantity
    parts = [
        *map(rlp.encode_bytes, map(data, (wire.parent_hash, wire.sha3_uncles, wire.miner))),
        *map(rlp.encode_bytes, map(data, (wire.state_root, wire.transactions_root, wire.receipts_root))),
        rlp.encode_bytes(data(wire.logs_bloom)),
        *map(rlp.encode_int, map(number, (wire.difficulty, wire.number, wire.gas_limit, wire.gas_used))),
        rlp.encode_int(number(wire.timestamp)),
        *map(rlp.encode_bytes, map(data, (wire.extra_data, wire.mix_hash, wire.nonce))),
    ]
    if wire.base_fee_per_gas is not None:
        parts.append(rlp.encode_int(number(wire.base_fee_per_gas)))
    if wire.withdrawals_root is not None:
        parts.append(rlp.encode_bytes(data(wire.withdrawals_root)))
    if wire.blob_gas_used is not None and wire.excess_blob_gas is not None:
        parts += [rlp.encode_int(number(wire.blob_gas_used)), rlp.encode_int(number(wire.excess_blob_gas))]
    parts += [rlp.encode_bytes(data(extra)) for extra in (wire.parent_beacon_block_root, wire.requests_hash) if extra]
    return keccak256(rlp.encode_list(parts))


def broken_inheritance(parent: Header, child: Header) -> str:
    """Which rule of Ethereum `child` breaks as a child of `parent`; empty where it may be one.

    A header of a chain with its own fee rule (the OP stack, a devnet that sets fees) breaks these rightly: ask only
    for chains that follow EIP-1559.
    """
    if child.timestamp <= parent.timestamp:
        return f"its time {child.timestamp} is not after its parent's {parent.timestamp}"
    if abs(child.gas_limit - parent.gas_limit) >= parent.gas_limit // GAS_LIMIT_BOUND_DIVISOR:
        return f"its gas limit {child.gas_limit} is too far from its parent's {parent.gas_limit}"
    if child.gas_used > child.gas_limit:
        return f"it uses {child.gas_used} gas of {child.gas_limit}"
    if parent.gas_used > parent.gas_limit:
        return f"its parent uses {parent.gas_used} gas of {parent.gas_limit}"
    expected = next_base_fee(Wei(parent.base_fee_wei), gas_used=Gas(parent.gas_used), gas_limit=Gas(parent.gas_limit))
    if child.base_fee_wei != expected:
        return f"its base fee is {child.base_fee_wei} wei, its parent makes it {expected}"
    return ""


def _hash(text: str) -> Hash32:
    return Hash32(_sized(text, 32))


def _sized(text: str, size: int) -> bytes:
    raw = from_data(text)
    if len(raw) != size:
        raise ValueError(f"{size} bytes expected: {text[:80]!r}")
    return raw
