"""A case as a world for the agent: the forked node with our executor planted, its pools, and the block's moments.

A moment is the state right after one transaction of the block (or the parent's own); the pool sets of all moments
follow from the logs of the block as it was replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agent.chain.discovery import PoolRecord, identify
from agent.chain.pools import differing, load_pools
from agent.devnet.case import Case
from agent.devnet.identities import Identities, devnet_identities
from agent.devnet.mainnet import START_TOKENS, WETH
from agent.devnet.replay import CaseNode, Replay
from agent.dex.pool import LeftOut, Log
from agent.dex.pool_set import PoolSet
from agent.engine.executor import Executor
from agent.engine.proving import prove_pools
from agent.engine.result import Rival
from agent.errors import SetupError
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.units import WEI_PER_ETHER, Address, Hash32
from agent.sim.node import NodeSimulator
from agent.sim.pool_probe import Prober
from agent.sim.simulator import Slot
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, runtime_code_hash, storage
from agent.venues.onchain.tracker import MinedBlock, MinedTransaction, PoolKey, find_rival

OPERATOR_BALANCE_WEI = 100 * WEI_PER_ETHER
DUST = 1
"""What executor and vault hold of each start token: a slot that is not zero costs 17,000 gas less to write."""


class Moment(msgspec.Struct, frozen=True):
    """The pools right after transaction `after_index` (None: the parent), and what that transaction moved."""

    after_index: int | None
    transaction: Hash32 | None
    pools: PoolSet
    touched: frozenset[Address]


class CaseWorld:
    """Open with `CaseWorld.open`, end with `close`."""

    def __init__(self, *, node: CaseNode, identities: Identities, executor: Executor) -> None:
        self.node = node
        self.identities = identities
        self.executor = executor
        self.records: list[PoolRecord] = []
        self.left_out: list[LeftOut] = []
        self.warnings: list[str] = []
        """What a reader of any figure from this world should know."""
        self.known = 0
        self.pools = PoolSet()
        self.replay: Replay | None = None

    @property
    def case(self) -> Case:
        return self.node.case

    @classmethod
    async def open(
        cls, case: Case, *, assume: Iterable[Slot] = (), leave_out: Iterable[Hash32] = (), seed: int = 0
    ) -> CaseWorld:
        """Fork, replay, find and read the pools, plant the executor with these pools on its owner's list."""
        identities = devnet_identities(seed=seed)
        holders = (identities.executor, identities.vault)
        node = await CaseNode.start(case, fresh=identities.addresses, holders=holders, leave_out=leave_out)
        try:
            build = load_build(build_for_fork(case.hardfork))
            executor = Executor(
                address=identities.executor,
                build=build.name,
                code_hash=runtime_code_hash(build, weth=WETH),
                vault=identities.vault,
                weth=WETH,
                operators=tuple(key.address for key in identities.operators),
            )
            world = cls(node=node, identities=identities, executor=executor)
            await node.plant(identities.probe, balance_wei=OPERATOR_BALANCE_WEI)
            await world._find_pools()
            await world._plant_executor(runtime_code(build, weth=WETH))
            world.replay = await node.replay()
            await world._leave_out_unfollowed()
            return world
        except BaseException:
            await node.stop()
            raise

    async def close(self) -> None:
        await self.node.stop()

    @property
    def unproved(self) -> frozenset[Address]:
        """Pools of no known factory whose fee no probe has proved either."""
        return frozenset(record.address for record in self.records if not record.is_proved)

    async def _find_pools(self) -> None:
        contracts = [address for address in self.case.accounts if self.case.code_of(address)]
        rpc, probe = self.node.anvil.rpc, self.identities.probe
        found, unreadable = await identify(rpc, contracts, sender=probe)
        prober = Prober(NodeSimulator(rpc), self.node.env, probe=probe)
        proving = await prove_pools(prober, found, trusted={token.address for token in START_TOKENS})
        self.records, self.warnings = proving.records, proving.warnings
        pools, unloadable = await load_pools(rpc, self.records, sender=probe)
        self.known = len(found)
        self.left_out = [*unreadable, *proving.left_out, *unloadable]
        self.pools = PoolSet(pools)

    async def _leave_out_unfollowed(self) -> None:
        """Pools that moved in the block without an event that we read: every later state of theirs is a guess."""
        stale = await differing(self.node.anvil.rpc, self.moments()[-1].pools, sender=self.identities.probe)
        if stale:
            self.left_out += stale
            self.pools = self.pools.without(one.pool for one in stale)

    async def _plant_executor(self, code: bytes) -> None:
        ours = self.identities
        for operator in ours.operators:
            await self.node.plant(operator.address, balance_wei=OPERATOR_BALANCE_WEI)
        slots = storage(
            owner=ours.owner.address,
            operators=self.executor.operators,
            guardian=ours.guardian.address,
            vault=ours.vault,
            tokens=[token.address for token in START_TOKENS],
            pools=[record.address for record in self.records],
        )
        await self.node.plant(ours.executor, code=code, storage=slots)
        for token in START_TOKENS:
            if not self.case.code_of(token.address):
                continue
            dust = {
                int.from_bytes(keccak256(holder.rjust(32, b"\0") + token.balance_slot.to_bytes(32, "big")), "big"): DUST
                for holder in (ours.executor, ours.vault)
            }
            await self.node.plant(token.address, storage=dust)

    def moments(self) -> list[Moment]:
        """The parent, then one for each transaction that moved a pool we know, in block order."""
        if self.replay is None:
            raise SetupError("the block was not replayed")
        moments = [Moment(None, None, self.pools, frozenset())]
        pools = self.pools
        for transaction, receipt in zip(self.replay.transactions, self.replay.rpc_receipts, strict=True):
            pools, touched = pools.apply(logs_of(receipt))
            if touched:
                moments.append(Moment(transaction.index, transaction.hash, pools, touched))
        return moments

    def archived_block(self) -> MinedBlock:
        """The block as it was, for finding who took what."""
        assert self.replay is not None, "the block was replayed when the world was opened"
        header = self.case.header
        rows = zip(self.replay.transactions, self.replay.rpc_receipts, self.replay.receipts, strict=True)
        return MinedBlock(
            number=header.number,
            hash=header.hash,
            fee_recipient=header.fee_recipient,
            base_fee_wei=header.base_fee_wei,
            timestamp_s=header.timestamp,
            gas_limit=header.gas_limit,
            gas_used=header.gas_used,
            transactions=tuple(
                MinedTransaction(
                    hash=transaction.hash,
                    index=position,
                    sender=transaction.sender,
                    to=transaction.to,
                    value_wei=from_quantity(transaction.rpc["value"]),
                    gas_used=from_quantity(row["gasUsed"]),
                    priority_fee_wei=from_quantity(row["effectiveGasPrice"]) - header.base_fee_wei,
                    is_success=receipt.is_success,
                    logs=receipt.logs,
                )
                for position, (transaction, row, receipt) in enumerate(rows)
            ),
        )

    async def rivals(self, wanted: Sequence[tuple[Sequence[Address], Hash32 | None]]) -> list[Rival | None]:
        """For each (pools of a cycle, target): the first transaction behind the target that moved two of the pools.

        Its index is the archived block's own, whatever was left out. What it paid is what the fee recipient's
        balance gained by it, fees and transfers from within alike.
        """
        block = self.archived_block()
        found = [
            find_rival(block, pools=[PoolKey(pool) for pool in pools], ours=(), target=target, least_pools=2)
            for pools, target in wanted
        ]
        paid = await self._paid({rival.transaction for rival in found if rival is not None})
        indices = {transaction.hash: transaction.index for transaction in self.case.transactions}
        return [
            None
            if rival is None
            else Rival(to_data(rival.transaction), indices[rival.transaction], paid[rival.transaction])
            for rival in found
        ]

    async def _paid(self, hashes: set[Hash32]) -> dict[Hash32, int]:
        if not hashes:
            return {}
        await self.node.position(self.node.transactions[-1].index)
        recipient = to_data(self.case.header.fee_recipient)
        paid: dict[Hash32, int] = {}
        for transaction in sorted(hashes):
            tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
            diff = await self.node.anvil.call("debug_traceTransaction", to_data(transaction), tracer)
            before = diff["pre"].get(recipient, {}).get("balance", "0x0")
            after = diff["post"].get(recipient, {}).get("balance", before)
            paid[transaction] = from_quantity(after) - from_quantity(before)
        return paid


def logs_of(receipt: dict[str, Any]) -> list[Log]:
    """A receipt's events as pools read them."""
    return [
        Log(
            Address(from_data(log["address"])),
            tuple(from_data(topic) for topic in log["topics"]),
            from_data(log["data"]),
        )
        for log in receipt["logs"]
    ]
