"""A case as a running chain: the archive, an anvil forked from it, and the block's own transactions.

The node stands at the parent, or with the first transactions mined as block N. It is moved by going back to a
snapshot of the parent and mining the wanted prefix anew: the only way in which number, time, fee and history of
block N are the same for every prefix. Everything the case knows is read once into anvil before the snapshot, since
going back to a snapshot also forgets what was fetched after it.

Sources: the case format and recipe of `mainnet-capture/1`; anvil 1.7.1. Amounts are wei.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.devnet.anvil import Anvil
from agent.devnet.archive import Archive, unknown_state_text
from agent.devnet.case import Case, CaseTransaction
from agent.devnet.history import require_history
from agent.devnet.refunds import add_undue_refunds
from agent.errors import SetupError, UsageError
from agent.eth.hexes import to_data, to_hash, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.receipts import Receipt, receipt_from_rpc, receipts_root
from agent.eth.units import Address, Hash32
from agent.sim.simulator import BlockEnv, Slot

BLOB_TYPE = 3
_MISSING_SHOWN = 5


class Replay(msgspec.Struct, frozen=True):
    """A block as anvil mined it. `receipts` are consensus receipts, `rpc_receipts` the node's own objects."""

    transactions: tuple[CaseTransaction, ...]
    """Those that were mined, in order."""
    dropped: tuple[CaseTransaction, ...]
    """Those that anvil left out; always empty in a world that is the archived one."""
    receipts: tuple[Receipt, ...]
    rpc_receipts: tuple[dict[str, Any], ...]
    receipts_root: Hash32
    is_exact: bool
    """Whole block mined, and its receipts root is the header's."""
    gas_corrections: tuple[tuple[int, int], ...] = ()
    """(index, gas) by which anvil is known to be short; with them the receipts root is the header's."""

    @property
    def is_proved(self) -> bool:
        """The receipts root is the header's, as mined or with the known corrections of gas."""
        return self.is_exact or bool(self.gas_corrections)


