"""The agent's machine: a process with a core, a journal on a disk, timers, and a connection to the venue.

Theory of operation. The core, the stepping, the timers and the journal are the agent's own; the disk, the clocks and
the connection are simulated. A process begins by replaying its journal through a fresh core, which must give the effects
that were recorded and end in the state that the process before it had when it died; only then it connects. It can die at
every point where something leaves it: before and behind each record and each request.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from agent.core.effects import Effect
from agent.core.effects import orders as requests
from agent.core.effects.control import ArmTimer, DisarmTimer
from agent.core.events import Event, Stamp
from agent.core.events.control import ClockAgreed, RunStarted, TimerFired
from agent.devnet.virtual.client import Client
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.crashes import CrashPoints, PowerLost, ProcessDied
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.guard import Ears, VirtualGuard, VirtualLink
from agent.devnet.virtual.link import NS_PER_MS
from agent.devnet.virtual.network import VirtualNetwork
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.schedule import Schedule
from agent.devnet.virtual.seams import (
    Brain,
    DyingLog,
    LoopOfTimers,
    Program,
    Started,
    WatchedBrain,
    Witness,
)
from agent.devnet.virtual.venue import Venue
from agent.engine.stepping import CLOCK_STEP_NS, Stepper
from agent.engine.timers import Timers
from agent.errors import SetupError
from agent.journal.writer import NEEDS_SYNC
from agent.ports.processes import Figures

NS_PER_S = 1_000_000_000
WAKE_NS = 200_000
"""A thread that was woken runs within this."""
SNAPSHOT_NS = 2 * NS_PER_S
BEAT_NS = 100 * NS_PER_MS
RUN_FOLDER = Path("/agent/run")
ON_THE_WIRE = (
    requests.Place, requests.CancelOrder, requests.Amend, requests.CancelAll, requests.QueryStatus, requests.QueryOpen,
    requests.QueryAccount, requests.ReplayFrom, requests.ArmDeadman, requests.Resynchronise,
)  # fmt: skip


class Host:
    """One machine. `incarnation` counts its processes; nothing of an earlier one acts in a later one."""

    def __init__(
        self, schedule: Schedule, clock: VirtualClock, disk: VirtualDisk, network: VirtualNetwork, venue: Venue,
        guard: VirtualGuard, faults: Faults, profile: Profile, jitter: random.Random, program: Program, witness: Witness,
        points: CrashPoints,
    ) -> None:  # fmt: skip
        self._schedule = schedule
        self.clock = clock
        self.disk = disk
        self._guard = guard
        self._link: VirtualLink | None = None
        self._faults = faults
        self._profile = profile
        self._program = program
        self._witness = witness
        self._points = points
        self.incarnation = 0
        self.is_running = False
        self.client = Client(self, schedule, network, venue, faults, profile, jitter)
        self.started: Started | None = None
        self.log: DyingLog | None = None
        self.stepper: Stepper | None = None
        self._timers: Timers | None = None
        self._stalled_until_ns = 0
        self._last_offset_ns = 0
        self._read_up_to = 0
        self._is_woken = False
        self._disk_busy_until_ns = 0

    @property
    def brain(self) -> Brain:
        assert self.started is not None
        return self.started.brain

    @property
    def last_seq(self) -> int:
        """Of the last stepped event."""
        assert self.stepper is not None
        return self.stepper.last.seq

    def on_sent(self, effect: Effect) -> None:
        """A request leaves the process."""
        self._witness.on_sent(effect)

    # Life and death

    def boot(self, *, is_reset: bool = False) -> None:
        """Start a process; `is_reset`: a person took a halt back. Raises what the program raises, and ProcessDied."""
        self.incarnation += 1
        self.started = started = self._program.start(self.disk, self.clock, self._profile, above=self._read_up_to)
        self._witness.on_started()
        self._read_up_to = started.log.sequence
        self.log = DyingLog(started.log, self._pass_in_step)
        self.stepper = Stepper(
            WatchedBrain(started.brain, self._witness),
            self.log,
            self.clock,
            act=self._act,
            on_broken=self._on_broken,
        )
        loop = cast(asyncio.AbstractEventLoop, LoopOfTimers(self._schedule))
        self._timers = Timers(loop, self.clock, lambda name: self.take(TimerFired(name)))
        self.is_running = True
        self._stalled_until_ns = 0
        self._last_offset_ns = self.clock.wall_ns() - self.clock.monotonic_ns()
        self.take(RunStarted(run_epoch=started.log.run_epoch, is_reset=is_reset))
        self._link = self._watched(is_reset=is_reset)
        self.later(BEAT_NS, self._beat)
        self.client.begin()
        self._is_woken = False
        self.later(0, self._work_regularly)
        if self._profile.has_snapshots:
            self.later(SNAPSHOT_NS, self._snapshot)

    def _watched(self, *, is_reset: bool) -> VirtualLink | None:
        """A link to the guard. Without one a process does not place orders; here it lives on, to show that it does not."""
        incarnation = self.incarnation
        ears = Ears(lambda event: self._if_alive(incarnation, self.take, (event,)))
        try:
            return self._guard.watch(ears, must_reduce=is_reset)
        except SetupError:
            return None

    def _beat(self) -> None:
        self.later(BEAT_NS, self._beat)
        self.take(TimerFired("beat"))
        if self._link is not None and self.is_running and self.stepper is not None and self.stepper.broken is None:
            assert self.started is not None
            last, log = self.stepper.last, self.started.log
            self._link.store_progress(last.seq, log.crc)
            self._link.beat(Figures(event_seq=last.seq, event_crc=log.crc, digest=log.digest))

    def kill(self, reason: str) -> None:
        """SIGKILL: files and sockets are closed by the kernel; the journal keeps what was written."""
        if not self.is_running:
            return
        self.is_running = False
        if self._link is not None:
            self._guard.unlink(self._link)
            self._link = None
        if self._timers is not None:
            self._timers.close()
        self.client.abort()
        self.clear_away()
        self._witness.on_death(reason)

    def clear_away(self) -> None:
        """What the kernel does with a process that is dead."""
        self._points.clear()
        self.disk.kill_process()

    def lose_power(self) -> None:
        """The machine goes off: what no sync covered may be gone, and its monotonic clock begins anew."""
        if self.is_running:
            self._witness.on_power_lost()
            self.kill("loss of power")
            self.go_off()

    def go_off(self) -> None:
        """The machine without power, whatever ran on it."""
        self.disk.lose_power()
        self.clock.reboot()

    def _pass_in_step(self, point: str) -> None:
        self._points.at(point)
        if self._faults.strikes("host.kill_in_step"):
            self._points.die(ProcessDied(point))

    def _die_here(self, death: ProcessDied) -> None:
        if isinstance(death, PowerLost):
            self.lose_power()
        else:
            self.kill(str(death))

    def _on_broken(self, error: BaseException) -> None:
        self.client.abort()

    def stall(self, for_ns: int) -> None:
        """The process does not run for a while; what comes in waits."""
        self._stalled_until_ns = max(self._stalled_until_ns, self._schedule.now_ns + for_ns)

    # In

    def take(self, *taken: Event) -> None:
        """Step events, unless the process is dead or does not run just now."""
        if not self.is_running or self.stepper is None:
            return
        if self._schedule.now_ns < self._stalled_until_ns:
            self.later(self._stalled_until_ns - self._schedule.now_ns, self.take, *taken)
            return
        try:
            self.stepper.take_all((*self._own_events(), *taken))
        except ProcessDied as death:
            self._die_here(death)
        except Exception as error:  # noqa: BLE001 - the world judges whether the process may end so
            self._witness.on_broken(error)
            self.kill(f"{type(error).__name__}: {error}")

    def _own_events(self) -> tuple[Event, ...]:
        """What the process itself notices: the journal's health, and a wall clock that was set."""
        assert self.started is not None
        health = self.started.log.health(self.clock.monotonic_ns())
        noticed: tuple[Event, ...] = () if health is None else (health,)
        offset_ns = self.clock.wall_ns() - self.clock.monotonic_ns()
        moved_ns, self._last_offset_ns = offset_ns - self._last_offset_ns, offset_ns
        if abs(moved_ns) > CLOCK_STEP_NS:  # the stepper tells the core
            self.later(2 * NS_PER_S, self.take, ClockAgreed())
        return noticed

    # Out

    def _act(self, effect: Effect, stamp: Stamp) -> None:
        kind = type(effect)
        if kind is ArmTimer:
            assert isinstance(effect, ArmTimer) and self._timers is not None
            self._timers.arm(effect)
        elif kind is DisarmTimer:
            assert isinstance(effect, DisarmTimer) and self._timers is not None
            self._timers.disarm(effect)
        elif kind is requests.Reconnect:
            self.later(0, self.client.reconnect)
        elif kind in ON_THE_WIRE:
            name = kind.__name__
            self._points.at("before " + name)
            if kind in NEEDS_SYNC and self._faults.strikes("host.kill_at_send"):
                self._points.die(ProcessDied("before " + name))
            if kind in NEEDS_SYNC:
                assert self.started is not None
                self.started.log.when_synced(self._when_durable(effect))
                self._work_soon()
            else:
                self.client.send(effect)
            self._points.at("behind " + name)
            if kind in NEEDS_SYNC and self._faults.strikes("host.kill_at_send"):
                self._points.die(ProcessDied("behind " + name))
            if kind in NEEDS_SYNC and self._faults.strikes("host.power_at_send"):
                self._points.die(PowerLost())

    def _when_durable(self, effect: Effect) -> Callable[[BaseException | None], None]:
        incarnation = self.incarnation

        def go(failure: BaseException | None) -> None:
            if failure is None and self.is_running and self.incarnation == incarnation:
                self._points.at(f"before the wire takes {type(effect).__name__}")
                if self.started is not None and self.started.is_on_its_way(effect):
                    self.client.send(effect)
                self._points.at(f"behind the wire of {type(effect).__name__}")

        return go

    def _work_soon(self) -> None:
        """Wake the journal's thread: somebody waits for a record."""
        if self._profile.durability == "power" and not self._is_woken:
            self._is_woken = True
            self.later(WAKE_NS, self._work)

    def _work_regularly(self) -> None:
        """What the journal's thread does by itself, now and then."""
        assert self.started is not None
        self._work()
        self.later(self.started.log.settings.sync_every_ns, self._work_regularly)

    def _snapshot(self) -> None:
        """Write the whole state, so that the next start need not replay what led to it."""
        assert self.started is not None
        try:
            self.started.log.snapshot(
                self.started.state(), monotonic_ns=self.clock.monotonic_ns(), wall_ns=self.clock.wall_ns()
            )
        except Exception as error:  # noqa: BLE001 - the world judges whether the process may end so
            self._witness.on_broken(error)
            self.kill(f"{type(error).__name__}: {error}")
            return
        self.later(SNAPSHOT_NS, self._snapshot)

    def _work(self) -> None:
        """Sync, unless the disk is slow: then nothing else is synced meanwhile."""
        now_ns = self._schedule.now_ns
        if now_ns < self._disk_busy_until_ns:
            self._is_woken = True
            self.later(self._disk_busy_until_ns - now_ns, self._work)
        elif self._faults.strikes("disk.slow"):
            self._disk_busy_until_ns = now_ns + self._faults.span_ns("disk.slow", 300 * NS_PER_MS)
            self._work()
        else:
            self._is_woken = False
            if self.started is not None:
                self.started.log.work()

    def later(self, delay_ns: int, call: Callable[..., object], *args: Any) -> None:
        """Call it, if the process that asked for it still lives then."""
        self._schedule.at(self._schedule.now_ns + delay_ns, self._if_alive, self.incarnation, call, args)

    def _if_alive(self, incarnation: int, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self.is_running and self.incarnation == incarnation:
            try:
                call(*args)
            except ProcessDied as death:
                self._die_here(death)
