"""Users of the slice: real swaps that succeed, the same for the same seed, with nonces that follow the chain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from agent.devnet.slice import BASE_FEE_WEI, Traffic
from agent.devnet.slice.design import design_slice
from agent.devnet.slice.market import Market
from agent.eth.hexes import from_quantity, to_data
from agent.eth.transactions import decode_transaction
from tests.devnet.slice.conftest import Planted

START_S = 1_773_173_000


def slots(traffic: Traffic, count: int, *, base_fee_wei: int = BASE_FEE_WEI) -> list[list[bytes]]:
    return [
        [sent.raw for sent in traffic.next_slot(base_fee_wei=base_fee_wei, timestamp_s=START_S + 12 * slot)]
        for slot in range(count)
    ]


@pytest.mark.anvil
async def test_thirty_slots_are_mined_and_nearly_all_swaps_succeed(planted: Planted) -> None:
    traffic = Traffic(planted.world, 11)
    targets: Counter[str] = Counter()
    sent_count = mined = succeeded = 0
    for _ in range(30):
        sent, receipts = await planted.mine_slot(traffic)
        by_hash = {receipt["transactionHash"]: receipt for receipt in receipts}
        sent_count += len(sent)
        for transaction in sent:
            receipt = by_hash.get(to_data(transaction.hash))
            if receipt is not None:
                mined += 1
                succeeded += receipt["status"] == "0x1"
                targets[receipt["to"]] += 1
    assert mined == sent_count > 30 * 8
    assert succeeded * 100 > sent_count * 95
    assert len(targets) == 3 and min(targets.values()) > 20  # both V2 routers and V3's


@pytest.mark.anvil
async def test_the_users_see_the_chain_as_it_is(planted: Planted) -> None:
    traffic = Traffic(planted.world, 3)
    for _ in range(4):
        await planted.mine_slot(traffic)
    moved = 0
    for pool in planted.world.pools:
        reserves = traffic._market.reserves(pool, pool.token0)
        if pool.kind == "v2":
            answer = await planted.view(pool.address, "getReserves()")
            assert reserves == (int.from_bytes(answer[:32], "big"), int.from_bytes(answer[32:64], "big"))
        else:
            price = int.from_bytes((await planted.view(pool.address, "slot0()"))[:32], "big")
            liquidity = int.from_bytes(await planted.view(pool.address, "liquidity()"), "big")
            assert reserves == ((liquidity << 96) // price, liquidity * price >> 96)
        moved += reserves != (pool.virtual0, pool.virtual1)
    assert moved > 20


@pytest.mark.anvil
async def test_whales_move_pools_and_rebalancers_bring_them_back(planted: Planted) -> None:
    traffic = Traffic(planted.world, 5)
    market = traffic._market
    furthest = []
    for _ in range(40):
        await planted.mine_slot(traffic)
        furthest.append(max(abs(market.dearness_bps(pool)) for pool in planted.world.pools))
    assert max(furthest) > 100
    assert max(furthest[20:]) < 450
    assert min(furthest[20:]) < max(furthest[20:])


def test_equal_seeds_give_equal_bytes_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    world = design_slice(2)
    first = slots(Traffic(world, 9), 10)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: pytest.fail("asked for the time"))
    assert slots(Traffic(design_slice(2), 9), 10) == first
    assert slots(Traffic(world, 10), 10) != first


def test_the_order_of_hashes_in_memory_changes_nothing() -> None:
    program = (
        "from agent.devnet.slice import Traffic\n"
        "from agent.devnet.slice.design import design_slice\n"
        "from agent.eth.keccak import keccak256\n"
        "traffic, seen = Traffic(design_slice(2), 9), b''\n"
        "for slot in range(6):\n"
        "    sent = traffic.next_slot(base_fee_wei=10**8, timestamp_s=10**9 + 12 * slot)\n"
        "    seen += b''.join(item.raw for item in sent)\n"
        "    half = [{'transactionHash': '0x' + item.hash.hex(), 'logs': []} for item in sent[::2]]\n"
        "    traffic.settle(half)\n"
        "print(keccak256(seen).hex())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "77")
    }
    assert len(digests) == 1


def test_nobody_sends_twice_in_a_slot_and_nonces_have_no_gap() -> None:
    world = design_slice(2)
    next_nonce: Counter[bytes] = Counter()
    for batch in slots(Traffic(world, 1), 25):
        senders = []
        for raw in batch:
            transaction = decode_transaction(raw)
            senders.append(transaction.sender)
            assert transaction.chain_id == 1
            assert transaction.nonce == next_nonce[transaction.sender]
            next_nonce[transaction.sender] += 1
        assert len(set(senders)) == len(senders)
    assert {user.address for user in world.users} >= next_nonce.keys()
    assert sum(next_nonce.values()) > 200


def test_fees_cover_the_base_fee_and_dear_blocks_draw_fewer_users() -> None:
    world = design_slice(2)
    cheap = slots(Traffic(world, 4), 10)
    dear = slots(Traffic(world, 4), 10, base_fee_wei=100 * BASE_FEE_WEI)
    assert sum(map(len, dear)) < sum(map(len, cheap))
    for batch in dear:
        for raw in batch:
            transaction = decode_transaction(raw)
            assert transaction.max_fee_wei >= 100 * BASE_FEE_WEI + transaction.max_priority_fee_wei


def test_who_is_left_out_of_the_block_waits_and_then_outbids_himself() -> None:
    world = design_slice(2)
    traffic = Traffic(world, 6)
    first = traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S)
    left_out = {decode_transaction(sent.raw).sender: decode_transaction(sent.raw) for sent in first}
    traffic.settle([])
    for slot in range(1, 5):
        for sent in traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S + 12 * slot):
            assert decode_transaction(sent.raw).sender not in left_out
    seen = 0
    for slot in range(40, 60):  # their deadline has passed
        for sent in traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S + 12 * slot):
            transaction = decode_transaction(sent.raw)
            if (old := left_out.pop(transaction.sender, None)) is not None:
                assert transaction.nonce == old.nonce
                assert transaction.max_fee_wei * 10 >= old.max_fee_wei * 11
                assert transaction.max_priority_fee_wei * 10 >= old.max_priority_fee_wei * 11
                seen += 1
    assert seen > 5


def test_a_late_inclusion_moves_the_nonce_on() -> None:
    world = design_slice(2)
    traffic = Traffic(world, 6)
    first = traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S)
    late = decode_transaction(first[0].raw)
    traffic.settle([])
    traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S + 12)
    traffic.settle([{"transactionHash": to_data(late.hash), "logs": []}])
    for slot in range(2, 40):
        for sent in traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S + 12 * slot):
            transaction = decode_transaction(sent.raw)
            if transaction.sender == late.sender:
                assert transaction.nonce == late.nonce + 1
                return
    pytest.fail("the user never came again")


def test_one_users_absence_changes_nobody_elses_wish() -> None:
    """The others come in the same order to the same routers; only rebalancers, who look at prices, may do otherwise."""
    world = design_slice(2)
    steady, disturbed = Traffic(world, 8), Traffic(world, 8)
    first = steady.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S)
    disturbed.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S)
    steady.settle([{"transactionHash": to_data(sent.hash), "logs": []} for sent in first])
    absent = decode_transaction(first[0].raw).sender
    disturbed.settle([{"transactionHash": to_data(sent.hash), "logs": []} for sent in first[1:]])

    def wishes(traffic: Traffic) -> list[tuple[bytes, bytes | None]]:
        found = []
        for slot in range(1, 8):
            for sent in traffic.next_slot(base_fee_wei=BASE_FEE_WEI, timestamp_s=START_S + 12 * slot):
                transaction = decode_transaction(sent.raw)
                if transaction.sender != absent:
                    found.append((transaction.sender, transaction.to))
        return found

    expected, found = wishes(steady), wishes(disturbed)
    assert sum((Counter(expected) & Counter(found)).values()) * 100 > 95 * max(len(expected), len(found))


def test_a_guess_that_the_chain_does_not_confirm_is_forgotten() -> None:
    world = design_slice(2)
    market = Market(world)
    pool = world.pools[0]
    before = market.reserves(pool, pool.token0)
    market.guess_swap(pool, pool.token0, before[0] // 100)
    assert market.reserves(pool, pool.token0) != before
    market.confirm([])
    assert market.reserves(pool, pool.token0) == before


@pytest.mark.anvil
async def test_the_base_fee_keeps_its_place(planted: Planted) -> None:
    traffic = Traffic(planted.world, 2)
    for _ in range(40):
        await planted.mine_slot(traffic)
    head = await planted.anvil.call("eth_getBlockByNumber", "latest", False)
    assert BASE_FEE_WEI // 3 < from_quantity(head["baseFeePerGas"]) < 3 * BASE_FEE_WEI
