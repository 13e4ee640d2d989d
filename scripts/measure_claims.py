"""Check of every claim: each opportunity of a report is mined behind its own prefix, and the balances are read.

Nothing here is shared with what made the report but the world itself (fork, executor, keys): the calldata is the
report's, the transaction is signed and mined as the last of its block, and gross is what the balances of vault and
executor gained. What a report calls unknown must not be executable either.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agent.devnet.case_world import CaseWorld
from agent.eth.hexes import from_data, from_quantity, to_address, to_data
from agent.eth.keys import sign_dynamic_fee
from agent.eth.units import Address
from agent.sim.simulator import Slot
from scripts.measure_ground import Checked, Ground, moment

GAS_NUMERATOR, GAS_DENOMINATOR = 3, 2
GAS_WHERE_UNKNOWN = 2_000_000
BALANCE_OF = bytes.fromhex("70a08231")


def claims(ground: Ground) -> Checked:
    """Every opportunity of every survey, mined: zero differences."""
    checked = Checked("claims")
    for number in ground.paths:
        plain = ground.survey(number)
        rows = plain["opportunities"]
        checked.rows.append(asyncio.run(_claims(ground, checked, number, rows, assumes=False)))
        if any(one["missing"] for one in rows):
            assumed = [one for one in ground.survey(number, assumes=True)["opportunities"] if one["assumed"]]
            checked.rows.append(asyncio.run(_claims(ground, checked, number, assumed, assumes=True)))
    checked.figures = {
        "mined": sum(row["mined"] for row in checked.rows),
        "equal": sum(row["equal"] for row in checked.rows),
        "reverted_as_reported": sum(row["reverted"] for row in checked.rows),
        "unknown_and_not_executable": sum(row["unknown"] for row in checked.rows),
    }
    return checked


async def _claims(
    ground: Ground, checked: Checked, number: int, opportunities: list[dict[str, Any]], *, assumes: bool
) -> dict[str, Any]:
    row = {"block": number, "assumed": assumes, "mined": 0, "equal": 0, "reverted": 0, "unknown": 0}
    if not opportunities:
        return row
    world = await CaseWorld.open(ground.case(number))
    try:
        for one in sorted(opportunities, key=lambda one: -1 if moment(one) is None else int(one["after_index"])):
            if assumes:
                slots = (Slot(to_address(address), int(slot, 16)) for address, slot in one["assumed"])
                world.node.archive.allow(slots)
            await _claim(world, checked, one, row)
    finally:
        await world.close()
    return row


async def _claim(world: CaseWorld, checked: Checked, one: dict[str, Any], row: dict[str, Any]) -> None:
    mined, gained = await mine_alone(world, one)
    name = f"{one['block']} {one['id']} {one['outcome']}"
    if one["outcome"] == "unknown":
        row["unknown"] += checked.expect(mined is None, f"{name}: executable, and gains {gained}")
        return
    if not checked.expect(mined is not None, f"{name}: cannot be executed where it was reported to be") or not mined:
        return
    row["mined"] += 1
    if from_quantity(mined["status"]) == 0:
        is_told = one["outcome"] in ("reverts", "dropped") and int(one["gross_amount"]) == 0
        row["reverted"] += checked.expect(is_told, f"{name}: reverts, and {one['gross_amount']} is claimed")
        return
    row["equal"] += checked.expect(gained == int(one["gross_amount"]), f"{name}: {one['gross_amount']}, mined {gained}")
    told_gas = int(one["gas_used"])
    used = from_quantity(mined["gasUsed"])
    checked.expect(used == told_gas, f"{name}: {told_gas} gas reported, {used} mined")


async def mine_alone(world: CaseWorld, one: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
    """The receipt of the reported calldata, mined behind its prefix, and what vault and executor gained by it.

    None where the node left it out: it needs state that nobody knows.
    """
    header, node = world.case.header, world.node
    holders = (world.identities.vault, world.executor.address)
    token = to_address(one["token"])
    after = moment(one)
    await node.position(after)
    before = [await balance(world, token, holder) for holder in holders]
    gas_used = int(one["gas_used"])
    gas = gas_used * GAS_NUMERATOR // GAS_DENOMINATOR if gas_used else GAS_WHERE_UNKNOWN  # floor: a limit, not a sum
    signed = sign_dynamic_fee(
        world.identities.operators[0],
        chain_id=world.case.chain_id,
        nonce=0,
        max_priority_fee_wei=0,
        max_fee_wei=header.base_fee_wei,
        gas=gas,
        to=world.executor.address,
        value_wei=0,
        data=from_data(one["calldata"]),
    )
    prefix = [tx.raw for tx in node.transactions if after is not None and tx.index <= after]
    hashes = await node.mine_raw([*prefix, signed.raw])
    if signed.hash not in hashes:
        return None, 0
    receipts = await node.block_receipts()
    held = [await balance(world, token, holder) for holder in holders]
    return receipts[hashes.index(signed.hash)], sum(held) - sum(before)


async def balance(world: CaseWorld, token: Address, holder: Address) -> int:
    """balanceOf at the node's head."""
    call = {"from": to_data(holder), "to": to_data(token), "input": to_data(BALANCE_OF + bytes(12) + holder)}
    return int.from_bytes(from_data(await world.node.anvil.call("eth_call", call, "latest")), "big")
