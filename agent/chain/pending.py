"""A pending transaction as the node sends it: what decides is decoded at once, the rest where it matters.

Of a burst of thousands only some touch a contract we know, which `to` tells. The node's bytes are kept: `terms` reads
from them fees, value and calldata, `transaction` the value of `agent.eth.transactions` with signature, access list
and all, as integers and bytes. Decoding all fields of all of them costs twice as much, most of it in memory.
"""

from __future__ import annotations

import msgspec

from agent.eth.hexes import from_data, from_quantity
from agent.eth.transactions import (
    ACCESS_LIST,
    BLOB,
    LEGACY,
    SET_CODE,
    AccessList,
    Authorization,
    Transaction,
    TransactionError,
)
from agent.eth.units import Address, Hash32


class _WireAccess(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    address: str
    storage_keys: tuple[str, ...] = ()


class _WireAuthorization(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    chain_id: str
    address: str
    nonce: str
    r: str
    s: str
    y_parity: str | None = None
    v: str | None = None


class PendingTransaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction's name, whom it calls, and the bytes that say the rest."""

    hash: str
    to: str | None = None
    source: bytes = msgspec.field(default=b"", name="read from")
    """The message or object that it was read from. The name is none that a node sends."""

    def terms(self) -> Terms:
        """What it may spend and what it says. TransactionError for text that is no such value."""
        try:
            notification = _terms_notification.decode(self.source)
            wire = _terms_object.decode(self.source) if notification.params is None else notification.params.result
            return wire.values()
        except (ValueError, TypeError) as error:  # msgspec's errors are ValueErrors
            raise self._refused(error) from error

    def transaction(self) -> Transaction:
        """All values. TransactionError for text that makes no transaction. `raw` of the result checks the hash."""
        try:
            notification = _notification.decode(self.source)
            wire = notification.params.result if notification.params is not None else _object.decode(self.source)
            return wire.values()
        except (ValueError, TypeError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> TransactionError:
        return TransactionError(f"pending transaction {self.hash[:66]}: {str(error)[:160]}")


class Terms(msgspec.Struct, frozen=True, gc=False):
    """The fields that decide whether a transaction matters, without its signature."""

    nonce: int
    gas: int
    value_wei: int
    max_fee_wei: int
    """Fee cap per gas; a gas price is both this and the priority fee."""
    max_priority_fee_wei: int
    calldata: bytes


class _WireTerms(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    nonce: str
    gas: str
    value: str
    input: str
    gas_price: str | None = None
    max_fee_per_gas: str | None = None
    max_priority_fee_per_gas: str | None = None

    def values(self) -> Terms:
        fee = self.max_fee_per_gas or self.gas_price
        tip = self.max_priority_fee_per_gas or fee
        return Terms(
            from_quantity(self.nonce),
            from_quantity(self.gas),
            from_quantity(self.value),
            from_quantity(_present(fee, "maxFeePerGas")),
            from_quantity(_present(tip, "maxPriorityFeePerGas")),
            from_data(self.input),
        )


def pending_from_json(source: bytes) -> PendingTransaction:
    """From a transaction object, or from the notification that holds one; msgspec.DecodeError for anything else."""
    notification = _hot_notification.decode(source)
    pending = _hot_object.decode(source) if notification.params is None else notification.params.result
    msgspec.structs.force_setattr(pending, "source", source)
    return pending


class _WireTransaction(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The whole transaction object of the execution API."""

    hash: str
    nonce: str
    gas: str
    value: str
    input: str
    r: str
    s: str
    to: str | None = None
    type: str = "0x0"
    chain_id: str | None = None
    gas_price: str | None = None
    max_fee_per_gas: str | None = None
    max_priority_fee_per_gas: str | None = None
    max_fee_per_blob_gas: str | None = None
    blob_versioned_hashes: tuple[str, ...] = ()
    access_list: tuple[_WireAccess, ...] | None = None
    authorization_list: tuple[_WireAuthorization, ...] | None = None
    v: str | None = None
    y_parity: str | None = None

    def values(self) -> Transaction:
        kind = from_quantity(self.type)
        if kind not in range(SET_CODE + 1):
            raise TransactionError(f"unknown transaction type {kind}")
        if kind in (LEGACY, ACCESS_LIST):
            fee = tip = from_quantity(_present(self.gas_price, "gasPrice"))
        else:
            fee = from_quantity(_present(self.max_fee_per_gas, "maxFeePerGas"))
            tip = from_quantity(_present(self.max_priority_fee_per_gas, "maxPriorityFeePerGas"))
        chain_id, parity = self._chain_and_parity(kind)
        return Transaction(
            type=kind,
            chain_id=chain_id,
            nonce=from_quantity(self.nonce),
            max_priority_fee_wei=tip,
            max_fee_wei=fee,
            gas=from_quantity(self.gas),
            to=None if self.to is None else _address(self.to),
            value_wei=from_quantity(self.value),
            data=from_data(self.input),
            access_list=_access_list(self.access_list),
            max_blob_fee_wei=from_quantity(_present(self.max_fee_per_blob_gas, "maxFeePerBlobGas"))
            if kind == BLOB
            else 0,
            blob_hashes=tuple(map(_hash, self.blob_versioned_hashes)) if kind == BLOB else (),
            authorizations=tuple(map(_authorization, self.authorization_list or ())) if kind == SET_CODE else (),
            y_parity=parity,
            r=from_quantity(self.r),
            s=from_quantity(self.s),
            hash=_hash(self.hash),
        )

    def _chain_and_parity(self, kind: int) -> tuple[int | None, int]:
        if kind != LEGACY:
            parity = self.y_parity if self.y_parity is not None else self.v
            return from_quantity(_present(self.chain_id, "chainId")), from_quantity(_present(parity, "yParity"))
        v = from_quantity(_present(self.v, "v"))
        if v in (27, 28):
            return None, v - 27
        if v >= 35:
            return (v - 35) // 2, (v - 35) % 2
        raise TransactionError(f"v cannot be {v}")


class _Params(msgspec.Struct, frozen=True, gc=False):
    result: _WireTransaction


class _Notification(msgspec.Struct, frozen=True, gc=False):
    params: _Params | None = None


class _TermsParams(msgspec.Struct, frozen=True, gc=False):
    result: _WireTerms


class _TermsNotification(msgspec.Struct, frozen=True, gc=False):
    params: _TermsParams | None = None


class _HotParams(msgspec.Struct, frozen=True, gc=False):
    result: PendingTransaction


class _HotNotification(msgspec.Struct, frozen=True, gc=False):
    params: _HotParams | None = None


_notification = msgspec.json.Decoder(_Notification)
_object = msgspec.json.Decoder(_WireTransaction)
_terms_notification = msgspec.json.Decoder(_TermsNotification)
_terms_object = msgspec.json.Decoder(_WireTerms)
_hot_notification = msgspec.json.Decoder(_HotNotification)
_hot_object = msgspec.json.Decoder(PendingTransaction)


def _present(text: str | None, name: str) -> str:
    if text is None:
        raise TransactionError(f"lacks {name}")
    return text


def _access_list(entries: tuple[_WireAccess, ...] | None) -> AccessList:
    if not entries:
        return ()
    return tuple(
        (_address(entry.address), tuple(int.from_bytes(_hash(key), "big") for key in entry.storage_keys))
        for entry in entries
    )


def _authorization(entry: _WireAuthorization) -> Authorization:
    return Authorization(
        chain_id=from_quantity(entry.chain_id),
        address=_address(entry.address),
        nonce=from_quantity(entry.nonce),
        y_parity=from_quantity(_present(entry.y_parity if entry.y_parity is not None else entry.v, "yParity")),
        r=from_quantity(entry.r),
        s=from_quantity(entry.s),
    )


def _address(text: str) -> Address:
    raw = from_data(text)
    if len(raw) != 20:
        raise TransactionError(f"an address has 20 bytes, not {len(raw)}")
    return Address(raw)


def _hash(text: str) -> Hash32:
    raw = from_data(text)
    if len(raw) != 32:
        raise TransactionError(f"a hash has 32 bytes, not {len(raw)}")
    return Hash32(raw)
