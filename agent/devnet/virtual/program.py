"""How the agent starts on a virtual machine: read the journal, replay it, go on in a new run."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.core.effects.orders import Place
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.orders.state import OrdersState
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.host import RUN_FOLDER
from agent.devnet.virtual.order_brain import BrainState, OrderBrain
from agent.devnet.virtual.profile import Profile
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, Run
from agent.journal.recovery import recover
from agent.journal.schema import decode_effects
from agent.journal.settings import MILLISECOND_NS, Durability, JournalSettings
from agent.journal.snapshots import hash_state
from agent.journal.writer import JournalWriter

SEGMENT_BYTES = 1 << 18
FREE_BYTES_MIN = 1 << 20
RUN_EPOCH = "run_epoch"


class OrderProcess:
    """A process whose core is `OrderBrain`."""

    def __init__(self, brain: OrderBrain, log: JournalWriter, placed_ids: frozenset[str], replayed_hash: str) -> None:
        self.brain = brain
        self.log = log
        self.placed_ids = placed_ids
        self.replayed_hash = replayed_hash

    def state_hash(self) -> str:
        return hash_state(self.brain.state())

    def state_bytes(self) -> int:
        return len(self.brain.state())

    @property
    def _state(self) -> OrdersState:
        return self.brain.all.orders

    @property
    def is_live(self) -> bool:
        return self._state.is_live

    @property
    def is_halted(self) -> bool:
        return bool(self.brain.all.halted_by)

    @property
    def exec_cursor(self) -> int:
        return self._state.cursor

    @property
    def orders(self) -> OwnOrders:
        return self.brain.orders

    def live_orders(self) -> Iterator[Order]:
        yield from self._state.live.values()

    def order(self, client_order_id: str) -> Order | None:
        return self.brain.orders.get(client_order_id)

    def position_lots(self, symbol: str) -> int:
        return self.brain.all.positions.get(symbol, 0)

    def cash_atoms(self) -> int | None:
        return None


class OrderProgram:
    """Starts processes with `OrderBrain`."""

    has_limits = False

    def start(self, disk: VirtualDisk, clock: VirtualClock, profile: Profile) -> OrderProcess:
        def make(run: Run, state: bytes | None) -> OrderBrain:
            run_epoch = int(run.settings[RUN_EPOCH])
            if state is None:
                all_of_it = BrainState(orders=OrdersState(run_epoch=run_epoch))
            else:
                all_of_it = msgspec.json.decode(state, type=BrainState)
                all_of_it.orders.run_epoch, all_of_it.orders.next_counter = run_epoch, 0
            return OrderBrain(all_of_it)

        found = recover(RUN_FOLDER, make, disk=disk)
        placed_ids: frozenset[str] = frozenset()
        run_epoch, state = 1, None
        if found.ending is not None and found.machine is not None:
            placed_ids = frozenset(_placed_ids(disk))
            run_epoch, state = found.ending.run_epoch + 1, found.machine.state()
        run = Run("simulation", "0", {RUN_EPOCH: str(run_epoch)})
        log = found.begin(
            RUN_FOLDER,
            run,
            monotonic_ns=clock.monotonic_ns(),
            wall_ns=clock.wall_ns(),
            settings=journal_settings(profile),
            disk=disk,
        )
        return OrderProcess(make(run, state), log, placed_ids, "" if state is None else hash_state(state))


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


def _placed_ids(disk: VirtualDisk) -> Iterator[str]:
    """Ids of every order that the journal says was let out."""
    for record in JournalReader(RUN_FOLDER, disk=disk).records():
        if record.type == EFFECTS:
            for effect in decode_effects(record, path=""):
                if isinstance(effect, Place):
                    yield effect.client_order_id
