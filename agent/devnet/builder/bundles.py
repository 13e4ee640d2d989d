"""Private order flow as the builder holds it: bundles and private transactions, replaced and cancelled by rule.

Nothing here is ever part of the mempool. A replacement is keyed by (id, signer) and needs a strictly greater
sequence; lower and equal ones are ignored and answered with success, as in flashbots/rbuilder. A cancellation that
comes before what it cancels is honoured for CANCEL_LIFE_NS. Every bundle ever taken keeps a status that can be
asked for, up to STATUS_CAPACITY of them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import StrEnum
from uuid import UUID

import msgspec

from agent.devnet.builder.rules import Listed, Reason
from agent.devnet.pending import PendingTransaction
from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32

CANCEL_LIFE_NS = 60 * 10**9
CANCEL_FOR_GOOD = 2**64 - 1
"""The sequence that `eth_cancelBundle` stores: nothing revives that id for that signer."""
STATUS_CAPACITY = 10_000
NO_MAXIMUM = 2**64 - 1


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered, atomic list of signed transactions. Timestamps are the block's, in seconds; maximum 0 is none."""

    transactions: tuple[PendingTransaction, ...]
    block_number: int | None
    """None: the block being built when it arrives, and no later one."""
    last_block: int | None = None
    """Only for private transactions: it may go into any block up to this one."""
    min_timestamp: int = 0
    max_timestamp: int = 0
    reverting: frozenset[Hash32] = frozenset()
    dropping: frozenset[Hash32] = frozenset()
    replacement_id: str | None = None
    sequence: int | None = None
    signer: Address | None = None
    refund_percent: int = 0
    refund_recipient: Address | None = None
    refund_transactions: tuple[Hash32, ...] = ()
    is_refund_delayed: bool = False
    """The refund is owed, and paid outside the block."""
    is_private_transaction: bool = False

    @property
    def hash(self) -> Hash32:
        """Flashbots' bundle hash: it covers the transactions and nothing else."""
        return bundle_hash([transaction.hash for transaction in self.transactions])

    @property
    def uuid(self) -> UUID:
        """rbuilder's unique id (version 2): it covers block, times, lists and refund as well."""
        return unique_id(self)

    def listed(self, transaction_hash: Hash32) -> Listed:
        """Which permission the bundle gives for one of its transactions."""
        may_revert, may_drop = transaction_hash in self.reverting, transaction_hash in self.dropping
        if may_drop:
            return Listed.BOTH if may_revert else Listed.DROPPING
        return Listed.REVERTING if may_revert else Listed.NONE


def bundle_hash(transaction_hashes: list[Hash32]) -> Hash32:
    """keccak256 over the concatenated transaction hashes."""
    return keccak256(b"".join(transaction_hashes))


