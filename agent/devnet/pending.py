"""A signed transaction as the devnet's pools hold it: decoded once, with its JSON-RPC form ready to hand out.

Sources: EIP-2718 (envelopes), EIP-155 (legacy chain id), EIP-2930, EIP-1559, EIP-4844, EIP-7702. A blob
transaction is taken with or without its sidecar; its hash never covers the sidecar.
"""

from __future__ import annotations

from typing import Any

import coincurve
import msgspec
import rlp

from agent.eth.hexes import address_text, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_FIELD_COUNT = {1: 11, 2: 12, 3: 14, 4: 13}
"""Fields of each typed envelope, the three of the signature included."""


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
    """Decode signed bytes; ValueError says what is wrong with them.

    `sender` spares the recovery where it is already known.
    """
    if not raw:
        raise ValueError("empty bytes")
    kind = 0 if raw[0] >= 0xC0 else raw[0]
    try:
        fields = rlp.decode(raw if kind == 0 else raw[1:])
    except rlp.DecodingError as error:
        raise ValueError(f"rlp: {error}") from None
    if kind == 3 and isinstance(fields, list) and fields and isinstance(fields[0], list):
        fields = fields[0]
        raw = b"\x03" + rlp.encode(fields)
    if kind and kind not in _FIELD_COUNT:
        raise ValueError("transaction type not supported")
    if not isinstance(fields, list) or len(fields) != (9 if kind == 0 else _FIELD_COUNT[kind]):
        raise ValueError(f"wrong number of fields for type {kind}")
    try:
        return _legacy(raw, fields, sender) if kind == 0 else _typed(raw, kind, fields, sender)
    except (TypeError, IndexError) as error:
        raise ValueError(f"malformed field: {error}") from None


def _legacy(raw: bytes, fields: list[Any], sender: Address | None) -> PendingTransaction:
    nonce, price, gas, value = (_int(fields[i]) for i in (0, 1, 2, 4))
    v, r, s = (_int(field) for field in fields[6:9])
    chain_id = (v - 35) // 2 if v >= 35 else None
    if v not in (27, 28) and v < 35:
        raise ValueError("invalid transaction v, r, s values")
    parity = (v - 35) % 2 if v >= 35 else v - 27
    unsigned = fields[:6] if chain_id is None else [*fields[:6], _bytes(chain_id), b"", b""]
    to = _to(fields[3])
    if sender is None:
        sender = _recover(keccak256(rlp.encode(unsigned)), parity, r, s)
    rpc: dict[str, Any] = {"gasPrice": to_quantity(price), "v": to_quantity(v)}
    if chain_id is not None:
        rpc["chainId"] = to_quantity(chain_id)
    return _pending(
        raw, 0, chain_id, sender, nonce=nonce, to=to, value=value, gas=gas, max_fee=price, max_priority_fee=price,
        data=fields[5], signature=(r, s), extra=rpc,
    )  # fmt: skip


def _typed(raw: bytes, kind: int, fields: list[Any], sender: Address | None) -> PendingTransaction:
    chain_id, nonce, parity, r, s = (_int(fields[i]) for i in (0, 1, -3, -2, -1))
    shift = 0 if kind == 1 else 1
    priority, cap = _int(fields[2]), _int(fields[2 + shift])
    gas, to, value, data, access = fields[3 + shift : 8 + shift]
    if priority > cap:
        raise ValueError("max priority fee per gas higher than max fee per gas")
    if kind in (3, 4) and len(to) != 20:
        raise ValueError(f"type {kind} cannot create a contract")
    if sender is None:
        sender = _recover(keccak256(bytes([kind]) + rlp.encode(fields[:-3])), parity, r, s)
    rpc: dict[str, Any] = {
        "chainId": to_quantity(chain_id),
        "accessList": [
            {"address": address_text(Address(entry[0])).lower(), "storageKeys": [to_data(key) for key in entry[1]]}
            for entry in access
        ],
        "v": to_quantity(parity),
        "yParity": to_quantity(parity),
        "gasPrice": to_quantity(cap),
    }
    if kind != 1:
        rpc |= {"maxFeePerGas": to_quantity(cap), "maxPriorityFeePerGas": to_quantity(priority)}
    blobs = 0
    if kind == 3:
        blobs = len(fields[10])
        rpc |= {
            "maxFeePerBlobGas": to_quantity(_int(fields[9])),
            "blobVersionedHashes": [to_data(versioned) for versioned in fields[10]],
        }
    if kind == 4:
        rpc["authorizationList"] = [_authorization(entry) for entry in fields[9]]
    return _pending(
        raw, kind, chain_id, sender, nonce=nonce, to=_to(to), value=_int(value), gas=_int(gas), max_fee=cap,
        max_priority_fee=priority, data=data, signature=(r, s), extra=rpc, blobs=blobs,
    )  # fmt: skip


def _pending(
    raw: bytes, kind: int, chain_id: int | None, sender: Address, *, nonce: int, to: Address | None, value: int,
    gas: int, max_fee: int, max_priority_fee: int, data: bytes, signature: tuple[int, int], extra: dict[str, Any],
    blobs: int = 0,
) -> PendingTransaction:  # fmt: skip
    transaction_hash = keccak256(raw)
    r, s = signature
    rpc = {
        "hash": to_data(transaction_hash),
        "type": to_quantity(kind),
        "from": to_data(sender),
        "to": None if to is None else to_data(to),
        "nonce": to_quantity(nonce),
        "gas": to_quantity(gas),
        "value": to_quantity(value),
        "input": to_data(data),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "r": to_quantity(r),
        "s": to_quantity(s),
        **extra,
    }
    return PendingTransaction(
        hash=transaction_hash,
        raw=raw,
        type=kind,
        chain_id=chain_id,
        sender=sender,
        nonce=nonce,
        to=to,
        value_wei=value,
        gas_limit=gas,
        max_fee_wei=max_fee,
        max_priority_fee_wei=max_priority_fee,
        blob_count=blobs,
        rpc=rpc,
    )


def _authorization(entry: list[Any]) -> dict[str, str]:
    return {
        "chainId": to_quantity(_int(entry[0])),
        "address": to_data(entry[1]),
        "nonce": to_quantity(_int(entry[2])),
        "yParity": to_quantity(_int(entry[3])),
        "r": to_quantity(_int(entry[4])),
        "s": to_quantity(_int(entry[5])),
    }


def _recover(digest: bytes, parity: int, r: int, s: int) -> Address:
    if parity not in (0, 1) or not 0 < r < 2**256 or not 0 < s <= _HALF_ORDER:
        raise ValueError("invalid transaction v, r, s values")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception as error:  # noqa: BLE001 - coincurve raises bare Exception for a point that is not on the curve
        raise ValueError(f"invalid signature: {error}") from None
    return Address(keccak256(key.format(compressed=False)[1:])[-20:])


def _int(field: Any) -> int:
    if not isinstance(field, bytes) or (field and field[0] == 0) or len(field) > 32:
        raise ValueError("rlp: non-canonical integer")
    return int.from_bytes(field, "big")


def _bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _to(field: Any) -> Address | None:
    if not isinstance(field, bytes) or len(field) not in (0, 20):
        raise ValueError("rlp: wrong length of the recipient")
    return Address(field) if field else None
