"""A world of bytes: the agent's client, protocol and shell, and the whole simulated venue, on one virtual loop.

Theory of operation. Nothing between core and matching engine is left out: coroutines with their time-outs run on virtual
time, frames are bytes, and the venue is the one that anybody's client can trade on, driven through its seam for
transports. The connection fails by seed, the process is killed and started anew, then all is calm and everything has to
agree with the venue's own trades: once without a restart, and once with one. Half of the seeds run ready callbacks in an
order of their own.

It is an order of magnitude slower than a world of events, so it has fewer faults and fewer seeds: what it is for is
connecting, time-outs, cancellation and reading frames under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.events import Event
from agent.core.events.control import GuardPulse, RunStarted, StrategyAlive
from agent.core.events.orders import CancelRequested, PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.orders.table import FINAL, OrderState
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import PROFILES
from agent.core.step import Core
from agent.devnet.purpleflea.door import TurnedAway
from agent.devnet.purpleflea.venue import Venue
from agent.devnet.virtual.clock import Timeline, VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import BY_NAME, Faults
from agent.devnet.virtual.host import RUN_FOLDER
from agent.devnet.virtual.link import NS_PER_MS, End, Latency
from agent.devnet.virtual.loop import VirtualLoop
from agent.devnet.virtual.network import Refused, VirtualNetwork
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.program import journal_settings
from agent.devnet.virtual.randomness import SeededEntropy, Streams
from agent.devnet.virtual.schedule import LoopSchedule
from agent.engine.venue_shell import VenueShell
from agent.journal.machine import CoreMachine, core_settings, make_core
from agent.journal.records import Run
from agent.journal.recovery import recover
from agent.journal.writer import JournalWriter
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol

ORIGIN = "wss://venue.test"
ACTIVE_S = 15.0
SETTLE_S = 120.0
LOOK_S = 0.5
WISH_S_MAX = 0.2
PULSE_S = 0.1
FAULTS = ("network.cut", "network.half_open", "network.slow", "network.hold_up", "network.hold_down", "network.refuse")
KILL_SHARE = 0.5
SYMBOLS = ("BTC-USDC", "ETH-USDC")
LOTS_MAX = 400


class WireOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it went. `problem` is empty where everything agreed."""

    seed: int
    problem: str
    steps: int
    orders: int
    fills: int
    connections: int
    virtual_ns: int
    fired: dict[str, int]
    digest: str


class Disagreement(Exception):
    """The agent's books are not the venue's, or nothing settles."""


class _Peer:
    """The venue's end of one connection."""

    def __init__(self, server: _Server, conn_id: int) -> None:
        self._server = server
        self._conn_id = conn_id

    def on_frame(self, data: Any) -> None:
        self._server.venue.exchange.receive(self._conn_id, data)

    def on_close(self, code: int | None, reason: str) -> None:
        self._server.venue.exchange.gone(self._conn_id)
        self._server.ends.pop(self._conn_id, None)


class _DigestedJournal:
    """The journal, of which all that is written also goes into a digest: not its check sums, which hold the code's hash."""

    def __init__(self, log: JournalWriter, digest: blake2b) -> None:
        self._log = log
        self._digest = digest

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        self._digest.update(msgspec.msgpack.encode((monotonic_ns, wall_ns, event)))
        return self._log.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        self._digest.update(msgspec.msgpack.encode(effects))
        self._log.effects(effects, monotonic_ns=monotonic_ns, wall_ns=wall_ns)


class _Server:
    """The simulated venue behind an origin of the virtual network: its transport, and its timers on the loop."""

    def __init__(self, schedule: LoopSchedule, clock: VirtualClock, *, seed: int) -> None:
        self._schedule = schedule
        self._clock = clock
        self.ends: dict[int, End] = {}
        self._connections = 0
        self.venue = Venue(self, clock, seed=seed, events_per_s=10.0)
        self.venue.timers.on_earlier = self._arm
        self.venue.open()
        self.keys = self.venue.create_account(funds="800000")
        self._arm()

    def accept(self, socket: End, path: str, headers: Mapping[str, str]) -> _Peer:
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            key = self.venue.exchange.admit(lower, "127.0.0.1")
        except TurnedAway as turned:
            raise Refused(turned.status) from None
        self._connections += 1
        conn_id = self._connections
        self.ends[conn_id] = socket
        self._schedule.at(self._schedule.now_ns, self.venue.exchange.open, conn_id, key, lower)
        return _Peer(self, conn_id)

    def send(self, conn_id: int, data: bytes) -> None:
        if conn_id in self.ends:
            self.ends[conn_id].send(data)

    def close(self, conn_id: int, code: int, reason: str) -> None:
        if conn_id in self.ends:
            self.ends[conn_id].close(code)

    def abort(self, conn_id: int) -> None:
        if conn_id in self.ends:
            self.ends[conn_id].abort()

    def stall(self, conn_id: int, *, is_reading_too: bool) -> None:
        """A stalled socket is a fault of the network here."""

    def resume(self, conn_id: int) -> None:
        """As `stall`."""

    def _arm(self) -> None:
        due_ns = self.venue.timers.next_ns()
        if due_ns is not None:
            wait_ns = max(0, due_ns - self._clock.monotonic_ns())
            self._schedule.at(self._schedule.now_ns + wait_ns, self._wake)

    def _wake(self) -> None:
        self.venue.timers.run(self._clock.monotonic_ns())
        self._arm()


