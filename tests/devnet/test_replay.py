"""Cases as running chains: every block replays to its receipts root, and nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.devnet.case import Case, load_case
from agent.devnet.refunds import add_undue_refunds
from agent.devnet.replay import CaseNode
from agent.errors import ConfigError, SetupError, UsageError
from agent.eth.keccak import keccak256
from agent.eth.receipts import receipt_from_rpc
from agent.eth.units import Address
from agent.sim.simulator import Slot
from tests.devnet.test_case import BLOCKS

pytestmark = pytest.mark.anvil

SMALL = 24628607
WITH_UNDUE_REFUNDS = 24647140
OURS = Address(keccak256(b"an address of ours")[12:])


@pytest.fixture(scope="session")
def small(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / f"{SMALL}.json.gz")


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
async def test_the_block_replays_to_its_receipts_root(mainnet: Path, block: int) -> None:
    case = load_case(mainnet / "public" / f"{block}.json.gz")
    async with await CaseNode.start(case) as node:
        replay = await node.replay()
        assert node.archive.missing == ()
    assert replay.is_proved
    assert [tx.hash for tx in replay.transactions] == [tx.hash for tx in case.transactions]
    if block == WITH_UNDUE_REFUNDS:
        assert not replay.is_exact
        assert replay.gas_corrections == ((25, 12_500), (26, 12_500), (29, 12_500))
        assert replay.receipts[-1].cumulative_gas_used == case.header.gas_used - 37_500
        spoilt = msgspec.structs.replace(replay.receipts[3], is_success=not replay.receipts[3].is_success)
        assert add_undue_refunds(case, (*replay.receipts[:3], spoilt, *replay.receipts[4:])) is None
    else:
        assert replay.is_exact
        assert replay.receipts_root == case.header.receipts_root
        assert replay.receipts[-1].cumulative_gas_used == case.header.gas_used


async def test_it_stands_at_any_prefix_and_comes_back(small: Case) -> None:
    async with await CaseNode.start(small) as node:
        whole = await node.replay()
        for index in (10, 3, 40, 3):
            await node.position(index)
            assert node.after_index == index
            rows = await node.block_receipts()
            assert tuple(receipt_from_rpc(row) for row in rows) == whole.receipts[: index + 1]
            block = await node.anvil.call("eth_getBlockByNumber", "latest", False)
            assert int(block["number"], 16) == small.number
            assert int(block["timestamp"], 16) == small.header.timestamp
            assert int(block["baseFeePerGas"], 16) == small.header.base_fee_wei
            assert int(block["gasLimit"], 16) == small.header.gas_limit
            assert block["miner"] == "0x" + small.header.fee_recipient.hex()
            assert int(block["mixHash"], 16) == node.env.prev_randao != 0
        await node.position(None)
        assert int(await node.anvil.call("eth_blockNumber"), 16) == small.parent.number
        assert (await node.replay()).is_exact


async def test_what_others_left_in_the_nodes_pool_gets_into_no_block(small: Case) -> None:
    async with await CaseNode.start(small) as node:
        for transaction in small.transactions[5:9]:
            await node.anvil.call("eth_sendRawTransaction", "0x" + transaction.raw.hex())
        await node.position(3)
        rows = await node.block_receipts()
        assert [row["transactionHash"] for row in rows] == ["0x" + tx.hash.hex() for tx in small.transactions[:4]]


async def test_a_position_outside_the_block_is_refused(small: Case) -> None:
    async with await CaseNode.start(small) as node:
        for index in (-1, len(small.transactions)):
            with pytest.raises(UsageError, match=str(SMALL)):
                await node.position(index)


async def test_state_of_ours_is_planted_in_the_parent_and_stays_at_every_position(small: Case) -> None:
    async with await CaseNode.start(small, fresh=[OURS]) as node:
        await node.position(2)
        await node.plant(OURS, code=b"\x60\x01", storage={7: 9}, balance_wei=10**18, nonce=1)
        at = "0x" + OURS.hex()
        for index in (None, 5, None):
            await node.position(index)
            assert await node.anvil.call("eth_getCode", at, "latest") == "0x6001"
            assert int(await node.anvil.call("eth_getStorageAt", at, "0x7", "latest"), 16) == 9
            assert int(await node.anvil.call("eth_getStorageAt", at, "0x8", "latest"), 16) == 0
            assert int(await node.anvil.call("eth_getBalance", at, "latest"), 16) == 10**18
        assert (await node.replay()).is_exact


def _without(case: Case, slot: Slot) -> Case:
    account = case.accounts[slot.address]
    storage = {key: value for key, value in account.storage.items() if key != slot.slot}
    return msgspec.structs.replace(
        case, accounts=case.accounts | {slot.address: msgspec.structs.replace(account, storage=storage)}
    )


def _a_slot_that_matters(case: Case) -> Slot:
    """Reserves of a V2 pair that traded: slot 8 of a contract that keeps both tokens in 6 and 7."""
    for address, account in case.accounts.items():
        if {6, 7, 8} <= account.storage.keys() and account.storage[8] >> 224:
            return Slot(address, 8)
    raise AssertionError("no pair in this case")


async def test_a_missing_slot_is_an_error_that_names_it(mainnet: Path) -> None:
    case = load_case(mainnet / "public" / "19933597.json.gz")
    slot = _a_slot_that_matters(case)
    async with await CaseNode.start(_without(case, slot)) as node:
        with pytest.raises(SetupError) as caught:
            await node.replay()
    assert f"account 0x{slot.address.hex()} slot 0x8" in caught.value.message
    assert "left out" in caught.value.message


async def test_a_missing_account_is_an_error_that_names_it(small: Case) -> None:
    victim = small.transactions[5].to
    assert victim is not None
    accounts = {address: account for address, account in small.accounts.items() if address != victim}
    async with await CaseNode.start(msgspec.structs.replace(small, accounts=accounts)) as node:
        with pytest.raises(SetupError, match=f"account 0x{victim.hex()}"):
            await node.replay()


async def test_an_assumed_slot_lets_the_block_go_on_and_is_listed(mainnet: Path) -> None:
    case = load_case(mainnet / "public" / "19933597.json.gz")
    slot = _a_slot_that_matters(case)
    async with await CaseNode.start(_without(case, slot), assume=[slot]) as node:
        replay = await node.replay()
        assert not replay.is_proved, "zero reserves cannot give the same receipts"
        assert node.archive.assumed == (slot,)


async def test_a_changed_value_is_seen_in_the_receipts_root(small: Case) -> None:
    slot = _a_slot_that_matters(small)
    account = small.accounts[slot.address]
    changed = account.storage | {8: account.storage[8] + 1}
    accounts = small.accounts | {slot.address: msgspec.structs.replace(account, storage=changed)}
    async with await CaseNode.start(msgspec.structs.replace(small, accounts=accounts)) as node:
        assert not (await node.replay()).is_proved


async def test_a_left_out_transaction_is_gone_with_the_later_ones_of_its_sender(small: Case) -> None:
    senders = [tx.sender for tx in small.transactions]
    first = next(tx for tx in small.transactions if senders.count(tx.sender) > 1)
    async with await CaseNode.start(small, leave_out=[first.hash]) as node:
        assert {tx.sender for tx in node.left_out} == {first.sender}
        assert len(node.left_out) == senders.count(first.sender)
        replay = await node.replay()
        assert not replay.is_proved
        mined = {tx.hash for tx in replay.transactions} | {tx.hash for tx in replay.dropped}
        assert mined == {tx.hash for tx in small.transactions} - {tx.hash for tx in node.left_out}


async def test_leaving_out_a_foreign_transaction_starts_nothing(small: Case) -> None:
    with pytest.raises(ConfigError, match="does not hold"):
        await CaseNode.start(small, leave_out=[keccak256(b"foreign")])
