"""The search for losses finds the ones that are there, and none where a bundle is safe."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.devnet.builder import Ordering
from agent.devnet.pending import PendingTransaction
from agent.eth.hexes import to_data
from agent.eth.units import Address
from tests.devnet.subsets import Trials, ordered_subsets, try_every_subset, with_foreign
from tests.devnet.world import KEYS, PAYER, World, running_world, sign

pytestmark = pytest.mark.anvil

TOKEN = Address(b"\x70" * 20)
TOKEN_CODE = bytes.fromhex(
    "60003560e01c6370a0823114602b57"  # balanceOf(address) -> 2b, everything else is transfer(address,uint256)
    "6024358033540333556004355401600435556001600052602060" + "00f3"
    "5b60043554600052602060" + "00f3"
)
OWNER, STRANGER = KEYS[0], KEYS[1]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running_world(Ordering.PROFIT) as running:
        await running.anvil.call("anvil_setCode", to_data(TOKEN), to_data(TOKEN_CODE))
        for key in (OWNER, STRANGER):
            slot = "0x" + key.address.hex().zfill(64)
            await running.anvil.call("anvil_setStorageAt", to_data(TOKEN), slot, "0x" + f"{1_000:064x}")
        yield running


def transfer(key: object, nonce: int, to: Address, amount: int) -> PendingTransaction:
    data = bytes.fromhex("a9059cbb") + bytes(12) + to + amount.to_bytes(32, "big")
    return sign(key, nonce, to=TOKEN, gas=100_000, value=0, data=data)  # type: ignore[arg-type]


async def tried(world: World, *bundle: PendingTransaction, foreign: tuple[PendingTransaction, ...] = ()) -> Trials:
    head = await world.anvil.call("eth_getBlockByNumber", "latest", False)
    trials = await try_every_subset(
        world.anvil,
        bundle,
        await world.env(),
        senders=frozenset({OWNER.address}),
        holders=[OWNER.address],
        tokens=[TOKEN],
        foreign=foreign,
    )
    assert (await world.anvil.call("eth_getBlockByNumber", "latest", False))["hash"] == head["hash"]
    assert trials.executed_transactions > 0
    return trials


def test_all_orders_and_all_gaps_are_tried() -> None:
    four, two = [sign(KEYS[i], 0) for i in range(4)], [sign(KEYS[5], 0), sign(KEYS[6], 0)]
    assert len(set(map(tuple, ([tx.hash for tx in subset] for subset in ordered_subsets(four))))) == 65
    spread = [[tx.hash for tx in sequence] for sequence in with_foreign(four[:2], two)]
    assert len(spread) == 1 + 6 == len({tuple(hashes) for hashes in spread})


async def test_a_gain_that_depends_on_a_later_transaction_is_found(world: World) -> None:
    pay, receive = transfer(OWNER, 0, STRANGER.address, 100), transfer(STRANGER, 0, OWNER.address, 150)
    trials = await tried(world, pay, receive)
    assert trials.executions == 3 * 5
    assert {loss.transactions for loss in trials.losses} == {(pay.hash,)}
    assert [(loss.token, loss.fell_by, loss.blocks_later) for loss in trials.losses] == [
        (TOKEN, 100, blocks) for blocks in (0, 1, 64)
    ]


async def test_a_payment_that_nothing_conditions_is_found(world: World) -> None:
    bribe = sign(OWNER, 0, to=PAYER, gas=60_000, value=10**15)
    trials = await tried(world, bribe)
    assert {(loss.token, loss.fell_by) for loss in trials.losses} == {(None, 10**15)}


async def test_a_transaction_that_costs_its_gas_alone_is_no_loss(world: World) -> None:
    own = sign(OWNER, 0, value=0)
    trials = await tried(world, own, foreign=(sign(KEYS[5], 0), sign(KEYS[6], 0)))
    assert trials.losses == [] and trials.executions == 3 * (2 + 4)
