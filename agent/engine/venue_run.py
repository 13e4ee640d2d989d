"""A run on an order-book venue: core, journal, guard and connection put together, and taken apart in order.

Theory of operation. The journal comes first: what an earlier run left in the same folder is replayed, and the new run
carries on from there under a higher run epoch. Then the guard, without whom no order may go out; then the connection. At
the end the strategies fall silent, everything is cancelled behind a fence and looked for, the state is written, and the
guard is told good-bye, after which it looks for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects.control import Alarm
from agent.core.events import Event, Stamp
from agent.core.events.control import GuardGone, GuardPulse, OperatorCommand, RunStarted, TimerFired
from agent.core.risk.profiles import PPM
from agent.core.session import FULL
from agent.core.step import Core
from agent.engine.account_page import AccountPage
from agent.engine.collector import quiet_collector
from agent.engine.command_box import CommandBox
from agent.engine.crash import abandon
from agent.engine.guarded import GuardPlan, guarded
from agent.engine.signal_door import signal_door
from agent.engine.traders import StrategyTrader
from agent.engine.venue_result import VenueResult, result_of, sums
from agent.engine.venue_shell import VenueShell
from agent.journal.code import code_hash
from agent.journal.machine import CoreMachine, core_settings, make_core
from agent.journal.records import Run
from agent.journal.recovery import recover
from agent.journal.settings import DEVNET, Durability, JournalSettings
from agent.journal.snapshots import hash_state
from agent.journal.writer import JournalWriter
from agent.ports.clock import Clock
from agent.ports.network import Network
from agent.ports.processes import NO_VENUE_AGE_MS, Figures, Guard
from agent.strategies.order_book import OrderBookStrategy
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.latency import Stages
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol

SECOND_NS = 1_000_000_000
HASH_EVERY_NS = 10 * SECOND_NS
SNAPSHOT_EVERY = 100_000
"""Records between two snapshots: a start reads no more than so many."""
WIND_DOWN_S = 8.0
COMPARE_S = 0.1
LOOK_S = 0.02
COMMANDS_S = 0.25
"""Between two looks for a person's commands."""


class VenueAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue is, and as whom."""

    ws_url: str
    credentials: Credentials
    options: Options
    connect_within_s: float = 10.0
    signal_keys: dict[str, bytes | None] = {}
    """Producers of signals, with the key of the code over their signals where they have one."""

    def __repr__(self) -> str:
        return f"VenueAccess({', '.join(self.options.symbols)})"


class VenueRun(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `seconds` None: until it is stopped."""

    run: str
    folder: Path
    world: str
    mode: str
    desk: DeskSettings
    access: VenueAccess
    guard: GuardPlan
    strategies: tuple[tuple[str, OrderBookStrategy], ...]
    seconds: float | None = None
    journal: JournalSettings = DEVNET


