"""Archived order in real blocks: the block's own transactions as they were, ours where they belong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.devnet.builder import Builder, Ordering, Reason
from agent.devnet.builder.block import BlockMaker
from agent.devnet.builder.bundles import Bundle
from agent.devnet.case import load_case
from agent.devnet.mempool import Mempool
from agent.devnet.pending import PendingTransaction, decode_pending
from agent.devnet.replay import CaseNode
from agent.eth.units import Address
from tests.devnet.world import KEYS, PAYER, PAYER_CODE, sign

pytestmark = [pytest.mark.anvil, pytest.mark.slow]


@asynccontextmanager
async def case_world(mainnet: Path, number: int) -> AsyncIterator[tuple[CaseNode, Builder]]:
    """A case with its transactions in the mempool, and a funded key and a payer contract of ours."""
    case = load_case(mainnet / "public" / f"{number}.json.gz")
    ours = [KEYS[0].address, KEYS[1].address, PAYER]
    async with await CaseNode.start(case, fresh=ours) as node:
        for key in KEYS[:2]:
            await node.plant(key.address, balance_wei=10**20)
        await node.plant(PAYER, code=PAYER_CODE)
        await node.position(None)
        mempool = Mempool()
        for transaction in node.transactions:
            mempool.add(transaction.raw, sender=transaction.sender)
        yield node, Builder(node.anvil, mempool, ordering=Ordering.ARCHIVED, max_transaction_gas=None)


def ours(number: int, *, key: int = 0, value: int = 10**15, gas: int = 60_000) -> PendingTransaction:
    """A payment to the builder that any of the blocks' base fees allows."""
    return sign(KEYS[key], 0, to=PAYER, gas=gas, value=value, tip=1, cap=10**13)


@pytest.mark.parametrize("number", [16146267, 23879620, 24628607])
async def test_a_block_without_bundles_is_the_archived_one(mainnet: Path, number: int) -> None:
    async with case_world(mainnet, number) as (node, builder):
        built = await builder.build(node.env)
        assert [receipt["transactionHash"] for receipt in built.receipts] == [
            "0x" + transaction.hash.hex() for transaction in node.transactions
        ]
        assert built.receipts[-1]["cumulativeGasUsed"] == hex(node.case.header.gas_used)
        assert built.evicted == built.newly_reverted == () and not built.left_out


async def test_a_backrun_in_a_real_block_stands_behind_its_target_and_nothing_else_changes(mainnet: Path) -> None:
    async with case_world(mainnet, 16146267) as (node, builder):
        target = builder.mempool.get(node.transactions[16].hash)
        assert target is not None
        builder.bundles.insert(Bundle(transactions=(target, ours(0)), block_number=16146267))
        builder.bundles.insert(Bundle(transactions=(target, ours(0, key=1, value=2 * 10**15)), block_number=16146267))
        undisturbed = await builder.undisturbed(node.env)
        built = await builder.build(node.env, undisturbed=undisturbed)
        assert len(built.receipts) == len(node.transactions) + 2
        assert [placement.indices for placement in built.placements] == [(16, 17), (16, 18)]
        assert [placement.payment_wei > 2 * 10**15 for placement in built.placements] == [True, False]
        assert built.evicted == built.newly_reverted == ()
        foreign = [receipt for i, receipt in enumerate(built.receipts) if i not in (17, 18)]
        assert [(r["transactionHash"], r["gasUsed"], r["status"]) for r in foreign] == [
            (r["transactionHash"], r["gasUsed"], r["status"]) for r in undisturbed.receipts
        ]


@pytest.mark.parametrize("number", [13217637, 17666333])
async def test_in_a_full_block_the_tail_gives_way_and_is_listed(mainnet: Path, number: int) -> None:
    async with case_world(mainnet, number) as (node, builder):
        target = builder.mempool.get(node.transactions[3].hash)
        assert target is not None
        builder.bundles.insert(Bundle(transactions=(target, ours(0)), block_number=number))
        built = await builder.build(node.env)
        assert built.placements[0].indices == (3, 4)
        mined = {receipt["transactionHash"] for receipt in built.receipts}
        lost = [tx for tx in node.transactions if "0x" + tx.hash.hex() not in mined]
        assert [tx.hash for tx in lost] == list(built.evicted) != []
        assert {pending.hash for pending in builder.mempool} == set(built.evicted)
        used = int(built.receipts[-1]["cumulativeGasUsed"], 16)
        assert used <= node.case.header.gas_limit
        # Gas is reserved by limit: each one evicted did not fit where its turn came, so not at the end either.
        assert all(used + tx_gas > node.case.header.gas_limit for tx_gas in _limits(node, built.evicted))


def _limits(node: CaseNode, hashes: tuple[bytes, ...]) -> list[int]:
    return [decode_pending(tx.raw, sender=tx.sender).gas_limit for tx in node.transactions if tx.hash in hashes]


async def test_a_bundle_that_touches_unknown_state_is_neither_profit_nor_loss(mainnet: Path) -> None:
    """It calls a contract that the case does not hold."""
    async with case_world(mainnet, 24628607) as (node, builder):
        stranger = sign(KEYS[0], 0, to=Address(b"\x17" * 20), gas=60_000, tip=1, cap=10**13)
        builder.bundles.insert(Bundle(transactions=(stranger,), block_number=24628607))
        built = await builder.build(node.env)
        assert [drop.reason for drop in built.drops] == [Reason.STATE_UNKNOWN]
        assert "17" * 20 in built.drops[0].detail
        assert len(built.receipts) == len(node.transactions)


async def test_payments_by_recorded_calls_equal_the_balance_differences(mainnet: Path) -> None:
    """Over transactions of a real block, direct payments to its fee recipient among them."""
    async with case_world(mainnet, 24628607) as (node, builder):
        maker = BlockMaker(node.anvil)
        public = list(builder.mempool)
        block = await maker.make(public, node.env)
        to_proposer = next(i for i, tx in enumerate(public) if tx.sender == node.env.fee_recipient)
        picked = (0, 11, 25, 28, to_proposer)
        hashes = [public[i].hash for i in picked]
        by_calls = await maker.payments_by_calls(block, hashes, node.env)
        assert by_calls == await maker.payments(block, hashes, node.env.fee_recipient)
        direct = [by_calls[h] - maker.fees(block, h, node.env) for h in hashes]
        assert direct[1:4] == [47094659591059, 2437130185215, 110056015801875] and direct[4] < 0


@pytest.mark.parametrize("ordering", [Ordering.PROFIT, Ordering.GAS_PRICE])
async def test_ranked_order_of_real_traffic_accounts_for_each_transaction(mainnet: Path, ordering: Ordering) -> None:
    async with case_world(mainnet, 24628607) as (node, builder):
        builder.ordering = ordering
        target = builder.mempool.get(node.transactions[5].hash)
        assert target is not None
        builder.bundles.insert(Bundle(transactions=(target, ours(0, value=10**18)), block_number=24628607))
        built = await builder.build(node.env)
        (placement,) = built.placements
        assert placement.indices == (placement.indices[0], placement.indices[0] + 1)
        assert placement.payment_wei > 10**18
        mined = {receipt["transactionHash"] for receipt in built.receipts}
        out = {"0x" + transaction_hash.hex() for transaction_hash in built.left_out}
        assert mined.isdisjoint(out)
        assert {"0x" + tx.hash.hex() for tx in node.transactions} <= mined | out
        assert len(mined) > 55
