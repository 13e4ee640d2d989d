"""Landing places, rivals and what they paid, on made-up blocks."""

from __future__ import annotations

from typing import Any

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