class _GuardEars:
    """What the guard says becomes events of the core; that it protects nobody is said to a person too."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.take: Callable[[Event], None] = lambda event: None
        self.was_armed = False
        """At some time of the run."""
        self._is_armed: bool | None = None
        self._folder = folder
        self._say = say

    def on_pulse(self, is_armed: bool) -> None:
        if is_armed is not self._is_armed:
            if not is_armed:
                self._say(f"the guard is not armed, so nothing goes out: `mev-agent status --folder {self._folder}`")
            elif self._is_armed is not None:
                self._say("the guard is armed")
            self._is_armed = is_armed
            self.was_armed = self.was_armed or is_armed
        self.take(GuardPulse(is_armed))

    def on_gone(self, reason: str) -> None:
        self.take(GuardGone(reason))


class _Watched:
    """Tells the guard at each beat where the core stands, and the core how the journal is."""

    def __init__(self, guard: Guard, journal: JournalWriter) -> None:
        self._guard = guard
        self._journal = journal
        self.heard_ns: Callable[[], int | None] = lambda: None
        """When the venue was last heard; None without a session."""
        self._last_heard_ns: int | None = None
        self._crc = 0
        self._orders: deque[tuple[int, int]] = deque()
        self._hashed_ns: int | None = None
        self._snapshot_sequence = journal.sequence

    def stepped(self, stamp: Stamp) -> None:
        self._crc = self._journal.crc
        self._guard.store_progress(stamp.seq, self._crc)

    def beat(self, core: Core, stamp: Stamp) -> Event | None:
        assert core.desk is not None
        desk = core.desk
        counter = desk.orders.state.next_counter
        orders = self._orders
        orders.append((stamp.monotonic_ns, counter))
        while stamp.monotonic_ns - orders[0][0] > SECOND_NS:
            orders.popleft()
        breakers = desk.state.breakers
        heard_ns = self.heard_ns()
        if heard_ns is not None:
            self._last_heard_ns = heard_ns
        self._guard.beat(
            Figures(
                event_seq=stamp.seq,
                event_crc=self._crc,
                digest=self._journal.digest,
                mode="halted" if core.is_halted or breakers.is_halted else "normal",
                exec_seq=desk.orders.state.cursor,
                next_order=counter,
                nav_atoms=breakers.day_loss.nav_atoms or 0,
                day_loss_atoms=breakers.loss_today_atoms,
                exposure_atoms=desk.worst_exposure_atoms(),
                orders_last_second=counter - orders[0][1],
                venue_age_ms=self._venue_age_ms(stamp.monotonic_ns),
            )
        )
        if self._hashed_ns is None or stamp.monotonic_ns - self._hashed_ns >= HASH_EVERY_NS:
            self._hashed_ns = stamp.monotonic_ns
            state_hash = hash_state(core.state())
            self._journal.state(state_hash, monotonic_ns=stamp.monotonic_ns, wall_ns=stamp.wall_ns)
        if self._journal.sequence - self._snapshot_sequence >= SNAPSHOT_EVERY:
            self._snapshot_sequence = self._journal.sequence
            self._journal.snapshot(core.state(), monotonic_ns=stamp.monotonic_ns, wall_ns=stamp.wall_ns)
        return self._journal.health(stamp.monotonic_ns)

    def _venue_age_ms(self, now_ns: int) -> int:
        """A session that is lost goes on ageing: its orders may be live. Before the first there is nothing to lose."""
        if self._last_heard_ns is None:
            return NO_VENUE_AGE_MS
        return min(max(0, now_ns - self._last_heard_ns) // 1_000_000, NO_VENUE_AGE_MS - 1)


async def run_venue(
    asked: VenueRun,
    *,
    network: Network,
    clock: Clock,
    say: Callable[[str], None],
    meanwhile: Callable[[VenueShell, PurpleFleaClient], Awaitable[None]] | None = None,
) -> tuple[VenueResult, Stages]:
    """Trade until the time is over, the task is cancelled or the core halts. `meanwhile` runs beside it.

    Raises Halted while the guard's latch is set, SetupError where guard, journal or venue cannot be had, and whatever
    broke the core: then no good-bye was said, so the guard stops what is left, and this process where it stays.
    """
    recovered = recover(asked.folder, make_core)
    core = _core_of(recovered.machine, asked)
    configuration = hashlib.blake2b(msgspec.json.encode(asked.desk), digest_size=32).digest()
    settings = {
        "world": asked.world,
        "mode": asked.mode,
        "venue": "purpleflea",
        **core_settings(trading=asked.desk, needs_guard=True),
    }
    journal = recovered.begin(
        asked.folder,
        Run(asked.run, "1", settings),
        monotonic_ns=clock.monotonic_ns(),
        wall_ns=clock.wall_ns(),
        settings=asked.journal,
        config_hash=configuration,
    )
    ears = _GuardEars(asked.guard.folder, say)
    build = hashlib.blake2b(code_hash() + configuration, digest_size=16).digest()
    started_wall_ns, started_ns = clock.wall_ns(), clock.monotonic_ns()
    try:
        async with guarded(
            limited(asked.guard, core),
            run=asked.run,
            run_epoch=journal.run_epoch,
            build=build,
            listener=ears,
            event_seq=journal.sequence,
            digest=journal.digest,
            clock=clock,
        ) as guard:
            watched = _Watched(guard, journal)
            traders = [StrategyTrader(name, strategy) for name, strategy in asked.strategies]
            shell = VenueShell(
                core,
                journal,
                clock,
                traders=traders,
                watcher=watched,
                when_synced=journal.when_synced if asked.journal.durability is Durability.POWER else None,
                say=say,
            )
            ears.take = shell.tell
            protocol = PurpleFleaProtocol(asked.access.options)
            client = PurpleFleaClient(
                protocol,
                network,
                asked.access.ws_url,
                asked.access.credentials,
                shell.on_events,
                clock=clock,
                on_alarm=shell.alarm,
                connect_within_s=asked.access.connect_within_s,
            )
            _remember(protocol, core)
            shell.client = client
            watched.heard_ns = lambda: protocol.heard_ns
            began = sums(core)
            if core.is_halted and not guard.must_reduce:
                standing = core.standing
                say(f"HALTED since an earlier run by {standing.halted_by}: {standing.halt_reason}; nothing goes out")
                say("  a person ends it: `mev-agent tell reset_halt --run FOLDER --reason ...`")
            shell.take(RunStarted(run_epoch=journal.run_epoch, is_reset=guard.must_reduce))
            shell.start()
            try:
                with quiet_collector():
                    door = signal_door(asked.folder, shell, asked.access.signal_keys, clock, say)
                    was_cancelled = await _trade(
                        shell, client, traders, asked, CommandBox(asked.folder, say), door, meanwhile
                    )
            finally:
                shell.close()
                broken = shell.stepper.broken
                if broken is None:
                    # No beat comes any more, and closing the journal may take longer than the guard waits for one.
                    await guard.leave()
                else:
                    wall_ns, last = clock.wall_ns(), journal.sequence
                    abandon(guard, broken, folder=asked.folder, run=asked.run, sequence=last, wall_ns=wall_ns, say=say)
            if broken is not None:
                raise broken
            journal.close(state=core.state())
    finally:
        journal.close()
    seconds = (clock.monotonic_ns() - started_ns) / 1e9
    result = result_of(asked.run, core, shell, client, journal, began, started_wall_ns, seconds)
    result.is_cancelled = was_cancelled
    if not client.connections:
        result.problem = f"the venue was never reached: {client.last_problem or 'no answer'}"
    elif not ears.was_armed:
        result.problem = "the guard was never armed, so no order could go out"
    return result, client.stages


async def _trade(
    shell: VenueShell,
    client: PurpleFleaClient,
    traders: Sequence[StrategyTrader],
    asked: VenueRun,
    commands: CommandBox,
    door: AbstractAsyncContextManager[None],
    meanwhile: Callable[[VenueShell, PurpleFleaClient], Awaitable[None]] | None,
) -> bool:
    """Whether it was cancelled from outside."""
    connection = asyncio.create_task(client.run())
    hearing = asyncio.create_task(_hear(commands, shell, AccountPage(asked.folder, asked.run)))
    beside = None if meanwhile is None else asyncio.ensure_future(meanwhile(shell, client))
    stopped = asyncio.create_task(shell.on_stopped.wait())
    was_cancelled = False
    try:
        async with door:
            await asyncio.wait({connection, stopped}, timeout=asked.seconds, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        was_cancelled = True
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
    finally:
        for trader in traders:
            trader.is_stopped = True
        if beside is not None:
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
        stopped.cancel()
        hearing.cancel()
    if shell.stepper.broken is None and shell.core.desk is not None and shell.core.desk.state.is_opened:
        winding_down = asyncio.create_task(_wind_down(shell))
        await asyncio.wait({winding_down, connection}, timeout=WIND_DOWN_S, return_when=asyncio.FIRST_COMPLETED)
        if not winding_down.done():
            winding_down.cancel()
            detail = "the run ended before its books were compared with the venue's"
            shell.alarm(Alarm("warning", "NOT_COMPARED", "", detail))
        elif shell.stepper.broken is None:
            winding_down.result()
    client.stop()
    await connection
    return was_cancelled


async def _hear(commands: CommandBox, shell: VenueShell, page: AccountPage) -> None:
    """What a person asks for, event by event, and the page that tells how things are, until the run ends."""
    try:
        while True:
            for command in commands.take():
                shell.tell(command)
            page.look(shell.core)
            await asyncio.sleep(COMMANDS_S)
    finally:
        page.look(shell.core)


def _remember(protocol: PurpleFleaProtocol, core: Core) -> None:
    """Orders of an earlier run may still be heard of, by frames that name no symbol and before the venue named any."""
    assert core.desk is not None
    for market in core.desk.state.markets.by_symbol.values():
        if market.instrument is not None:
            protocol.define(market.instrument)
    for order in core.desk.orders.all_live():
        protocol.remember(order.client_order_id, order.symbol)


async def _wind_down(shell: VenueShell) -> None:
    """Cancel everything, and compare all with the venue once more; comes to its end when both are done.

    An order can be seen to end while the frame of its last fill is lost; with no frame behind it only a comparison tells.
    """
    desk = shell.core.desk
    assert desk is not None
    orders, session = desk.orders, desk.session
    while not orders.state.is_up:
        await asyncio.sleep(LOOK_S)
    shell.take(OperatorCommand(action="cancel_all", reason="the run ends"))
    while orders.open_count():
        await asyncio.sleep(LOOK_S)
    agreed_seq = session.state.agreed_seq
    while session.state.agreed_seq == agreed_seq:
        if session.is_live and session.state.round is None:
            shell.take(TimerFired(FULL))
        await asyncio.sleep(COMPARE_S)


def limited(plan: GuardPlan, core: Core) -> GuardPlan:
    """Where no other limits are set the guard holds the account to its profile's, as soon as a run has left its value.

    Rounded down; the guard stops at a tenth above, which the core never reaches by its own orders.
    """
    assert core.desk is not None
    breakers = core.desk.state.breakers
    nav_atoms, profile = breakers.nav_ref_atoms, breakers.profile
    if nav_atoms <= 0:
        return plan
    return msgspec.structs.replace(
        plan,
        max_exposure_atoms=plan.max_exposure_atoms or nav_atoms * profile.max_gross_ppm // PPM,
        max_day_loss_atoms=plan.max_day_loss_atoms or nav_atoms * profile.day_loss_ppm // PPM,
    )


def _core_of(machine: object, asked: VenueRun) -> Core:
    """The core as the last run left it, or a new one."""
    if isinstance(machine, CoreMachine):
        return Core(trading=asked.desk, needs_guard=True, state=machine.core.state())
    return Core(trading=asked.desk, needs_guard=True)
