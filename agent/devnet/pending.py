"""A signed transaction as the devnet's pools hold it: decoded once, with its JSON-RPC form ready to hand out.

A blob transaction is taken with or without its sidecar; its hash and raw bytes never cover the sidecar (EIP-4844).
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent.eth import rlp
from agent.eth.hexes import to_data, to_quantity
from agent.eth.transactions import (
    ACCESS_LIST,
    BLOB,
    LEGACY,
    SET_CODE,
    Transaction,
    TransactionError,
    decode_transaction,
)
from agent.eth.units import Address, Hash32


class PendingTransaction(msgspec.Struct, frozen=True):
    """One signed transaction and what a builder must know of it."""

    hash: Hash32
    raw: bytes
    type: int
    chain_id: int | None
    """None for a legacy transaction without replay protection."""
    sender: Address
    nonce: int
    to: Address | None
    value_wei: int
    gas_limit: int
    max_fee_wei: int
    max_priority_fee_wei: int
    blob_count: int
    rpc: dict[str, Any]
    """The transaction as JSON-RPC shows it, unmined: block fields are null."""

    def tip_wei(self, base_fee_wei: int) -> int:
        """Priority fee per gas that the block's builder gets; negative when the base fee is not covered."""
        return min(self.max_priority_fee_wei, self.max_fee_wei - base_fee_wei)


def decode_pending(raw: bytes, *, sender: Address | None = None) -> PendingTransaction:
    """Decode signed bytes; TransactionError (a ValueError) says what is wrong with them.

    `sender` spares the recovery where it is already known.
    """
    if raw[:1] == bytes([BLOB]):
        raw = _without_sidecar(raw)
    tx = decode_transaction(raw)
    if tx.max_priority_fee_wei > tx.max_fee_wei:
        raise TransactionError("max priority fee per gas higher than max fee per gas")
    if sender is None:
        sender = tx.sender
    return PendingTransaction(
        hash=tx.hash,
        raw=raw,
        type=tx.type,
        chain_id=tx.chain_id,
        sender=sender,
        nonce=tx.nonce,
        to=tx.to,
        value_wei=tx.value_wei,
        gas_limit=tx.gas,
        max_fee_wei=tx.max_fee_wei,
        max_priority_fee_wei=tx.max_priority_fee_wei,
        blob_count=len(tx.blob_hashes),
        rpc=_rpc_object(tx, sender),
    )


def _without_sidecar(raw: bytes) -> bytes:
    """The form inside blocks of a blob transaction that may come with blobs, commitments and proofs."""
    try:
        wrapped = rlp.decode_list(raw[1:])
    except rlp.RlpError as error:
        raise TransactionError(f"not a transaction: {error}") from error
    if not wrapped or not isinstance(wrapped[0], list):
        return raw
    return raw[:1] + _encode(wrapped[0])


def _encode(item: rlp.Decoded) -> bytes:
    if isinstance(item, list):
        return rlp.encode_list([_encode(member) for member in item])
    return rlp.encode_bytes(item)


def _rpc_object(tx: Transaction, sender: Address) -> dict[str, Any]:
    result: dict[str, Any] = {
        "hash": to_data(tx.hash),
        "type": to_quantity(tx.type),
        "from": to_data(sender),
        "to": None if tx.to is None else to_data(tx.to),
        "nonce": to_quantity(tx.nonce),
        "gas": to_quantity(tx.gas),
        "gasPrice": to_quantity(tx.max_fee_wei),
        "value": to_quantity(tx.value_wei),
        "input": to_data(tx.data),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "r": to_quantity(tx.r),
        "s": to_quantity(tx.s),
    }
    if tx.chain_id is not None:
        result["chainId"] = to_quantity(tx.chain_id)
    if tx.type == LEGACY:
        base = 27 if tx.chain_id is None else 35 + 2 * tx.chain_id
        result["v"] = to_quantity(base + tx.y_parity)
        return result
    result["v"] = result["yParity"] = to_quantity(tx.y_parity)
    result["accessList"] = [
        {"address": to_data(address), "storageKeys": [to_data(slot.to_bytes(32, "big")) for slot in slots]}
        for address, slots in tx.access_list
    ]
    if tx.type != ACCESS_LIST:
        result["maxFeePerGas"] = to_quantity(tx.max_fee_wei)
        result["maxPriorityFeePerGas"] = to_quantity(tx.max_priority_fee_wei)
    if tx.type == BLOB:
        result["maxFeePerBlobGas"] = to_quantity(tx.max_blob_fee_wei)
        result["blobVersionedHashes"] = [to_data(blob) for blob in tx.blob_hashes]
    if tx.type == SET_CODE:
        result["authorizationList"] = [
            {
                "chainId": to_quantity(entry.chain_id),
                "address": to_data(entry.address),
                "nonce": to_quantity(entry.nonce),
                "yParity": to_quantity(entry.y_parity),
                "r": to_quantity(entry.r),
                "s": to_quantity(entry.s),
            }
            for entry in tx.authorizations
        ]
    return result