class WireWorld:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams = streams = Streams(seed)
        stream = streams["profile"]
        rates = {
            name: BY_NAME[name].brutal_ppm if stream.random() < 0.3 else BY_NAME[name].mild_ppm
            for name in FAULTS
            if stream.random() < 0.5
        }
        self._profile = Profile(rates_ppm=rates, latency_base_ns=stream.choice((NS_PER_MS // 5, 5 * NS_PER_MS)))
        self._has_kills = stream.random() < KILL_SHARE
        self._timeline = Timeline()
        self._loop = VirtualLoop(self._timeline, shuffle=streams["shuffle"] if stream.random() < 0.5 else None)
        self._schedule = LoopSchedule(self._timeline, self._loop)
        self.faults = Faults(rates, streams)
        latency = Latency(base_ns=self._profile.latency_base_ns, mean_ns=NS_PER_MS)
        self._network = VirtualNetwork(self._schedule, self.faults, streams, latency=latency)
        self._server = _Server(self._schedule, VirtualClock(self._timeline), seed=seed)
        self._network.serve(ORIGIN, self._server)
        self._disk = VirtualDisk(Faults({}, streams), streams["disk"])
        self._clock = VirtualClock(self._timeline)
        self._wishes: dict[tuple[str, Side, int], None] = {}
        self._steps = self._connections = 0
        self._is_running = False
        self._digest = blake2b(digest_size=16)
        self._shell: VenueShell
        self._client: PurpleFleaClient
        self._task: asyncio.Task[None]
        self._log: JournalWriter

    def run(self) -> WireOutcome:
        """To the end."""
        problem = ""
        try:
            self._loop.run(self._main())
        except Disagreement as found:
            problem = str(found)
        engine = self._server.venue.floor.engine
        own = [order for order in engine.by_order_id.values() if order.account == self._server.keys.agent_id]
        return WireOutcome(
            seed=self.seed,
            problem=problem,
            steps=self._steps,
            orders=len(own),
            fills=sum(order.cum_lots > 0 for order in own),
            connections=self._connections,
            virtual_ns=self._timeline.now_ns,
            fired=dict(sorted(self.faults.fired.items())),
            digest=self._digest.hexdigest(),
        )

    async def _main(self) -> None:
        self._boot()
        pulses = asyncio.create_task(self._pulse())
        stream = self._streams["workload"]
        ends_s = self._loop.time() + ACTIVE_S
        while self._loop.time() < ends_s:
            await asyncio.sleep(stream.uniform(0.01, WISH_S_MAX))
            self._wish()
            if self._has_kills and stream.random() < 0.01:
                await self._restart()
        self.faults.calm()
        self._network.calm()
        await self._settle("without a restart")
        await self._restart()
        await self._settle("with a restart")
        pulses.cancel()
        self._end()

    # The process

    def _boot(self) -> None:
        options = Options(symbols=SYMBOLS)
        desk = DeskSettings(
            symbols=SYMBOLS,
            currency="USDC",
            profile=PROFILES["standard"],
            account=AccountLimits(max_order_lots=100_000, margin_ppm=100_000),
        )
        recovered = recover(RUN_FOLDER, make_core, disk=self._disk)
        machine = recovered.machine
        state = machine.core.state() if isinstance(machine, CoreMachine) else None
        core = Core(trading=desk, needs_guard=True, state=state)
        self._log = recovered.begin(
            RUN_FOLDER,
            Run("simulation", "1", core_settings(trading=desk, needs_guard=True)),
            monotonic_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            settings=journal_settings(self._profile),
            disk=self._disk,
        )
        self._shell = shell = VenueShell(core, _DigestedJournal(self._log, self._digest), self._clock)
        self._client = PurpleFleaClient(
            PurpleFleaProtocol(options),
            self._network,
            ORIGIN + "/ws",
            Credentials(self._server.keys.trade.secret),
            shell.on_events,
            clock=self._clock,
            entropy=SeededEntropy(self._streams["jitter"]),
        )
        shell.client = self._client
        shell.take(RunStarted(run_epoch=self._log.run_epoch))
        shell.start()
        self._task = asyncio.create_task(self._client.run())
        self._is_running = True

    def _end(self) -> None:
        """The process is killed: nothing of it acts any more, and what it wrote is there."""
        self._is_running = False
        self._steps += self._log.sequence
        self._connections += self._client.connections
        self._shell.close()
        self._task.cancel()
        self._network.kill_process()
        self._disk.kill_process()

    async def _restart(self) -> None:
        self._end()
        await asyncio.sleep(self._streams["restart"].uniform(0.05, 2.0))
        self._boot()

    async def _pulse(self) -> None:
        while True:
            if self._is_running and self._shell.stepper.broken is None:
                self._shell.take(GuardPulse(True))
                self._shell.take(StrategyAlive("workload"))
                self._log.work()
                health = self._log.health(self._clock.monotonic_ns())
                if health is not None:
                    self._shell.take(health)
            await asyncio.sleep(PULSE_S)

    # The strategy

    def _wish(self) -> None:
        stream = self._streams["workload"]
        desk = self._shell.core.desk
        assert desk is not None
        symbol, side = stream.choice(SYMBOLS), stream.choice(tuple(Side))
        lots, offset, kind = stream.randrange(1, LOTS_MAX), stream.randint(-20, 8), stream.random()
        order_type = stream.choice(
            (OrderType.LIMIT, OrderType.LIMIT, OrderType.IOC, OrderType.FOK, OrderType.POST_ONLY)
        )
        book = desk.state.markets.of(symbol).book
        wish: Event
        if kind < 0.25:
            live = [order for order in desk.orders.state.live.values() if order.state not in FINAL]
            if not live:
                return
            wish = CancelRequested(live[int(kind * 1_000) % len(live)].client_order_id)
        elif book.is_good and (symbol, side, lots) not in self._wishes:
            self._wishes[symbol, side, lots] = None
            touch = book.touch_ticks(side)
            price = touch + side.sign * (min(offset, -1) if order_type is OrderType.POST_ONLY else offset)
            wish = PlaceRequested(
                strategy="workload",
                symbol=symbol,
                side=side,
                order_type=order_type,
                lots=lots,
                price_ticks=price,
                decided_seq=desk.state.markets.arrivals.seqs[-1],
            )
        else:
            return
        self._shell.take(wish)

    # The judge

    async def _settle(self, how: str) -> None:
        ends_s = self._loop.time() + SETTLE_S
        while open_ends := self._open_ends():
            if self._loop.time() > ends_s:
                raise Disagreement(f"not settled {how}: {open_ends}")
            await asyncio.sleep(LOOK_S)
        self._judge()

    def _open_ends(self) -> str:
        desk = self._shell.core.desk
        assert desk is not None
        if self._shell.stepper.broken is not None:
            raise Disagreement(f"the core or its shell failed: {self._shell.stepper.broken!r}")
        if self._shell.core.is_halted:
            raise Disagreement(f"halted without a cause: {self._shell.stopped}")
        if not desk.session.is_live:
            return f"the session is {desk.session.state.phase}"
        told = self._books()["last_exec_seq"]
        if desk.orders.state.cursor != told:
            return f"{told} executions, {desk.orders.state.cursor} known"
        for order in desk.orders.state.live.values():
            if order.state is not OrderState.OPEN or order.is_cancel_requested:
                return f"{order.client_order_id} is {order.state}"
        return ""

    def _books(self) -> dict[str, Any]:
        books: dict[str, Any] = self._server.venue.books()["accounts"][self._server.keys.agent_id]
        return books

    def _judge(self) -> None:
        """Every order and position as the venue has it; at most one order for a wish."""
        desk = self._shell.core.desk
        assert desk is not None
        engine = self._server.venue.floor.engine
        account = self._server.keys.agent_id
        positions: dict[str, int] = {}
        for trade in engine.trades:
            for order, sign in ((trade.taker, 1), (trade.maker, 1)):
                if order.account == account:
                    lots = sign * Side(str(order.place.side)).sign * trade.lots
                    positions[trade.symbol] = positions.get(trade.symbol, 0) + lots
        for symbol in SYMBOLS:
            if positions.get(symbol, 0) != desk.state.accounts.lots(symbol):
                raise Disagreement(
                    f"{symbol}: {desk.state.accounts.lots(symbol)} here, {positions.get(symbol, 0)} there"
                )
        seen: dict[tuple[str, str, int], str] = {}
        for order in engine.by_order_id.values():
            if order.account != account or order.status == "rejected":
                continue
            name = order.place.client_order_id
            ours = desk.orders.get(name)
            if ours is None or ours.cum_lots != order.cum_lots or (ours.state in FINAL) != (order.status != "open"):
                raise Disagreement(f"{name}: {ours} here, {order.status} {order.cum_lots} there")
            wish = order.place.symbol, str(order.place.side), order.lots
            if seen.setdefault(wish, name) != name:
                raise Disagreement(f"two orders for one wish: {name} and {seen[wish]}")
