"""Signed transactions of types 0 to 4, as bytes and as JSON-RPC objects.

Amounts are wei, gas is gas. A legacy or type-1 gas price stands in both fee fields, as every fee rule
since London treats it. Blob transactions are the form inside blocks, without the sidecar.
Sources: EIP-155, 2718, 2930, 1559, 4844, 7702.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import msgspec
from coincurve import PublicKey

from agent.eth import rlp
from agent.eth.hexes import from_data, from_quantity, to_address, to_data, to_hash
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)

SECP256K1_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAX_S = SECP256K1_N // 2
"""EIP-2: a signature with a higher s is invalid, so that nobody can give a transaction a second hash."""

AccessList: TypeAlias = tuple[tuple[Address, tuple[int, ...]], ...]


class TransactionError(ValueError):
    """Bytes or an object that are no valid signed transaction."""


class Authorization(msgspec.Struct, frozen=True, gc=False):
    """One EIP-7702 entry: the signer lets its account run the code at `address`."""

    chain_id: int
    address: Address
    nonce: int
    y_parity: int
    r: int
    s: int


class Transaction(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A signed transaction. `sender` is recovered from the signature when first asked for."""

    type: int
    chain_id: int | None
    """None: a legacy transaction without replay protection."""
    nonce: int
    max_priority_fee_wei: int
    max_fee_wei: int
    gas: int
    to: Address | None
    """None: creates a contract."""
    value_wei: int
    data: bytes
    access_list: AccessList = ()
    max_blob_fee_wei: int = 0
    blob_hashes: tuple[Hash32, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    y_parity: int
    r: int
    s: int
    hash: Hash32

    @cached_property
    def raw(self) -> bytes:
        """The encoded transaction; TransactionError when it does not hash to `hash`."""
        raw = encode_transaction(self)
        if keccak256(raw) != self.hash:
            raise TransactionError(
                f"the fields of {to_data(self.hash)} encode to another hash, {to_data(keccak256(raw))}"
            )
        return raw

    @cached_property
    def sender(self) -> Address:
        """The address whose key signed; TransactionError when the signature gives none."""
        return recover(signing_digest(self), y_parity=self.y_parity, r=self.r, s=self.s)

    def priority_fee_wei(self, base_fee_wei: int) -> int:
        """What the builder gets for each gas at this base fee; negative: the transaction cannot be in the block."""
        return min(self.max_priority_fee_wei, self.max_fee_wei - base_fee_wei)

    def gas_price_wei(self, base_fee_wei: int) -> int:
        """What the sender pays for each gas at this base fee."""
        return base_fee_wei + self.priority_fee_wei(base_fee_wei)


def recover(digest: bytes, *, y_parity: int, r: int, s: int) -> Address:
    """The address that signed `digest`; TransactionError for a high s or a point off the curve."""
    if y_parity not in (0, 1) or not 0 < r < SECP256K1_N or not 0 < s <= MAX_S:
        raise TransactionError("the signature is out of range")
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((y_parity,))
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception
        raise TransactionError("the signature belongs to no key") from error
    return address_of_key(key)


def address_of_key(key: PublicKey) -> Address:
    """The account of a public key: the last 20 bytes of the hash of its point."""
    return Address(keccak256(key.format(compressed=False)[1:])[12:])


def decode_transaction(raw: bytes) -> Transaction:
    """The transaction that `raw` encodes; TransactionError with the reason when it is none."""
    try:
        if not raw:
            raise TransactionError("no bytes")
        if raw[0] >= 0xC0:
            return _decode_legacy(raw)
        if raw[0] == BLOB:
            body = rlp.decode_list(raw[1:])
            if body and isinstance(body[0], list):
                raise TransactionError("a blob transaction with its sidecar; only the form inside blocks is decoded")
        return _decode_typed(raw)
    except rlp.RlpError as error:
        raise TransactionError(f"not a transaction: {error}") from error


def encode_transaction(tx: Transaction) -> bytes:
    """The bytes that were sent and are hashed."""
    if tx.type == LEGACY:
        v = 27 + tx.y_parity if tx.chain_id is None else 35 + 2 * tx.chain_id + tx.y_parity
    else:
        v = tx.y_parity
    fields = [*_unsigned_fields(tx), rlp.encode_int(v), rlp.encode_int(tx.r), rlp.encode_int(tx.s)]
    return _enveloped(tx.type, fields)


def signing_digest(tx: Transaction) -> Hash32:
    """The hash that the sender signed (EIP-155 for protected legacy transactions)."""
    fields = _unsigned_fields(tx)
    if tx.type == LEGACY and tx.chain_id is not None:
        fields += [rlp.encode_int(tx.chain_id), b"\x80", b"\x80"]
    return keccak256(_enveloped(tx.type, fields))


def authorization_signer(entry: Authorization) -> Address:
    """The account that an EIP-7702 entry speaks for; TransactionError when its signature is invalid."""
    fields = [rlp.encode_int(entry.chain_id), rlp.encode_bytes(entry.address), rlp.encode_int(entry.nonce)]
    digest = keccak256(b"\x05" + rlp.encode_list(fields))
    return recover(digest, y_parity=entry.y_parity, r=entry.r, s=entry.s)


def transaction_from_rpc(obj: Mapping[str, Any]) -> Transaction:
    """The same value from a node's transaction object.

    The hash is taken as given and checked when `raw` is asked for; the `from` of the object is not used.
    TransactionError for a missing or malformed field.
    """
    try:
        return _from_rpc(obj)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        name = obj.get("hash", "?") if isinstance(obj, Mapping) else "?"
        raise TransactionError(
            f"transaction object {str(name)[:80]}: {type(error).__name__} {str(error)[:120]}"
        ) from error


def encode_access_list(entries: AccessList) -> bytes:
    """The RLP of an EIP-2930 access list."""
    if not entries:
        return b"\xc0"
    return rlp.encode_list(
        [
            rlp.encode_list(
                [b"\x94" + address, rlp.encode_list([b"\xa0" + slot.to_bytes(32, "big") for slot in slots])]
            )
            for address, slots in entries
        ]
    )


def _enveloped(kind: int, fields: Sequence[bytes]) -> bytes:
    body = rlp.encode_list(fields)
    return body if kind == LEGACY else bytes((kind,)) + body


def _unsigned_fields(tx: Transaction) -> list[bytes]:
    number = rlp.encode_int
    to = b"\x80" if tx.to is None else b"\x94" + tx.to
    fields = [number(tx.nonce)]
    if tx.type in (LEGACY, ACCESS_LIST):
        fields.append(number(tx.max_fee_wei))
    else:
        fields += [number(tx.max_priority_fee_wei), number(tx.max_fee_wei)]
    fields += [number(tx.gas), to, number(tx.value_wei), rlp.encode_bytes(tx.data)]
    if tx.type == LEGACY:
        return fields
    if tx.chain_id is None:
        raise TransactionError(f"a transaction of type {tx.type} without chain id")
    fields = [number(tx.chain_id), *fields, encode_access_list(tx.access_list)]
    if tx.type == BLOB:
        fields += [number(tx.max_blob_fee_wei), rlp.encode_list([b"\xa0" + blob for blob in tx.blob_hashes])]
    elif tx.type == SET_CODE:
        fields.append(rlp.encode_list([_encode_authorization(entry) for entry in tx.authorizations]))
    return fields


def _encode_authorization(entry: Authorization) -> bytes:
    number = rlp.encode_int
    return rlp.encode_list(
        [
            number(entry.chain_id),
            b"\x94" + entry.address,
            number(entry.nonce),
            number(entry.y_parity),
            number(entry.r),
            number(entry.s),
        ]
    )


def _decode_legacy(raw: bytes) -> Transaction:
    fields = rlp.decode_list(raw)
    if len(fields) != 9:
        raise TransactionError(f"a legacy transaction has 9 fields, this has {len(fields)}")
    v = rlp.as_int(fields[6])
    chain_id, y_parity = _split_v(v)
    price = rlp.as_int(fields[1])
    return Transaction(
        type=LEGACY,
        chain_id=chain_id,
        nonce=rlp.as_int(fields[0], bits=64),
        max_priority_fee_wei=price,
        max_fee_wei=price,
        gas=rlp.as_int(fields[2], bits=64),
        to=_to(fields[3]),
        value_wei=rlp.as_int(fields[4]),
        data=rlp.as_bytes(fields[5]),
        y_parity=y_parity,
        r=rlp.as_int(fields[7]),
        s=rlp.as_int(fields[8]),
        hash=keccak256(raw),
    )


_FIELD_COUNT = {ACCESS_LIST: 11, DYNAMIC_FEE: 12, BLOB: 14, SET_CODE: 13}


def _decode_typed(raw: bytes) -> Transaction:
    kind = raw[0]
    expected = _FIELD_COUNT.get(kind)
    if expected is None:
        raise TransactionError(f"unknown transaction type {kind}")
    fields = rlp.decode_list(raw[1:])
    if len(fields) != expected:
        raise TransactionError(f"a transaction of type {kind} has {expected} fields, this has {len(fields)}")
    chain_id = rlp.as_int(fields[0])
    nonce = rlp.as_int(fields[1], bits=64)
    tip = rlp.as_int(fields[2])
    rest = fields[3:]
    fee = tip
    if kind != ACCESS_LIST:
        fee, rest = rlp.as_int(rest[0]), rest[1:]
    to = _to(rest[1])
    if to is None and kind in (BLOB, SET_CODE):
        raise TransactionError(f"a transaction of type {kind} cannot create a contract")
    y_parity = rlp.as_int(fields[-3], bits=8)
    if y_parity > 1:
        raise TransactionError(f"the y parity is 0 or 1, not {y_parity}")
    return Transaction(
        type=kind,
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_wei=tip,
        max_fee_wei=fee,
        gas=rlp.as_int(rest[0], bits=64),
        to=to,
        value_wei=rlp.as_int(rest[2]),
        data=rlp.as_bytes(rest[3]),
        access_list=_access_list(rest[4]),
        max_blob_fee_wei=rlp.as_int(rest[5]) if kind == BLOB else 0,
        blob_hashes=tuple(Hash32(rlp.as_fixed(h, 32)) for h in rlp.as_list(rest[6])) if kind == BLOB else (),
        authorizations=tuple(_authorization(e) for e in rlp.as_list(rest[5])) if kind == SET_CODE else (),
        y_parity=y_parity,
        r=rlp.as_int(fields[-2]),
        s=rlp.as_int(fields[-1]),
        hash=keccak256(raw),
    )


def _split_v(v: int) -> tuple[int | None, int]:
    """Chain id and parity of a legacy v."""
    if v in (27, 28):
        return None, v - 27
    if v >= 35:
        return (v - 35) // 2, (v - 35) % 2
    raise TransactionError(f"v cannot be {v}")


def _to(item: rlp.Decoded) -> Address | None:
    raw = rlp.as_bytes(item)
    return None if not raw else Address(rlp.as_fixed(raw, 20))


def _access_list(item: rlp.Decoded) -> AccessList:
    entries = []
    for entry in rlp.as_list(item):
        pair = rlp.as_list(entry)
        if len(pair) != 2:
            raise TransactionError(f"an access list entry has 2 parts, this has {len(pair)}")
        slots = tuple(int.from_bytes(rlp.as_fixed(slot, 32), "big") for slot in rlp.as_list(pair[1]))
        entries.append((Address(rlp.as_fixed(pair[0], 20)), slots))
    return tuple(entries)


def _authorization(item: rlp.Decoded) -> Authorization:
    parts = rlp.as_list(item)
    if len(parts) != 6:
        raise TransactionError(f"an authorization has 6 parts, this has {len(parts)}")
    return Authorization(
        chain_id=rlp.as_int(parts[0]),
        address=Address(rlp.as_fixed(parts[1], 20)),
        nonce=rlp.as_int(parts[2], bits=64),
        y_parity=rlp.as_int(parts[3], bits=8),
        r=rlp.as_int(parts[4]),
        s=rlp.as_int(parts[5]),
    )


def _from_rpc(obj: Mapping[str, Any]) -> Transaction:
    kind = _number(obj.get("type", "0x0"))
    if kind != LEGACY and kind not in _FIELD_COUNT:
        raise TransactionError(f"unknown transaction type {kind}")
    if kind == LEGACY:
        chain_id, y_parity = _split_v(_number(obj["v"]))
    else:
        chain_id = _number(obj["chainId"])
        y_parity = _number(obj["yParity"] if obj.get("yParity") is not None else obj["v"])
    if kind in (LEGACY, ACCESS_LIST):
        fee = tip = _number(obj["gasPrice"])
    else:
        fee, tip = _number(obj["maxFeePerGas"]), _number(obj["maxPriorityFeePerGas"])
    to = obj.get("to")
    return Transaction(
        type=kind,
        chain_id=chain_id,
        nonce=_number(obj["nonce"]),
        max_priority_fee_wei=tip,
        max_fee_wei=fee,
        gas=_number(obj["gas"]),
        to=None if to is None else to_address(to),
        value_wei=_number(obj["value"]),
        data=from_data(obj["input"] if "input" in obj else obj["data"]),
        access_list=tuple(
            (to_address(entry["address"]), tuple(int.from_bytes(to_hash(slot), "big") for slot in entry["storageKeys"]))
            for entry in obj.get("accessList") or ()
        ),
        max_blob_fee_wei=_number(obj["maxFeePerBlobGas"]) if kind == BLOB else 0,
        blob_hashes=tuple(to_hash(blob) for blob in obj["blobVersionedHashes"]) if kind == BLOB else (),
        authorizations=tuple(
            Authorization(
                chain_id=_number(entry["chainId"]),
                address=to_address(entry["address"]),
                nonce=_number(entry["nonce"]),
                y_parity=_number(entry["yParity"] if entry.get("yParity") is not None else entry["v"]),
                r=_number(entry["r"]),
                s=_number(entry["s"]),
            )
            for entry in obj["authorizationList"]
        )
        if kind == SET_CODE
        else (),
        y_parity=y_parity,
        r=_number(obj["r"]),
        s=_number(obj["s"]),
        hash=to_hash(obj["hash"]),
    )


def _number(value: object) -> int:
    """A quantity; some feeds send small ones as JSON integers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return from_quantity(value)
    raise TransactionError(f"not a number: {str(value)[:40]}")
