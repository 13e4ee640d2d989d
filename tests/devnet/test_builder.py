"""The builder on a real node: placement, atomicity, permissions, ranking, and the books of what it paid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.devnet.builder import BuiltBlock, Ordering, Reason, Winner
from agent.devnet.builder.bundles import Bundle, State
from agent.devnet.pending import PendingTransaction
from tests.devnet.world import BUILDER, GWEI, KEYS, ONCE, PAYER, REVERTER, TAKES_BACK, World, running_world, sign

pytestmark = pytest.mark.anvil


@pytest.fixture
async def archived() -> AsyncIterator[World]:
    async with running_world(Ordering.ARCHIVED) as world:
        yield world


@pytest.fixture
async def by_profit() -> AsyncIterator[World]:
    async with running_world(Ordering.PROFIT) as world:
        yield world


def bundle(*transactions: PendingTransaction, **fields: Any) -> Bundle:
    return Bundle(transactions=transactions, block_number=fields.pop("block_number", 1), **fields)


def order_of(built: BuiltBlock, *transactions: PendingTransaction) -> list[int | None]:
    hashes = [receipt["transactionHash"] for receipt in built.receipts]
    return [hashes.index(to) if (to := "0x" + tx.hash.hex()) in hashes else None for tx in transactions]


def reasons(built: BuiltBlock) -> dict[bytes, Reason]:
    return {drop.bundle.transactions[-1].hash: drop.reason for drop in built.drops}


async def test_a_backrun_stands_directly_behind_its_target(archived: World) -> None:
    first, target, last = (sign(KEYS[i], 0) for i in range(3))
    ours = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**15, tip=0)
    for transaction in (first, target, last):
        archived.mempool.add(transaction.raw)
    archived.builder.bundles.insert(bundle(target, ours))
    before = await archived.balance(BUILDER)
    built = await archived.builder.build(await archived.env())
    assert order_of(built, first, target, ours, last) == [0, 1, 2, 3]
    (placement,) = built.placements
    assert (placement.indices, placement.payment_wei) == ((1, 2), 10**15)
    assert await archived.balance(BUILDER) - before == 10**15 + 3 * 21_000 * GWEI
    assert len(archived.mempool) == 0 and built.evicted == built.newly_reverted == ()
    (status,) = archived.builder.bundles.statuses(placement.bundle.hash)
    assert (status.state, status.block_number, status.indices) == (State.INCLUDED, 1, (1, 2))


async def test_a_bundle_without_target_goes_to_the_top(archived: World) -> None:
    first = sign(KEYS[0], 0)
    ours = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=5)
    archived.mempool.add(first.raw)
    archived.builder.bundles.insert(bundle(ours))
    built = await archived.builder.build(await archived.env())
    assert order_of(built, ours, first) == [0, 1]


async def test_several_behind_one_target_stand_by_payment_and_the_loser_of_a_race_is_told(archived: World) -> None:
    target = sign(KEYS[0], 0)
    archived.mempool.add(target.raw)
    low = sign(KEYS[5], 0, to=ONCE, gas=90_000, value=10**15)
    high = sign(KEYS[6], 0, to=ONCE, gas=90_000, value=2 * 10**15)
    other = sign(KEYS[7], 0, to=PAYER, gas=60_000, value=10**14)
    for transaction in (low, other, high):
        archived.builder.bundles.insert(bundle(target, transaction))
    built = await archived.builder.build(await archived.env())
    assert order_of(built, target, high, other, low) == [0, 1, 2, None]
    assert reasons(built) == {low.hash: Reason.TRANSACTION_REVERTED}
    (status,) = archived.builder.bundles.statuses(low.hash)
    assert status.reason is Reason.TRANSACTION_REVERTED and low.hash.hex() in status.detail


async def test_equal_payments_stand_by_id(archived: World) -> None:
    target = sign(KEYS[0], 0)
    archived.mempool.add(target.raw)
    rivals = [bundle(target, sign(KEYS[i], 0, to=PAYER, gas=60_000, value=10**15)) for i in (4, 5, 6, 7)]
    for rival in rivals:
        archived.builder.bundles.insert(rival)
    built = await archived.builder.build(await archived.env())
    assert [placement.bundle for placement in built.placements] == sorted(rivals, key=lambda held: str(held.uuid))


async def test_a_full_block_lists_whom_it_pushed_off_the_tail(archived: World) -> None:
    public = [sign(KEYS[i], 0) for i in range(4)]
    for transaction in public:
        archived.mempool.add(transaction.raw)
    ours = sign(KEYS[5], 0, to=PAYER, gas=40_000, value=10**15)
    archived.builder.bundles.insert(bundle(public[1], ours))
    built = await archived.builder.build(await archived.env(gas_limit=4 * 21_000 + 13_000))
    assert order_of(built, public[0], public[1], ours) == [0, 1, 2]
    assert built.evicted == (public[3].hash,)
    assert [held.hash for held in archived.mempool] == [public[3].hash]
    assert await archived.anvil.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}


async def test_foreign_transactions_that_revert_only_now_are_listed(archived: World) -> None:
    target, victim = sign(KEYS[0], 0), sign(KEYS[1], 0, to=ONCE, gas=90_000)
    for transaction in (target, victim):
        archived.mempool.add(transaction.raw)
    archived.builder.bundles.insert(bundle(target, sign(KEYS[5], 0, to=ONCE, gas=90_000, value=10**15)))
    built = await archived.builder.build(await archived.env())
    assert built.newly_reverted == (victim.hash,) and built.evicted == ()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: bundle(sign(KEYS[5], 0, to=REVERTER, gas=60_000)), Reason.TRANSACTION_REVERTED),
        (lambda: bundle(sign(KEYS[5], 1, to=PAYER, gas=60_000)), Reason.INVALID_TRANSACTION),
        (lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**21)), Reason.INVALID_TRANSACTION),
        (lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000, cap=10, tip=0)), Reason.INVALID_TRANSACTION),
        (lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=2**24 + 1)), Reason.INVALID_TRANSACTION),
        (lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000, value=0, tip=0)), Reason.NO_PROFIT),
        (
            lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000, value=1), sign(KEYS[5], 1, gas=40_000)),
            Reason.GAS_LEFT,
        ),
        (lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000), max_timestamp=1), Reason.INCORRECT_TIMESTAMP),
        (
            lambda: bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000, value=9), sign(KEYS[6], 0, to=REVERTER, gas=60_000)),
            Reason.TRANSACTION_REVERTED,
        ),
    ],
    ids=[
        "reverts",
        "nonce gap",
        "no funds",
        "fee below base",
        "above 2^24",
        "pays nothing",
        "gas limit",
        "late",
        "atomic",
    ],
)
@pytest.mark.parametrize("ordering", list(Ordering))
async def test_a_bundle_that_cannot_be_built_is_out_as_a_whole_and_says_why(
    make: Any, reason: Reason, ordering: Ordering
) -> None:
    async with running_world(ordering) as world:
        public = sign(KEYS[0], 0)
        world.mempool.add(public.raw)
        held = make()
        world.builder.bundles.insert(held)
        built = await world.builder.build(
            await world.env(gas_limit=70_000 if reason is Reason.GAS_LEFT else 30_000_000)
        )
        assert [receipt["transactionHash"] for receipt in built.receipts] == ["0x" + public.hash.hex()]
        assert [drop.reason for drop in built.drops] == [reason]
        (status,) = world.builder.bundles.statuses(held.hash)
        assert (status.state, status.reason) == (State.DROPPED, reason) and status.detail


@pytest.mark.parametrize("ordering", list(Ordering))
async def test_listed_transactions_may_revert_or_be_left_out(ordering: Ordering) -> None:
    async with running_world(ordering) as world:
        reverts = [sign(KEYS[i], 0, to=REVERTER, gas=60_000) for i in range(2)]
        invalid = sign(KEYS[2], 5)
        ours = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**15)
        held = bundle(
            *reverts,
            invalid,
            ours,
            reverting=frozenset({reverts[0].hash}),
            dropping=frozenset({reverts[1].hash, invalid.hash}),
        )
        world.builder.bundles.insert(held)
        built = await world.builder.build(await world.env())
        assert order_of(built, reverts[0], reverts[1], invalid, ours) == [0, None, None, 1]
        assert set(built.placements[0].dropped) == {reverts[1].hash, invalid.hash}


@pytest.mark.parametrize("ordering", list(Ordering))
async def test_a_payment_that_is_reverted_is_none(ordering: Ordering) -> None:
    async with running_world(ordering) as world:
        ours = sign(KEYS[5], 0, to=TAKES_BACK, gas=60_000, value=10**15)
        world.builder.bundles.insert(bundle(ours, reverting=frozenset({ours.hash})))
        built = await world.builder.build(await world.env())
        (placement,) = built.placements
        assert placement.payment_wei == int(built.receipts[0]["gasUsed"], 16) * GWEI


@pytest.mark.parametrize(("ordering", "expected"), [(Ordering.PROFIT, [0, 1]), (Ordering.GAS_PRICE, [1, 0])])
async def test_the_rank_is_profit_in_one_builder_and_gas_price_in_the_other(
    ordering: Ordering, expected: list[int]
) -> None:
    async with running_world(ordering) as world:
        costly = sign(KEYS[0], 0, to=PAYER, gas=60_000, value=10**15, tip=0)
        cheap = sign(KEYS[1], 0, value=0, tip=40 * GWEI)  # 21,000 gas: less in all, more per gas
        world.builder.bundles.insert(bundle(costly))
        world.mempool.add(cheap.raw)
        built = await world.builder.build(await world.env())
        assert order_of(built, costly, cheap) == expected


async def test_of_two_bundles_for_one_opportunity_the_better_lands_and_the_other_fails(by_profit: World) -> None:
    low, high = (sign(KEYS[i], 0, to=ONCE, gas=90_000, value=i * 10**15) for i in (4, 5))
    by_profit.builder.bundles.insert(bundle(low))
    by_profit.builder.bundles.insert(bundle(high))
    built = await by_profit.builder.build(await by_profit.env())
    assert order_of(built, high, low) == [0, None]
    assert reasons(built) == {low.hash: Reason.TRANSACTION_REVERTED}


async def test_a_bundle_worth_less_at_its_place_goes_back_and_is_out_when_it_falls_again(by_profit: World) -> None:
    """The reverting race pays by tip only once lost: far below 95 % of what it paid at the top."""
    first = sign(KEYS[4], 0, to=ONCE, gas=90_000, value=5 * 10**15)
    second = sign(KEYS[5], 0, to=ONCE, gas=90_000, value=4 * 10**15)
    plain = sign(KEYS[6], 0, value=0, tip=30 * GWEI)
    by_profit.builder.bundles.insert(bundle(first))
    by_profit.builder.bundles.insert(bundle(second, reverting=frozenset({second.hash})))
    by_profit.mempool.add(plain.raw)
    built = await by_profit.builder.build(await by_profit.env())
    # Reinserted with its lower value it now stands behind the plain transfer, as an allowed revert.
    assert order_of(built, first, plain, second) == [0, 1, 2]
    assert built.receipts[2]["status"] == "0x0"


async def test_a_transaction_waits_for_the_nonce_before_it_whatever_it_pays(by_profit: World) -> None:
    poor, rich = sign(KEYS[0], 0, tip=1), sign(KEYS[0], 1, tip=50 * GWEI)
    other = sign(KEYS[1], 0, tip=2 * GWEI)
    for transaction in (rich, other, poor):
        by_profit.mempool.add(transaction.raw)
    built = await by_profit.builder.build(await by_profit.env())
    assert order_of(built, other, poor, rich) == [0, 1, 2]


async def test_a_bundle_follows_the_mempool_transaction_before_its_nonce_and_brings_its_own(by_profit: World) -> None:
    poor, other = sign(KEYS[0], 0, tip=1), sign(KEYS[1], 0, tip=2 * GWEI)
    ours = [sign(KEYS[0], nonce, to=PAYER, gas=60_000, value=10**16) for nonce in (1, 2)]
    for transaction in (other, poor):
        by_profit.mempool.add(transaction.raw)
    by_profit.builder.bundles.insert(bundle(*ours))
    built = await by_profit.builder.build(await by_profit.env())
    assert order_of(built, other, poor, *ours) == [0, 1, 2, 3] and built.drops == ()


async def test_a_bundle_whose_nonce_comes_only_later_in_the_block_is_not_moved_there(archived: World) -> None:
    target, earlier = sign(KEYS[0], 0), sign(KEYS[5], 0)
    ours = sign(KEYS[5], 1, to=PAYER, gas=60_000, value=10**15)
    for transaction in (target, earlier):
        archived.mempool.add(transaction.raw)
    archived.builder.bundles.insert(bundle(target, ours))
    built = await archived.builder.build(await archived.env())
    assert order_of(built, target, earlier, ours) == [0, 1, None]
    assert reasons(built) == {ours.hash: Reason.NOT_AT_ITS_PLACE}


async def test_a_refund_is_paid_at_the_end_of_the_block_to_the_wei(by_profit: World) -> None:
    recipient = b"\x77" * 20
    ours = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**16, tip=0)
    by_profit.builder.bundles.insert(bundle(ours, refund_percent=90, refund_recipient=recipient))
    built = await by_profit.builder.build(await by_profit.env())
    expected = 10**16 * 90 // 100 - 21_000 * GWEI
    assert built.placements[0].refund_wei == expected
    assert await by_profit.balance(recipient) == expected  # type: ignore[arg-type]
    assert await by_profit.balance(BUILDER) == 10**16 - expected - 21_000 * GWEI


async def test_a_refund_too_small_for_its_gas_fails_the_bundle(by_profit: World) -> None:
    ours = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**12, tip=0)
    by_profit.builder.bundles.insert(bundle(ours, refund_percent=90))
    built = await by_profit.builder.build(await by_profit.env())
    assert reasons(built) == {ours.hash: Reason.NOT_ENOUGH_REFUND_FOR_GAS} and not built.receipts


@pytest.mark.parametrize("ordering", list(Ordering))
async def test_private_order_flow_never_enters_the_mempool_and_private_reverts_stay_out(ordering: Ordering) -> None:
    async with running_world(ordering) as world:
        seen: list[bytes] = []
        world.mempool.on_add(lambda transaction: seen.append(transaction.hash))
        good, bad = sign(KEYS[4], 0, to=PAYER, gas=60_000), sign(KEYS[5], 0, to=REVERTER, gas=60_000)
        for transaction in (good, bad):
            world.builder.bundles.insert(
                Bundle(transactions=(transaction,), block_number=None, last_block=25, is_private_transaction=True)
            )
        built = await world.builder.build(await world.env())
        assert order_of(built, good, bad) == [0, None] and seen == []
        assert await world.anvil.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}
        assert world.builder.bundles.statuses(bad.hash)[0].state is State.WAITING  # it may still enter a later block


async def test_a_rival_with_the_same_nonce_never_replaces_the_better_bundle_in_the_node(archived: World) -> None:
    target = sign(KEYS[0], 0)
    archived.mempool.add(target.raw)
    better = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=10**16, tip=GWEI)
    tippier = sign(KEYS[5], 0, to=PAYER, gas=60_000, value=1, tip=50 * GWEI, cap=200 * GWEI)
    for transaction in (tippier, better):
        archived.builder.bundles.insert(bundle(target, transaction))
    built = await archived.builder.build(await archived.env())
    assert order_of(built, target, better, tippier) == [0, 1, None]
    assert reasons(built) == {tippier.hash: Reason.INVALID_TRANSACTION}


async def test_a_bundle_behind_a_target_that_is_not_there_is_not_put_anywhere_else(archived: World) -> None:
    target, poorer = sign(KEYS[0], 1), sign(KEYS[1], 0)
    for transaction in (target, poorer):  # the target has a nonce gap: the undisturbed block leaves it out
        archived.mempool.add(transaction.raw)
    ours = sign(KEYS[5], 0, to=PAYER, gas=60_000)
    archived.builder.bundles.insert(bundle(target, ours))
    built = await archived.builder.build(await archived.env())
    assert order_of(built, ours, target, poorer) == [None, None, 0]
    assert reasons(built) == {ours.hash: Reason.TARGET_NOT_IN_BLOCK}


async def test_blocks_follow_each_other_and_a_bundle_without_block_is_for_the_first(archived: World) -> None:
    archived.builder.bundles.insert(bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000), block_number=None))
    archived.builder.bundles.insert(bundle(sign(KEYS[6], 0, to=PAYER, gas=60_000), block_number=2))
    first, second = await archived.builder.build(), await archived.builder.build()
    assert (first.number, len(first.receipts), second.number, len(second.receipts)) == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("winner", "reason"),
    [
        (Winner.OTHER_BUILDER, Reason.LOST_TO_OTHER_BUILDER),
        (Winner.LOCAL, Reason.LOCAL_BLOCK),
        (Winner.EMPTY, Reason.EMPTY_PAYLOAD),
    ],
)
async def test_a_slot_that_another_wins_holds_no_bundle_and_pays_somebody_else(
    by_profit: World, winner: Winner, reason: Reason
) -> None:
    public, ours = sign(KEYS[0], 0), sign(KEYS[5], 0, to=PAYER, gas=60_000)
    by_profit.mempool.add(public.raw)
    by_profit.builder.bundles.insert(bundle(ours))
    built = await by_profit.builder.build(winner=winner)
    assert order_of(built, public, ours) == [None if winner is Winner.EMPTY else 0, None]
    assert reasons(built) == {ours.hash: reason}
    assert await by_profit.balance(by_profit.builder.fee_recipient) == 0


async def test_a_missed_slot_costs_time_and_no_number(by_profit: World) -> None:
    in_time = bundle(sign(KEYS[4], 0, to=PAYER, gas=60_000), max_timestamp=(await by_profit.env()).timestamp)
    any_time = bundle(sign(KEYS[5], 0, to=PAYER, gas=60_000))
    for held in (in_time, any_time):
        by_profit.builder.bundles.insert(held)
    by_profit.builder.miss_slot()
    built = await by_profit.builder.build()
    assert built.number == 1
    assert [placement.bundle for placement in built.placements] == [any_time]
    assert [drop.reason for drop in built.drops] == [Reason.INCORRECT_TIMESTAMP]


async def test_what_a_reorg_takes_off_the_chain_is_public_from_then_on(by_profit: World) -> None:
    public, ours = sign(KEYS[0], 0), sign(KEYS[5], 0, to=PAYER, gas=60_000)
    by_profit.mempool.add(public.raw)
    by_profit.builder.bundles.insert(bundle(ours))
    await by_profit.builder.build()
    await by_profit.builder.build()
    await by_profit.builder.reorg(2)
    assert await by_profit.anvil.call("eth_blockNumber") == "0x0"
    assert {held.hash for held in by_profit.mempool} == {public.hash, ours.hash}
    built = await by_profit.builder.build()
    assert built.number == 1 and len(built.receipts) == 2
