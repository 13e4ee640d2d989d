"""What the account is worth on a chain that goes on: operators pay the gas, profit lands in the vault, both count.

Beside each read of the agent stands one of the test's own, so that the journal's figures are held against the chain's.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_settings
from agent.core.events.chain import ChainFacts
from agent.core.risk.breakers.aggregate import Breakers
from agent.core.risk.modes import ACTIVE
from agent.devnet import slots
from agent.devnet.slice.storage import WETH9_BALANCE_SLOT, mapping_slot
from agent.devnet.slice_run import SliceRun, SliceWorld, run_slice
from agent.engine.result import RunResult
from agent.eth.hexes import from_quantity, to_data, to_quantity
from agent.eth.units import WEI_PER_ETHER, Address
from agent.journal.machine import CoreMachine, make_core
from agent.journal.reader import JournalReader
from agent.journal.records import EVENT
from agent.journal.recovery import recover
from agent.journal.schema import decode_event
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("chain-worth")]

BLOCKS = 10
LITTLE_WEI = WEI_PER_ETHER // 5
"""ETH of an operator with which the gas of so many blocks is more than a day may lose, were nothing earned."""
BALANCE_OF = "0x70a08231"


class Watched:
    """A slice whose every read of facts is done a second time, by other means."""

    def __init__(self) -> None:
        self.world: SliceWorld | None = None
        self.amounts: list[dict[str, int]] = []
        """By token, at each head."""
        self.plunder_at: int | None = None
        """At this head the vault's WETH is gone."""

    async def prepare(self, world: SliceWorld, *, operators_wei: int, vault_wei: int) -> None:
        self.world = world
        for operator in world.executor.operators:
            await world.anvil.call("anvil_setBalance", to_data(operator), to_quantity(operators_wei))
        if vault_wei:
            await self._set_weth(vault_wei)

    async def look(self) -> None:
        world = self.world
        assert world is not None
        if self.plunder_at == len(self.amounts):
            await self._set_weth(0)
        ours = (world.executor.address, world.executor.vault)
        amounts = {"ETH": sum([await self._ether(one) for one in (*world.executor.operators, *ours)])}
        for token in world.slice.tokens:
            at = to_data(token.address)
            amounts[at] = sum([await self._balance(at, one) for one in ours])
        self.amounts.append(amounts)

    async def _ether(self, account: Address) -> int:
        assert self.world is not None
        return from_quantity(str(await self.world.anvil.call("eth_getBalance", to_data(account), "latest")))

    async def _balance(self, token: str, account: Address) -> int:
        assert self.world is not None
        call = {"to": token, "data": BALANCE_OF + account.hex().zfill(64)}
        return int(str(await self.world.anvil.call("eth_call", call, "latest")), 16)

    async def _set_weth(self, wei: int) -> None:
        assert self.world is not None
        executor = self.world.executor
        place = to_quantity(mapping_slot(executor.vault, WETH9_BALANCE_SLOT))
        await self.world.anvil.call("anvil_setStorageAt", to_data(executor.weth), place, f"0x{wei:064x}")


def run(watched: Watched, folder: Path, *, operators_wei: int, vault_wei: int = 0) -> RunResult:
    opened, read = SliceWorld.open, slots.read_facts

    async def open_prepared(**named: Any) -> SliceWorld:
        world = await opened(**named)
        await watched.prepare(world, operators_wei=operators_wei, vault_wei=vault_wei)
        return world

    async def read_watched(*args: Any, **named: Any) -> ChainFacts:
        await watched.look()
        return await read(*args, **named)

    request = RunRequest(world=WorldRequest(kind="slice"))
    asked = SliceRun(
        run="worth",
        folder=folder,
        settings=hunt_settings(request, load_settings([], overrides=[]).settings),
        seed=0,
        blocks=BLOCKS,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SliceWorld, "open", open_prepared)
        patch.setattr(slots, "read_facts", read_watched)
        return asyncio.run(run_slice(asked, SystemClock(), lambda _: None))


def facts(folder: Path) -> list[ChainFacts]:
    events = [decode_event(record) for record in JournalReader(folder).records() if record.type == EVENT]
    return [event for event in events if isinstance(event, ChainFacts)]


def breakers_after(folder: Path) -> Breakers:
    """As they stood at the end, by the run's journal."""
    machine = recover(folder, make_core).machine
    assert isinstance(machine, CoreMachine)
    assert machine.core.bundles is not None
    return machine.core.bundles.state.breakers


def test_profit_in_the_vault_makes_up_for_the_gas_and_the_value_is_the_chains_to_the_wei(tmp_path: Path) -> None:
    watched = Watched()
    result = run(watched, tmp_path, operators_wei=LITTLE_WEI)
    read = facts(tmp_path)
    assert len(read) == len(watched.amounts) == BLOCKS
    for event, amounts in zip(read, watched.amounts, strict=True):
        assert [one.amount for one in event.holdings] == [amounts[one.token] for one in event.holdings]
        assert all(one.value_wei == one.amount for one in event.holdings[:2]), "ETH and WETH are worth themselves"
    breakers = breakers_after(tmp_path)
    assert breakers.day_loss.nav_atoms == sum(one.value_wei or 0 for one in read[-1].holdings)
    spent_wei = watched.amounts[0]["ETH"] - watched.amounts[-1]["ETH"]
    assert spent_wei >= breakers.loss_limit_atoms, "gas alone would have tripped"
    assert not breakers.is_halted and breakers.mode() == ACTIVE
    assert result.funnel["landed"] > 10


def test_a_plundered_vault_halts_the_run(tmp_path: Path) -> None:
    watched = Watched()
    watched.plunder_at = 2
    result = run(watched, tmp_path, operators_wei=10 * WEI_PER_ETHER, vault_wei=100 * WEI_PER_ETHER)
    breakers = breakers_after(tmp_path)
    assert breakers.day_loss.tripped_day is not None and breakers.drawdown.tripped_day is not None
    landed = {transaction.block for transaction in result.transactions}
    first = result.blocks[0].number
    assert landed <= {first, first + 1}, "nothing goes out behind it"
    assert landed
