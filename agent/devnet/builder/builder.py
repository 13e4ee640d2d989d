"""The devnet's block builder: mempool and private order flow in, one block on anvil out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import msgspec

from agent.chain.jsonrpc import RpcError
from agent.devnet.anvil import Anvil
from agent.devnet.builder.archived import build_archived
from agent.devnet.builder.block import BlockMaker, MinedBlock
from agent.devnet.builder.bundles import Bundle, BundlePool
from agent.devnet.builder.outcome import BuiltBlock, Drop
from agent.devnet.builder.ranked import build_ranked
from agent.devnet.builder.rules import LOSSES, MAX_TRANSACTION_GAS, Ordering, Reason, Winner, check_target
from agent.devnet.builder.simulate import SimulatedTransaction, simulate_at, simulate_next
from agent.devnet.mempool import Mempool
from agent.devnet.pending import PendingTransaction
from agent.errors import Rejected
from agent.eth.fees import next_base_fee
from agent.eth.hexes import from_quantity, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import SLOT_S, Address, Gas, Wei
from agent.sim.simulator import BlockEnv

REMEMBERED_BLOCKS = 64
"""Reorgs deeper than this publish only what the last of these blocks held."""
OTHER_FEE_RECIPIENT = Address(keccak256(b"mev-agent devnet other builder")[12:])
DEVNET_FEE_RECIPIENT = Address(keccak256(b"mev-agent devnet builder")[12:])
"""Where payments go when the world names nobody; no key to it is known."""


class Builder:
    """Builds blocks on one anvil, which nobody else may mine or send to.

    `lock` is held while the node stands on trial blocks: whoever reads through the devnet's front waits for it, so
    that no reader ever sees a block that is taken back.
    `max_transaction_gas` is None before Osaka; anvil 1.7 does not hold that limit itself.
    """

    def __init__(
        self,
        anvil: Anvil,
        mempool: Mempool,
        *,
        ordering: Ordering,
        bundles: BundlePool | None = None,
        blocked: frozenset[Address] = frozenset(),
        max_transaction_gas: int | None = MAX_TRANSACTION_GAS,
        fee_recipient: Address = DEVNET_FEE_RECIPIENT,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.anvil = anvil
        self.mempool = mempool
        self.bundles = BundlePool(clock_ns) if bundles is None else bundles
        self.ordering = ordering
        self.fee_recipient = fee_recipient
        self.lock = asyncio.Lock()
        self.next_env: BlockEnv | None = None
        """The block being built, where the world knows more than what follows from the head."""
        self._blocked = blocked
        self._max_transaction_gas = max_transaction_gas
        self._maker = BlockMaker(anvil)
        self._missed_slots = 0
        self._recent: dict[int, list[PendingTransaction]] = {}
        self._on_block: list[Callable[[BuiltBlock], None]] = []

    def on_block(self, callback: Callable[[BuiltBlock], None]) -> None:
        """Call back with each block once it stands."""
        self._on_block.append(callback)

    async def build(
        self,
        env: BlockEnv | None = None,
        *,
        undisturbed: MinedBlock | None = None,
        winner: Winner = Winner.OURS,
    ) -> BuiltBlock:
        """Build the next block of mempool and bundles, and keep it.

        `env` None: the world's own next block, else twelve seconds after the head. `undisturbed` spares, in archived
        order, the execution of the block without bundles. Another `winner` makes a block without our bundles, paid
        to somebody else.
        """
        async with self.lock:
            if env is None:
                env = await self._upcoming()
            public = list(self.mempool) if winner is not Winner.EMPTY else []
            ready, drops = self._eligible(env)
            if winner is not Winner.OURS:
                drops += [Drop(bundle, LOSSES[winner], f"block {env.number} is not ours") for bundle in ready]
                ready = []
                env = msgspec.structs.replace(env, fee_recipient=OTHER_FEE_RECIPIENT)
            if self.ordering is Ordering.ARCHIVED:
                built, mined = await build_archived(
                    self._maker, env, public=public, bundles=ready, undisturbed=undisturbed
                )
            else:
                cap = self._max_transaction_gas or env.gas_limit
                above = {tx.hash: f"gas limit {tx.gas_limit} above {cap}" for tx in public if tx.gas_limit > cap}
                public = [transaction for transaction in public if transaction.hash not in above]
                nonces = await self._nonces(public, ready)
                built, mined = await build_ranked(
                    self._maker, env, ordering=self.ordering, public=public, bundles=ready, nonces=nonces
                )
                built = msgspec.structs.replace(built, left_out={**above, **built.left_out})
            self.next_env = None
            self._missed_slots = 0
        built = msgspec.structs.replace(built, drops=(*drops, *built.drops))
        self._remember(built.number, self._settle(built, mined, public))
        for callback in self._on_block:
            callback(built)
        return built

    async def simulate(
        self, transactions: Sequence[PendingTransaction], env: BlockEnv, *, state_block: int | None = None
    ) -> list[SimulatedTransaction]:
        """What these would do, alone, on the state after `state_block` (None: the head).

        Rejected, with the reason in the relay's words, if one of them cannot be executed at all.
        """
        async with self.lock:
            head = from_quantity(await self.anvil.call("eth_blockNumber"))
            if state_block in (None, head) and env.number == head + 1:
                return await simulate_next(self._maker, self.anvil, transactions, env)
            return await simulate_at(
                self.anvil, transactions, env, state_block=head if state_block is None else state_block
            )

    def miss_slot(self) -> None:
        """No block in this slot: the next one has the same number and comes twelve seconds later."""
        self._missed_slots += 1

    async def reorg(self, depth: int) -> None:
        """Take the last blocks off the chain. Whatever was in them is public now, bundles included."""
        async with self.lock:
            await self.anvil.call("anvil_rollback", depth)
            head = from_quantity(await self.anvil.call("eth_blockNumber"))
            await self.anvil.call("anvil_dropAllTransactions")
        for number in [number for number in self._recent if number > head]:
            for transaction in self._recent.pop(number):
                with contextlib.suppress(Rejected):  # a rival for the nonce that pays more is held already
                    self.mempool.add(transaction.raw, sender=transaction.sender)

    async def undisturbed(self, env: BlockEnv) -> MinedBlock:
        """The block as the mempool alone makes it, taken back again: what `build` compares with."""
        async with self.lock:
            block = await self._maker.make(list(self.mempool), env)
            await self._maker.undo(block)
            return block

    async def upcoming(self) -> BlockEnv:
        """The block after the head: the world's word for it, or a slot later with the exact base fee."""
        if self.next_env is not None:
            return self.next_env
        async with self.lock:
            return await self._upcoming()

    async def env_after(self, block: int) -> BlockEnv:
        """The child of a block, one slot later: number, time and base fee follow from its header."""
        async with self.lock:
            return await self._env_after(to_quantity(block))

    async def _upcoming(self) -> BlockEnv:
        return self.next_env if self.next_env is not None else await self._env_after("latest")

    async def _env_after(self, tag: str) -> BlockEnv:
        head = await self.anvil.call("eth_getBlockByNumber", tag, False)
        if head is None:
            raise Rejected("header not found", method="eth_callBundle")
        limit, fee = from_quantity(head["gasLimit"]), from_quantity(head["baseFeePerGas"])
        return BlockEnv(
            number=from_quantity(head["number"]) + 1,
            timestamp=from_quantity(head["timestamp"]) + SLOT_S * (1 + self._missed_slots),
            base_fee_wei=next_base_fee(Wei(fee), gas_used=Gas(from_quantity(head["gasUsed"])), gas_limit=Gas(limit)),
            fee_recipient=self.fee_recipient,
            gas_limit=limit,
            prev_randao=from_quantity(head["hash"]),
        )

    def _eligible(self, env: BlockEnv) -> tuple[list[Bundle], list[Drop]]:
        """Bundles that may go into this block, and those that it turns away at the door."""
        ready, drops = [], []
        for bundle in self.bundles.candidates(env.number):
            reason = check_target(
                bundle_block=bundle.block_number,
                min_timestamp=bundle.min_timestamp,
                max_timestamp=bundle.max_timestamp,
                block=env.number,
                timestamp=env.timestamp,
            )
            detail = f"block {env.number} at {env.timestamp}"
            named = {address for tx in bundle.transactions for address in (tx.sender, tx.to) if address is not None}
            if reason is None and (hit := named & self._blocked):
                reason, detail = Reason.BLOCKED_ADDRESS, to_data(min(hit))
            largest = max(transaction.gas_limit for transaction in bundle.transactions)
            if reason is None and self._max_transaction_gas and largest > self._max_transaction_gas:
                reason, detail = Reason.INVALID_TRANSACTION, f"gas limit {largest} above {self._max_transaction_gas}"
            if reason is None and largest > env.gas_limit and not (bundle.reverting or bundle.dropping):
                reason, detail = Reason.GAS_LEFT, f"gas limit {largest} does not fit {env.gas_limit}"
            if reason is None:
                ready.append(bundle)
            else:
                drops.append(Drop(bundle, reason, detail))
        return ready, drops

    async def _nonces(self, public: Sequence[PendingTransaction], bundles: Sequence[Bundle]) -> dict[Address, int]:
        senders = sorted({tx.sender for tx in public} | {tx.sender for bundle in bundles for tx in bundle.transactions})
        answers = await self.anvil.rpc.batch(
            [("eth_getTransactionCount", (to_data(sender), "latest")) for sender in senders]
        )
        nonces = {}
        for sender, answer in zip(senders, answers, strict=True):
            if not isinstance(answer, RpcError):  # unknown to the archive: its transactions fail by themselves
                nonces[sender] = from_quantity(answer)
        return nonces

    def _settle(
        self, built: BuiltBlock, mined: MinedBlock, public: Sequence[PendingTransaction]
    ) -> list[PendingTransaction]:
        in_block = [tx for tx in public if tx.hash in mined.index_by_hash]
        for placement in built.placements:
            self.bundles.record_included(
                placement.bundle,
                block_number=built.number,
                indices=placement.indices,
                dropped=placement.dropped,
                payment_wei=placement.payment_wei,
            )
            in_block += [tx for tx in placement.bundle.transactions if tx.hash in mined.index_by_hash]
        for drop in built.drops:
            self.bundles.record(drop.bundle, block_number=built.number, reason=drop.reason, detail=drop.detail)
        self.mempool.drop_mined(in_block)
        return in_block

    def _remember(self, number: int, transactions: list[PendingTransaction]) -> None:
        self._recent[number] = transactions
        while len(self._recent) > REMEMBERED_BLOCKS:
            del self._recent[next(iter(self._recent))]
