"""The devnet's public mempool: transactions in order of arrival, held outside the node.

They enter anvil only when a block is built, so that the builder decides what the block holds. Nothing private
ever comes here: bundles and private transactions live in the builder's own pool.
Amounts are wei, transaction bytes are the signed form (blob transactions without their sidecar).
Replacement follows geth's default pool: the same sender and nonce needs both fees at least 10 % higher
(go-ethereum core/txpool/legacypool, PriceBump).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agent.devnet.pending import PendingTransaction, decode_pending
from agent.errors import Rejected
from agent.eth.units import Address, Hash32

__all__ = ["PRICE_BUMP_PERCENT", "Mempool", "PendingTransaction"]

PRICE_BUMP_PERCENT = 10
CAPACITY = 20_000
"""Many times what the fullest blocks hold."""


class Mempool:
    """Holds transactions until they are mined or replaced. One per devnet; used from one event loop."""

    def __init__(self) -> None:
        self._by_hash: dict[Hash32, PendingTransaction] = {}
        self._by_slot: dict[tuple[Address, int], Hash32] = {}
        self._on_add: list[Callable[[PendingTransaction], None]] = []
        self._on_remove: list[Callable[[PendingTransaction], None]] = []

    def on_add(self, callback: Callable[[PendingTransaction], None]) -> None:
        """Call back, in order of registration, with each transaction newly held."""
        self._on_add.append(callback)

    def on_remove(self, callback: Callable[[PendingTransaction], None]) -> None:
        """Call back with each transaction that leaves: mined, replaced or removed."""
        self._on_remove.append(callback)

    def add(self, raw: bytes, *, sender: Address | None = None) -> PendingTransaction:
        """Hold a transaction and return it; one already held is returned again without a callback.

        `sender` spares the recovery where it is known. Raises Rejected with geth's own words for bytes that are
        no transaction and for a replacement that does not pay enough.
        """
        try:
            transaction = decode_pending(raw, sender=sender)
        except ValueError as error:
            raise Rejected(f"failed to decode signed transaction: {error}", method="eth_sendRawTransaction") from None
        if (held := self._by_hash.get(transaction.hash)) is not None:
            return held
        slot = (transaction.sender, transaction.nonce)
        if (rival_hash := self._by_slot.get(slot)) is not None:
            rival = self._by_hash[rival_hash]
            if not _outbids(transaction, rival):
                raise Rejected("replacement transaction underpriced", method="eth_sendRawTransaction")
            self.remove(rival.hash)
        elif len(self._by_hash) >= CAPACITY:
            raise Rejected("txpool is full", method="eth_sendRawTransaction")
        self._by_hash[transaction.hash] = transaction
        self._by_slot[slot] = transaction.hash
        for callback in self._on_add:
            callback(transaction)
        return transaction

    def remove(self, transaction_hash: Hash32) -> PendingTransaction | None:
        """Let go of one transaction; None if it is not held."""
        transaction = self._by_hash.pop(transaction_hash, None)
        if transaction is None:
            return None
        del self._by_slot[transaction.sender, transaction.nonce]
        for callback in self._on_remove:
            callback(transaction)
        return transaction

    def drop_mined(self, mined: Iterable[PendingTransaction]) -> None:
        """Let go of what a block holds, and of rivals for the nonces that it used."""
        for transaction in mined:
            self.remove(transaction.hash)
            if (rival := self._by_slot.get((transaction.sender, transaction.nonce))) is not None:
                self.remove(rival)

    def get(self, transaction_hash: Hash32) -> PendingTransaction | None:
        return self._by_hash.get(transaction_hash)

    def next_nonce(self, sender: Address, *, mined_nonce: int) -> int:
        """The `pending` transaction count: the first nonce from `mined_nonce` on that nobody holds."""
        nonce = mined_nonce
        while (sender, nonce) in self._by_slot:
            nonce += 1
        return nonce

    def __iter__(self) -> Iterator[PendingTransaction]:
        """In order of arrival; a snapshot, so that callers may remove while they walk."""
        return iter(tuple(self._by_hash.values()))

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, transaction_hash: object) -> bool:
        return transaction_hash in self._by_hash


def _outbids(new: PendingTransaction, old: PendingTransaction) -> bool:
    """Both fees at least PRICE_BUMP_PERCENT higher; the bump's percentage floors, as geth's integer division does."""
    return (
        new.max_fee_wei > old.max_fee_wei
        and new.max_priority_fee_wei > old.max_priority_fee_wei
        and new.max_fee_wei >= old.max_fee_wei * (100 + PRICE_BUMP_PERCENT) // 100
        and new.max_priority_fee_wei >= old.max_priority_fee_wei * (100 + PRICE_BUMP_PERCENT) // 100
    )
