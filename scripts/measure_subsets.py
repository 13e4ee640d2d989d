"""Check of every part and order of what was sent: on the parent, and inside the block, it costs its gas at most.

A bundle is atomic by courtesy. Each ordered subset of its transactions is mined at the place where the bundle was to
stand and directly on the parent, with the rest of the block behind it and without; then no balance of owner, vault or
executor may be lower, and the operator's ether lower by no more than the gas of our own transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from agent.devnet.builder import BuiltBlock
from agent.devnet.builder.bundles import Bundle
from agent.devnet.case_world import CaseWorld
from agent.devnet.mainnet import WETH
from agent.eth.hexes import from_quantity, to_data
from agent.eth.units import Address
from scripts.measure_ground import Checked, Ground
from scripts.measure_witness import ETHER, Balances, balances, watched
from tests.devnet.subsets import LATER_BLOCKS, try_every_subset

KEEPS_HISTORY = frozenset({"prague", "osaka"})
"""There each block writes its parent's hash (EIP-2935); a case knows that slot for its own block alone."""


def subsets(ground: Ground) -> Checked:
    """All bundles of one plain run of each case."""
    checked = Checked("subsets")
    for number in ground.paths:
        with watched() as seen:
            ground.run(number)
        for one in seen:
            asyncio.run(_block(ground, checked, number, one.block))
    checked.figures = {
        "bundles": len(checked.rows),
        "executions": sum(row["executions"] for row in checked.rows),
        "ours_mined": sum(row["ours_mined"] for row in checked.rows),
        "ours_reverted": sum(row["ours_reverted"] for row in checked.rows),
    }
    return checked


async def _block(ground: Ground, checked: Checked, number: int, block: BuiltBlock) -> None:
    bundles = [one.bundle for one in block.placements] + [one.bundle for one in block.drops]
    if not bundles:
        return
    world = await CaseWorld.open(ground.case(number))
    try:
        await world.node.position(None)
        before = await balances(world.node.anvil, world.identities)
        for bundle in bundles:
            transactions = [
                (transaction.sender, transaction.hash, transaction.raw) for transaction in bundle.transactions
            ]
            row: dict[str, Any] = {
                "block": number,
                "bundle": " + ".join(to_data(hash_)[:10] for _, hash_, _ in transactions),
                "executions": 0,
                "ours_mined": 0,
                "ours_reverted": 0,
                "losses": 0,
            }
            checked.rows.append(row)
            for sequence in _sequences(
                world, [raw for _, _, raw in transactions], {hash_ for _, hash_, _ in transactions}
            ):
                await _execute(world, checked, row, sequence, before)
            await _later(world, checked, row, bundle)
            checked.expect(row["ours_mined"] > 0, f"{number} {row['bundle']}: nothing of ours was ever mined")
    finally:
        await world.close()


def _sequences(world: CaseWorld, raws: list[bytes], hashes: set[bytes]) -> Iterator[list[bytes]]:
    """Every ordered subset at the parent alone, with the whole block behind, and where the target stands."""
    foreign = [(tx.hash, tx.raw) for tx in world.node.transactions]
    places = [index for index, (hash_, _) in enumerate(foreign) if hash_ in hashes]
    rest = [raw for hash_, raw in foreign if hash_ not in hashes]
    for size in range(1, len(raws) + 1):
        for chosen in permutations(raws, size):
            yield list(chosen)
            yield [*chosen, *rest]
            for place in places:
                yield [*(raw for _, raw in foreign[:place]), *chosen, *(raw for _, raw in foreign[place + 1 :])]


async def _later(world: CaseWorld, checked: Checked, row: dict[str, Any], bundle: Bundle) -> None:
    """The same directly on the parent, one block later and 64 later, by the search of the builder's tests."""
    ours = world.identities
    operators = frozenset(key.address for key in ours.operators) & {one.sender for one in bundle.transactions}
    await world.node.position(None)
    trials = await try_every_subset(
        world.node.anvil,
        bundle.transactions,
        world.node.env,
        senders=operators,
        holders=[ours.vault, ours.executor, *operators],
        tokens=[WETH],
        later_blocks=(0,) if world.case.hardfork in KEEPS_HISTORY else LATER_BLOCKS,
    )
    world.node.forget_position()
    row["executions"] += trials.executions
    row["losses"] += len(trials.losses)
    checked.expect(not trials.losses, f"{row['block']} {row['bundle']}: {trials.losses[:1]}")


async def _execute(
    world: CaseWorld, checked: Checked, row: dict[str, Any], sequence: list[bytes], before: Balances
) -> None:
    await world.node.mine_raw(sequence)
    row["executions"] += 1
    operators = {key.address for key in world.identities.operators}
    gas_wei: dict[Address, int] = dict.fromkeys(operators, 0)
    for receipt in await world.node.block_receipts():
        sender = Address(bytes.fromhex(receipt["from"][2:]))
        if sender in operators:
            gas_wei[sender] += from_quantity(receipt["gasUsed"]) * from_quantity(receipt["effectiveGasPrice"])
            row["ours_mined"] += 1
            row["ours_reverted"] += from_quantity(receipt["status"]) == 0
    after = await balances(world.node.anvil, world.identities)
    for (holder, token), had in before.items():
        allowed = gas_wei.get(holder, 0) if token == ETHER else 0
        fell_by = had - after[holder, token] - allowed
        row["losses"] += fell_by > 0
        checked.expect(fell_by <= 0, f"{row['block']} {row['bundle']}: {to_data(holder)} lost {fell_by} of {token!r}")