def unique_id(bundle: Bundle) -> UUID:
    """First 16 bytes of SHA-256 over 16 zero bytes and the encoding of flashbots/go-utils, as a UUID of version 5."""
    text = b"".join(
        (
            _uvarint(bundle.block_number or 0),
            _uvarint(bundle.min_timestamp),
            _uvarint(bundle.max_timestamp or NO_MAXIMUM),
            _uvarint(len(bundle.reverting)),
            _uvarint(len(bundle.dropping)),
            bundle.hash,
            *sorted(bundle.reverting),
            *sorted(bundle.dropping),
            bytes([bundle.refund_percent]) if bundle.refund_percent else b"",
            bundle.refund_recipient or b"",
            _uvarint(len(bundle.refund_transactions)) if bundle.refund_transactions else b"",
            *bundle.refund_transactions,
        )
    )
    digest = bytearray(hashlib.sha256(bytes(16) + text).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


class Insertion(StrEnum):
    """What a bundle or a cancellation did to the pool."""

    INSERTED = "inserted"
    REPLACED = "replaced"
    IGNORED = "ignored"
    CANCELLED = "cancelled"


class State(StrEnum):
    """Where a bundle stands."""

    WAITING = "waiting"
    INCLUDED = "included"
    DROPPED = "dropped"


class BundleStatus(msgspec.Struct, kw_only=True):
    """What became of one bundle; the last word counts."""

    bundle: Bundle
    state: State = State.WAITING
    reason: Reason | None = None
    detail: str = ""
    block_number: int | None = None
    """Where it was included, or the last block it was tried for."""
    indices: tuple[int, ...] = ()
    """Positions in the block of the transactions that are in it."""
    dropped: tuple[Hash32, ...] = ()
    """Transactions left out by permission."""
    payment_wei: int | None = None
    """What the fee recipient gained by it at its place."""


class _Slot(msgspec.Struct):
    sequence: int
    bundle: UUID | None
    stored_ns: int


class BundlePool:
    """Live bundles in order of arrival. `clock_ns` is monotonic."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._live: OrderedDict[UUID, Bundle] = OrderedDict()
        self._slots: OrderedDict[tuple[str, Address | None], _Slot] = OrderedDict()
        self._status: OrderedDict[UUID, BundleStatus] = OrderedDict()

    def insert(self, bundle: Bundle) -> Insertion:
        """Take a bundle; one that is already held, or whose sequence is not greater, is ignored."""
        key = bundle.uuid
        if bundle.replacement_id is None:
            if key in self._live:
                return Insertion.IGNORED
            self._hold(key, bundle)
            return Insertion.INSERTED
        if bundle.sequence is None:
            raise ValueError("a bundle with an id needs a sequence")
        owner = (bundle.replacement_id, bundle.signer)
        slot = self._slot(owner)
        if slot is not None and bundle.sequence <= slot.sequence:
            return Insertion.IGNORED
        was_live = slot is not None and self._retire(slot, Reason.REPLACED)
        self._store(owner, _Slot(bundle.sequence, key, self._clock_ns()))
        self._hold(key, bundle)
        return Insertion.REPLACED if was_live else Insertion.INSERTED

    def cancel(self, replacement_id: str, signer: Address | None, *, sequence: int) -> Insertion:
        """Withdraw what (id, signer) holds or will bring with a lower sequence."""
        owner = (replacement_id, signer)
        slot = self._slot(owner)
        if slot is not None and sequence <= slot.sequence:
            return Insertion.IGNORED
        if slot is not None:
            self._retire(slot, Reason.CANCELLED)
        self._store(owner, _Slot(sequence, None, self._clock_ns()))
        return Insertion.CANCELLED

    def cancel_private(self, transaction_hash: Hash32, signer: Address | None) -> bool:
        """Withdraw a private transaction, by the key that sent it."""
        for key, bundle in self._live.items():
            if not bundle.is_private_transaction or bundle.signer != signer:
                continue
            if bundle.transactions[0].hash == transaction_hash:
                self._close(key, State.DROPPED, Reason.CANCELLED)
                return True
        return False

    def candidates(self, block_number: int) -> list[Bundle]:
        """Live bundles that may go into this block by number; whoever can go into no later one is closed."""
        chosen = []
        for key, bundle in tuple(self._live.items()):
            last = bundle.last_block if bundle.is_private_transaction else bundle.block_number
            if last is not None and last < block_number:
                self._close(key, State.DROPPED, self._status[key].reason or Reason.EXPIRED)
            elif bundle.is_private_transaction or bundle.block_number in (None, block_number):
                chosen.append(bundle)
        return chosen

    def record(self, bundle: Bundle, *, block_number: int, reason: Reason, detail: str = "") -> None:
        """Say why a bundle is not in the block just tried; it stays live only if a later block may take it."""
        status = self._status.get(bundle.uuid)
        if status is None or status.state is not State.WAITING:
            return
        status.reason, status.detail, status.block_number = reason, detail, block_number
        if not bundle.is_private_transaction and (bundle.block_number is None or bundle.block_number <= block_number):
            self._close(bundle.uuid, State.DROPPED, reason)

    def record_included(
        self,
        bundle: Bundle,
        *,
        block_number: int,
        indices: tuple[int, ...],
        dropped: tuple[Hash32, ...],
        payment_wei: int,
    ) -> None:
        """Note where a bundle landed; it is live no more."""
        status = self._status.get(bundle.uuid)
        self._live.pop(bundle.uuid, None)
        if status is not None:
            status.state, status.reason, status.detail = State.INCLUDED, None, ""
            status.block_number, status.indices, status.dropped = block_number, indices, dropped
            status.payment_wei = payment_wei

    def statuses(self, hash_or_id: Hash32 | str) -> list[BundleStatus]:
        """Every bundle known under a bundle hash, a transaction hash, a replacement id or a unique id."""
        return [
            status
            for key, status in self._status.items()
            if hash_or_id in (status.bundle.hash, status.bundle.replacement_id, str(key))
            or any(transaction.hash == hash_or_id for transaction in status.bundle.transactions)
        ]

    def all_statuses(self) -> list[BundleStatus]:
        """Oldest first."""
        return list(self._status.values())

    def __iter__(self) -> Iterator[Bundle]:
        return iter(tuple(self._live.values()))

    def __len__(self) -> int:
        return len(self._live)

    def _slot(self, owner: tuple[str, Address | None]) -> _Slot | None:
        slot = self._slots.get(owner)
        if slot is None or slot.bundle is not None or slot.sequence == CANCEL_FOR_GOOD:
            return slot
        if self._clock_ns() - slot.stored_ns > CANCEL_LIFE_NS:
            del self._slots[owner]
            return None
        return slot

    def _store(self, owner: tuple[str, Address | None], slot: _Slot) -> None:
        self._slots[owner] = slot
        self._slots.move_to_end(owner)
        while len(self._slots) > STATUS_CAPACITY:
            self._slots.popitem(last=False)

    def _hold(self, key: UUID, bundle: Bundle) -> None:
        self._live[key] = bundle
        self._status.pop(key, None)
        self._status[key] = BundleStatus(bundle=bundle)
        while len(self._status) > STATUS_CAPACITY:
            oldest, _ = self._status.popitem(last=False)
            self._live.pop(oldest, None)

    def _retire(self, slot: _Slot, reason: Reason) -> bool:
        if slot.bundle is None or slot.bundle not in self._live:
            return False
        self._close(slot.bundle, State.DROPPED, reason)
        return True

    def _close(self, key: UUID, state: State, reason: Reason) -> None:
        self._live.pop(key, None)
        status = self._status.get(key)
        if status is not None:
            status.state, status.reason = state, reason


def _uvarint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
