"""Where a process of the agent meets its virtual machine: what each needs of the other, and where it can be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from agent.core.effects import Effect
from agent.core.events import Event, Stamp
from agent.core.orders.order import Order
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.loop import NS_PER_S
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.schedule import Appointment, Schedule
from agent.journal.writer import JournalWriter


class Brain(Protocol):
    """The core under test, as the host needs it."""

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]: ...


class Witness(Protocol):
    """Who watches the process from outside."""

    def on_started(self) -> None: ...
    def on_step(self, event: Event, stamp: Stamp, effects: tuple[Effect, ...]) -> None: ...
    def on_sent(self, effect: Effect) -> None: ...
    def on_death(self, reason: str) -> None: ...
    def on_power_lost(self) -> None: ...
    def on_broken(self, error: BaseException) -> None: ...


class Started(Protocol):
    """A process that has read its journal: its parts, and what the judges ask of its books."""

    @property
    def brain(self) -> Brain: ...
    @property
    def log(self) -> JournalWriter: ...
    @property
    def placed_ids(self) -> frozenset[str]:
        """Ids of every order that the journal says was let out, in the part that was asked for."""

    @property
    def replayed_hash(self) -> str:
        """Of the state that the replay ended in; empty where there was nothing to replay."""

    @property
    def has_cut(self) -> bool:
        """The journal's end was torn, and was cut off."""

    @property
    def is_live(self) -> bool: ...
    @property
    def is_halted(self) -> bool: ...
    @property
    def exec_cursor(self) -> int: ...
    def live_orders(self) -> Iterator[Order]:
        """Every order that is not over, or owes fills; oldest first."""

    def order(self, client_order_id: str) -> Order | None: ...
    def is_on_its_way(self, effect: Effect) -> bool:
        """Whether an effect that waited for its record is one that the program still means."""

    def position_lots(self, symbol: str) -> int: ...
    def cash_atoms(self) -> int: ...
    def state(self) -> bytes: ...


class Program(Protocol):
    """How the agent starts on a machine. `start` raises agent.errors.SetupError where the disk does not let it."""

    def start(self, disk: VirtualDisk, clock: VirtualClock, profile: Profile, *, above: int = 0) -> Started:
        """`above`: the record from which on `placed_ids` are wanted."""


class WatchedBrain:
    """The core, whose steps the witness sees before anything comes of them."""

    def __init__(self, brain: Brain, witness: Witness) -> None:
        self._step = brain.step
        self._saw = witness.on_step

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        effects = self._step(event, stamp)
        self._saw(event, stamp, effects)
        return effects


class LoopOfTimers:
    """As much of an event loop as the agent's timers use."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def call_later(self, delay_s: float, call: Callable[..., object], *args: Any) -> Appointment:
        return self._schedule.at(self._schedule.now_ns + round(delay_s * NS_PER_S), call, *args)


class DyingLog:
    """The journal, at whose calls the process may be killed."""

    def __init__(self, log: JournalWriter, at: Callable[[str], None]) -> None:
        self._log = log
        self._at = at
        self._kind = ""
        self.unheard: tuple[Event, Stamp] | None = None
        """An event whose record may have been written and whose step was not taken: then a replay takes it."""
        self.is_recorded = False
        """The record of `unheard` was written whole."""

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        self._kind = type(event).__name__
        self._at("before the record of " + self._kind)
        self.unheard = event, Stamp(self._log.sequence + 1, monotonic_ns, wall_ns)
        self.is_recorded = False
        sequence = self._log.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
        self.is_recorded = True
        self._at("behind the record of " + self._kind)
        self.unheard = None
        return sequence

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        self._at("before the effects of " + self._kind)
        self._log.effects(effects, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
        self._at("behind the effects of " + self._kind)
