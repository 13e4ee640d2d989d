"""Landing places, rivals and what they paid, on made-up blocks."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import ProtocolError
from agent.eth.keccak import keccak256
from agent.eth.receipts import ReceiptLog
from agent.eth.units import Address, Hash32
from agent.venues.onchain.outcomes import Landing
from agent.venues.onchain.tracker import (
    MinedBlock,
    MinedTransaction,
    Payment,
    PoolKey,
    find_rival,
    landings,
    mined_block_from_rpc,
)

BUILDER = Address(bytes([0xB]) * 20)
POOL = Address(bytes([0xA]) * 20)
MANAGER = Address(bytes([0xC]) * 20)
POOL_ID = keccak256(b"id")
SYNC = keccak256(b"Sync(uint112,uint112)")
SWAP = keccak256(b"Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
TRANSFER = keccak256(b"Transfer(address,address,uint256)")


def name(text: str) -> Hash32:
    return keccak256(text.encode())


def mined(text: str, index: int, *logs: ReceiptLog, **fields: Any) -> MinedTransaction:
    standing: dict[str, Any] = {
        "sender": Address(keccak256(text[0].encode())[:20]),
        "to": MANAGER,
        "value_wei": 0,
        "gas_used": 100_000,
        "priority_fee_wei": 3,
        "is_success": True,
    }
    return MinedTransaction(hash=name(text), index=index, logs=logs, **{**standing, **fields})


def block(*transactions: MinedTransaction) -> MinedBlock:
    return MinedBlock(100, name("block"), BUILDER, 7, 1, 30_000_000, 1, transactions)


MOVES_POOL = ReceiptLog(POOL, (SYNC,), b"")


def test_each_transaction_is_found_where_it_stands() -> None:
    one = block(mined("a", 0), mined("b", 1, is_success=False))
    wanted = [name("b"), name("x"), name("a")]
    assert landings(one, wanted) == (Landing(100, 1, False), None, Landing(100, 0, True))


def test_the_rival_is_the_first_behind_the_target_that_moved_a_pool() -> None:
    one = block(
        mined("before", 0, MOVES_POOL), mined("target", 1, MOVES_POOL), mined("other", 2),
        mined("rival", 3, MOVES_POOL), mined("later", 4, MOVES_POOL),
    )  # fmt: skip
    rival = find_rival(one, pools={PoolKey(POOL)}, ours=set(), target=name("target"))
    assert rival and (rival.transaction, rival.index) == (name("rival"), 3)
    assert rival.payment == Payment(300_000, 0, None) and rival.payment.paid_wei == 300_000


def test_who_moved_fewer_pools_than_asked_is_no_rival() -> None:
    other = ReceiptLog(MANAGER, (SWAP, POOL_ID), b"")
    one = block(mined("a", 0, MOVES_POOL, MOVES_POOL), mined("b", 1, MOVES_POOL, other))
    pools = {PoolKey(POOL), PoolKey(MANAGER, POOL_ID)}
    rival = find_rival(one, pools=pools, ours=set(), target=None, least_pools=2)
    assert rival and rival.index == 1 and set(rival.pools) == pools


def test_for_a_head_the_whole_block_counts_and_our_own_never() -> None:
    one = block(mined("ours", 0, MOVES_POOL), mined("rival", 1, MOVES_POOL))
    rival = find_rival(one, pools={PoolKey(POOL)}, ours={name("ours")}, target=None)
    assert rival and rival.index == 1


def test_without_the_target_in_the_block_there_is_no_rival() -> None:
    one = block(mined("rival", 0, MOVES_POOL))
    assert find_rival(one, pools={PoolKey(POOL)}, ours=set(), target=name("target")) is None


def test_share_tokens_of_a_pool_moving_is_no_move_of_the_pool() -> None:
    one = block(mined("a", 0, ReceiptLog(POOL, (TRANSFER, name("x"), name("y")), b""), ReceiptLog(POOL, (), b"")))
    assert find_rival(one, pools={PoolKey(POOL)}, ours=set(), target=None) is None


def test_pools_of_one_contract_are_told_apart_by_their_id() -> None:
    one = block(
        mined("a", 0, ReceiptLog(MANAGER, (SWAP, name("other id")), b"")),
        mined("b", 1, ReceiptLog(MANAGER, (SWAP, POOL_ID), b"")),
    )
    key = PoolKey(MANAGER, POOL_ID)
    rival = find_rival(one, pools={key}, ours=set(), target=None)
    assert rival and rival.index == 1 and rival.pools == (key,)


def test_transfers_to_the_builder_behind_the_rival_are_part_of_its_price() -> None:
    one = block(
        mined("r1", 0, MOVES_POOL),
        mined("r2", 1, to=BUILDER, value_wei=1_000, gas_used=21_000, priority_fee_wei=0),
        mined("r3", 2, to=BUILDER, value_wei=500, gas_used=21_000, priority_fee_wei=0, is_success=False),
        mined("z", 3, to=BUILDER, value_wei=9),
    )
    rival = find_rival(one, pools={PoolKey(POOL)}, ours=set(), target=None, inside_payments_wei={name("r1"): 40})
    assert rival and rival.payment == Payment(300_000, 1_000, 40)
    assert rival.payment.paid_wei == 301_040
    untraced = find_rival(one, pools={PoolKey(POOL)}, ours=set(), target=None)
    assert untraced and untraced.payment.inside_wei is None


def objects() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block and its receipt as a node gives them."""
    shared = {"hash": "0x" + "11" * 32, "from": "0x" + "22" * 20, "to": None, "value": "0x5"}
    header = {"number": "0x64", "hash": "0x" + "33" * 32, "miner": "0x" + "0b" * 20, "baseFeePerGas": "0x7"}
    block_object = {**header, "timestamp": "0x1", "gasLimit": "0x10", "gasUsed": "0x8", "transactions": [shared]}
    receipt = {
        "transactionHash": shared["hash"], "type": "0x2", "status": "0x0", "cumulativeGasUsed": "0x8",
        "gasUsed": "0x8", "effectiveGasPrice": "0xa", "logs": [],
    }  # fmt: skip
    return block_object, [receipt]


def test_a_nodes_block_is_read_with_the_price_that_was_paid() -> None:
    one = mined_block_from_rpc(*objects())
    (transaction,) = one.transactions
    assert (transaction.priority_fee_wei, transaction.gas_used, transaction.is_success) == (3, 8, False)
    assert (one.fee_recipient, one.number, transaction.to) == (BUILDER, 100, None)


def test_half_a_block_tells_nothing() -> None:
    block_object, receipts = objects()
    for broken in (
        (block_object, []),
        (block_object, [{**receipts[0], "transactionHash": "0x" + "44" * 32}]),
        ({**block_object, "baseFeePerGas": None}, receipts),
        (block_object, [{**receipts[0], "effectiveGasPrice": 5}]),
        ({}, []),
    ):
        with pytest.raises(ProtocolError):
            mined_block_from_rpc(*broken)