class CaseNode:
    """A forked node for one case. Start with `CaseNode.start`, end with `stop`, or use it as an async context."""

    def __init__(self, *, case: Case, archive: Archive, anvil: Anvil, left_out: tuple[CaseTransaction, ...]) -> None:
        self.case = case
        self.archive = archive
        self.anvil = anvil
        self.left_out = left_out
        """Transactions that this world never sees: those named, and all later ones of the same senders."""
        absent = {transaction.hash for transaction in left_out}
        self.transactions = tuple(tx for tx in case.transactions if tx.hash not in absent)
        self.dropped: tuple[CaseTransaction, ...] = ()
        """What anvil left out at the last position or replay; empty unless transactions were left out on purpose."""
        self._snapshot = ""
        self._after_index: int | None = None

    @classmethod
    async def start(
        cls,
        case: Case,
        *,
        fresh: Iterable[Address] = (),
        holders: Iterable[Address] | None = None,
        assume: Iterable[Slot] = (),
        leave_out: Iterable[Hash32] = (),
        port: int | None = None,
    ) -> CaseNode:
        """Serve the case, fork its parent, set block N's environment, and stand at the parent."""
        left_out = case.with_later_of_same_sender(frozenset(leave_out))
        assumed = frozenset(assume)
        require_history(case, assumed=assumed)
        archive = Archive(case, fresh=fresh, holders=holders, assume=assumed).start()
        try:
            anvil = await Anvil.start(
                hardfork=case.hardfork,
                gas_limit=case.header.gas_limit,
                fork_url=archive.url,
                fork_block=case.parent.number,
                port=port,
            )
        except BaseException:
            archive.stop()
            raise
        node = cls(case=case, archive=archive, anvil=anvil, left_out=left_out)
        try:
            await node._read_all_known_state()
            await node._impersonate_blob_senders()
            await node._take_snapshot()
        except BaseException:
            await node.stop()
            raise
        return node

    async def stop(self) -> None:
        """End anvil and the archive; safe to call again."""
        await self.anvil.stop()
        self.archive.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def env(self) -> BlockEnv:
        """Block N as anvil mines it; a simulation with these six fields equals what is mined."""
        header = self.case.header
        return BlockEnv(
            number=header.number,
            timestamp=header.timestamp,
            base_fee_wei=header.base_fee_wei,
            fee_recipient=header.fee_recipient,
            gas_limit=header.gas_limit,
            prev_randao=int.from_bytes(anvil_prev_randao(self.case.parent.hash, header.number), "big"),
        )

    @property
    def after_index(self) -> int | None:
        """Where the node stands: None at the parent, k with transactions 0..k mined, -1 after other transactions."""
        return self._after_index

    def forget_position(self) -> None:
        """Say that somebody else has moved the node (mined, reverted), so that the next `position` starts anew."""
        self._after_index = -1

    async def plant(
        self,
        address: Address,
        *,
        code: bytes | None = None,
        storage: dict[int, int] | None = None,
        balance_wei: int | None = None,
        nonce: int | None = None,
    ) -> None:
        """Write state of ours into the parent; it is there at every later position. Moves to the parent."""
        at = to_data(address)
        writes: list[Request] = []
        if code is not None:
            writes.append(("anvil_setCode", (at, to_data(code))))
        if balance_wei is not None:
            writes.append(("anvil_setBalance", (at, to_quantity(balance_wei))))
        if nonce is not None:
            writes.append(("anvil_setNonce", (at, to_quantity(nonce))))
        for slot, value in (storage or {}).items():
            writes.append(("anvil_setStorageAt", (at, to_quantity(slot), f"0x{value:064x}")))
        await self.position(None)
        await self._all(writes)
        await self._take_snapshot()

    async def replay(self) -> Replay:
        """Mine the whole block in its own order and compare with the header; stands after the last one."""
        kept, dropped = await self._mine_prefix(len(self.transactions))
        rows = await self.block_receipts()
        receipts = tuple(receipt_from_rpc(row) for row in rows)
        root = receipts_root(receipts)
        is_whole = len(kept) == len(self.case.transactions)
        is_exact = is_whole and root == self.case.header.receipts_root
        return Replay(
            transactions=kept,
            dropped=dropped,
            receipts=receipts,
            rpc_receipts=tuple(rows),
            receipts_root=root,
            is_exact=is_exact,
            gas_corrections=() if is_exact else add_undue_refunds(self.case, receipts) or (),
        )

    async def position(self, after_index: int | None) -> None:
        """Stand at the parent (None), or with the block's transactions 0..after_index mined as block N.

        Left-out transactions are no part of any prefix; indices stay the block's own.
        """
        if after_index == self._after_index:
            return
        if after_index is None:
            await self._return_to_parent()
            return
        if not 0 <= after_index < len(self.case.transactions):
            raise UsageError(f"block {self.case.number} has no transaction {after_index}")
        count = sum(transaction.index <= after_index for transaction in self.transactions)
        await self._mine_prefix(count)
        self._after_index = after_index

    async def mine_raw(self, raws: Sequence[bytes]) -> list[Hash32]:
        """From the parent, mine these transactions in this order as block N; the hashes of those that got in.

        Anvil leaves out, without a word, what the archive refuses and what does not fit: compare. RpcError for a
        transaction that it refuses at once. `after_index` is -1 afterwards.
        """
        await self._return_to_parent()
        self.forget_position()
        await self._all([("eth_sendRawTransaction", (to_data(raw),)) for raw in raws])
        await self.anvil.call("evm_mine")
        block = await self.anvil.call("eth_getBlockByNumber", to_quantity(self.case.number), False)
        return [to_hash(text) for text in block["transactions"]]

    async def block_receipts(self) -> list[dict[str, Any]]:
        """The node's receipts of block N as it was mined last, in order."""
        rows: list[dict[str, Any]] = await self.anvil.call("eth_getBlockReceipts", to_quantity(self.case.number))
        return rows

    async def _mine_prefix(self, count: int) -> tuple[tuple[CaseTransaction, ...], tuple[CaseTransaction, ...]]:
        """Mine the first `count` of this world's transactions; those that got in, and those that did not.

        SetupError if anvil leaves one out, unless this world differs from the archived one (something was left out
        on purpose): then what followed from it may need state that nobody captured.
        """
        prefix = self.transactions[:count]
        mined = await self.mine_raw([transaction.raw for transaction in prefix])
        inside = set(mined)
        kept = tuple(transaction for transaction in prefix if transaction.hash in inside)
        if mined != [transaction.hash for transaction in kept]:
            raise SetupError(f"anvil changed the order of block {self.case.number}", code="E_REPLAY_ORDER")
        dropped = tuple(transaction for transaction in prefix if transaction.hash not in inside)
        if dropped and not self.left_out:
            raise self._incomplete(dropped)
        if prefix:
            self._after_index = prefix[-1].index
        self.dropped = dropped
        return kept, dropped

    async def _return_to_parent(self) -> None:
        # Reverting forgets the block's environment and keeps the pool: both are set anew.
        await self._all([("evm_revert", (self._snapshot,))])
        await self._take_snapshot()
        self._after_index = None

    async def _take_snapshot(self) -> None:
        header = self.case.header
        self._snapshot = await self.anvil.call("evm_snapshot")
        await self._all(
            [
                ("anvil_dropAllTransactions", ()),
                ("anvil_setCoinbase", (to_data(header.fee_recipient),)),
                ("evm_setNextBlockTimestamp", (header.timestamp,)),
                ("anvil_setNextBlockBaseFeePerGas", (to_quantity(header.base_fee_wei),)),
                ("evm_setBlockGasLimit", (to_quantity(header.gas_limit),)),
            ]
        )

    async def _read_all_known_state(self) -> None:
        reads: list[Request] = []
        for address, account in self.case.accounts.items():
            at = to_data(address)
            reads.append(("eth_getBalance", (at, "latest")))
            reads += [("eth_getStorageAt", (at, to_quantity(slot), "latest")) for slot in account.storage]
        await self.anvil.rpc.batch(reads)  # what fails stays unread and fails again when a transaction needs it
        self.archive.forget()

    async def _impersonate_blob_senders(self) -> None:
        """No blobs exist here, and anvil takes a type 3 transaction without its sidecar only so."""
        await self._all(
            [
                ("anvil_impersonateAccount", (to_data(transaction.sender),))
                for transaction in self.transactions
                if transaction.type == BLOB_TYPE
            ]
        )

    async def _all(self, requests: Sequence[Request]) -> list[Any]:
        results = await self.anvil.rpc.ordered(requests)
        for (method, _), result in zip(requests, results, strict=True):
            if isinstance(result, RpcError):
                raise result
            if method == "evm_revert" and result is not True:
                raise SetupError("anvil lost the snapshot of the parent state", code="E_SNAPSHOT")
        return results

    def _incomplete(self, dropped: tuple[CaseTransaction, ...]) -> SetupError:
        missing = [unknown_state_text(slot) for slot in self.archive.missing[:_MISSING_SHOWN]]
        more = len(self.archive.missing) - len(missing)
        reason = "; ".join(missing) + (f" and {more} more" if more > 0 else "")
        return SetupError(
            f"block {self.case.number}: anvil left out {len(dropped)} transactions (first: index {dropped[0].index}); "
            + (f"the case lacks {reason}" if reason else "no state was missing, so they did not fit or were invalid"),
            code="E_REPLAY_INCOMPLETE",
            hint="capture the case again, or allow the slots with --assume",
        )


def anvil_prev_randao(parent_hash: Hash32, number: int) -> Hash32:
    """The PREVRANDAO of the block anvil 1.7 mines on this parent: it cannot be set, but it is known."""
    return keccak256(parent_hash + number.to_bytes(8, "little"))
