"""The agent's own start on a virtual machine: replay the journal through the core, go on in a new run.

It is what `agent.engine.venue_run` does, with the disk and the clock of the virtual machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.desk.desk import OrderDesk
from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.effects.orders import Amend, Place
from agent.core.orders.order import Order
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import PROFILES
from agent.core.signals.admission import ProducerBudget
from agent.core.step import Core
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.host import RUN_FOLDER
from agent.devnet.virtual.market import BTC, ETH
from agent.devnet.virtual.profile import PRODUCER, Profile
from agent.journal.machine import CoreMachine, core_settings, make_core
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, Run
from agent.journal.recovery import recover
from agent.journal.schema import decode_effects
from agent.journal.settings import MILLISECOND_NS, Durability, JournalSettings
from agent.journal.snapshots import hash_state
from agent.journal.writer import JournalWriter

SEGMENT_BYTES = 1 << 18
FREE_BYTES_MIN = 1 << 20
CURRENCY = "USDC"


class AgentProcess:
    """A started process."""

    def __init__(
        self, core: Core, log: JournalWriter, placed_ids: frozenset[str], replayed_hash: str, *, has_cut: bool
    ) -> None:
        self.brain = core
        self.log = log
        self.placed_ids = placed_ids
        self.replayed_hash = replayed_hash
        self.has_cut = has_cut

    @property
    def desk(self) -> OrderDesk:
        assert self.brain.desk is not None
        return self.brain.desk

    def state(self) -> bytes:
        return self.brain.state()

    @property
    def is_live(self) -> bool:
        return self.desk.session.is_live

    @property
    def is_halted(self) -> bool:
        return self.brain.is_halted

    @property
    def exec_cursor(self) -> int:
        return self.desk.orders.state.cursor

    def live_orders(self) -> Iterator[Order]:
        yield from self.desk.orders.state.live.values()

    def order(self, client_order_id: str) -> Order | None:
        return self.desk.orders.get(client_order_id)

    def is_on_its_way(self, effect: Effect) -> bool:
        return not isinstance(effect, Place | Amend) or self.desk.orders.is_on_its_way(effect)

    def position_lots(self, symbol: str) -> int:
        return self.desk.state.accounts.lots(symbol)

    def cash_atoms(self) -> int:
        return self.desk.state.accounts.cash.get(CURRENCY, 0)


class AgentProgram:
    """Starts processes with the agent's core and journal."""

    def start(self, disk: VirtualDisk, clock: VirtualClock, profile: Profile, *, above: int = 0) -> AgentProcess:
        desk = desk_settings(profile)
        recovered = recover(RUN_FOLDER, make_core, disk=disk)
        placed_ids: frozenset[str] = frozenset()
        state = None
        if isinstance(recovered.machine, CoreMachine):
            placed_ids = frozenset(_placed_ids(disk, above))
            state = recovered.machine.core.state()
        log = recovered.begin(
            RUN_FOLDER,
            Run("simulation", "1", core_settings(trading=desk, needs_guard=True)),
            monotonic_ns=clock.monotonic_ns(),
            wall_ns=clock.wall_ns(),
            settings=journal_settings(profile),
            disk=disk,
        )
        has_cut = recovered.ending is not None and recovered.ending.cut is not None
        core = Core(trading=desk, needs_guard=True, state=state)
        return AgentProcess(core, log, placed_ids, "" if state is None else hash_state(state), has_cut=has_cut)


def desk_settings(profile: Profile) -> DeskSettings:
    """One account with two markets, at the profile's limits."""
    return DeskSettings(
        symbols=(BTC.symbol, ETH.symbol),
        currency=CURRENCY,
        profile=PROFILES[profile.risk],
        account=AccountLimits(max_order_lots=10_000, margin_ppm=100_000),
        budgets={PRODUCER: ProducerBudget(signals_per_s=20, notional_atoms_per_day=10**15)},
    )


def journal_settings(profile: Profile) -> JournalSettings:
    """Small segments, so that a world has several; no threads, since a seed governs none."""
    is_power = profile.durability == "power"
    return JournalSettings(
        durability=Durability(profile.durability),
        segment_bytes=SEGMENT_BYTES,
        free_bytes_min=FREE_BYTES_MIN,
        retain_bytes=1 << 30,
        sync_every_ns=(20 if is_power else 100) * MILLISECOND_NS,
        unsynced_max_ns=(50 if is_power else 250) * MILLISECOND_NS,
        is_threaded=False,
    )


def _placed_ids(disk: VirtualDisk, above: int) -> Iterator[str]:
    """Ids of every order that the journal says was let out behind this record."""
    for record in JournalReader(RUN_FOLDER, disk=disk).records(above=above):
        if record.type == EFFECTS:
            for effect in decode_effects(record, path=""):
                if isinstance(effect, Place):
                    yield effect.client_order_id
