"""One world: a venue, markets, an agent's machine, what befalls them, and judges who believe none of them.

Theory of operation. A `Scenario` (seed, profile, actions) determines everything. First the actions are carried out
while faults strike. Then the world heals: no fault strikes any more and no wish is made, and within a bound everything
must settle, at first with the process that is there (a restart would hide what only a restart repairs), then again
behind one restart. The oracles watch all the time and judge at both ends. The first violation ends the world.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b

import msgspec

from agent.core.effects import Effect
from agent.core.effects import orders as requests
from agent.core.effects.control import Stop
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.events.control import GuardGone, GuardPulse, OperatorCommand, StrategyAlive, TimerFired
from agent.core.events.market import BookDelta, BookSnapshot, BookStale, MarketTick, SignalIn
from agent.core.instruments import OrderType, Side
from agent.devnet.virtual import actions as act
from agent.devnet.virtual.clock import Timeline, VirtualClock
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.faults import PPM, Faults
from agent.devnet.virtual.host import VENUE_URL, Host, Program
from agent.devnet.virtual.ledger import Ledger
from agent.devnet.virtual.link import NS_PER_MS, Latency
from agent.devnet.virtual.market import BTC, ETH, Market
from agent.devnet.virtual.network import VirtualNetwork
from agent.devnet.virtual.oracles import Oracles, Violation
from agent.devnet.virtual.profile import PRODUCER, Profile
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.schedule import HeapSchedule
from agent.devnet.virtual.venue import DEPOSIT_ATOMS, Venue
from agent.errors import SetupError
from agent.journal.errors import JournalFailed

NS_PER_S = 1_000_000_000
ACTIVE_NS = 20 * NS_PER_S
SETTLE_NS = 90 * NS_PER_S
"""Within so long behind the last fault everything must be settled."""
LOOK_NS = NS_PER_S // 2
MARKET_NS_MAX = 250 * NS_PER_MS
PULSE_NS = 200 * NS_PER_MS
DOWN_NS_MAX = 3 * NS_PER_S
FLOOD = 40
"""Signals at once."""
EVERYDAY = frozenset({BookDelta, MarketTick, GuardPulse, StrategyAlive, TimerFired, events.ClockOffset})
"""Events of which a world is full; a trace has them where they lead to something."""
WORTH_REACHING: dict[type, str] = {
    requests.ReplayFrom: "replay asked for",
    requests.CancelAll: "fence asked for",
    requests.Reconnect: "connection given up",
    requests.QueryStatus: "status asked for",
    requests.Amend: "amendment sent",
    requests.CancelOrder: "cancel sent",
}
"""Effects that show that a world came somewhere."""
RESET_NS = 4 * NS_PER_S
DISK_BYTES = 64 << 20
STRATEGIES = tuple(f"strategy-{number}" for number in range(12))


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All that a world is made of. Two worlds of one scenario are the same to the last byte."""

    seed: int
    profile: Profile
    actions: tuple[act.Action, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a world went."""

    seed: int
    violation: Violation | None
    steps: int
    virtual_ns: int
    fired: dict[str, int]
    """Faults by name, how often each struck."""
    reached: dict[str, int]
    """States worth reaching, how often each was."""
    digest: str
    """Of every event, its stamp and its effects, in order."""


class Finding(BaseException):
    """An oracle's word; ends the world. No handler of the agent may take it."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.oracle}: {violation.detail}")
        self.violation = violation


class _GivenUp(BaseException):
    """It is late enough."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the world holds the agent to, worked out from its risk profile without its help."""

    orders_per_s: int
    position_atoms: int


RISK: dict[str, tuple[int, int]] = {
    "conservative": (10, 50_000),
    "standard": (50, 150_000),
    "aggressive": (200, 300_000),
}
"""Orders a second, and the largest position in ppm of the account's value."""


class World:
    """Runs one scenario."""

    def __init__(self, scenario: Scenario, program: Program, *, kept_steps: int = 0) -> None:
        """`kept_steps`: so many of the last steps are kept in `trace`, for people."""
        self.scenario = scenario
        self.program = program
        self.profile = profile = scenario.profile
        self.streams = streams = Streams(scenario.seed)
        self.timeline = Timeline()
        self.schedule = schedule = HeapSchedule(self.timeline)
        self.faults = faults = Faults(profile.rates_ppm, streams)
        self.ledger = Ledger()
        self.markets = {one.symbol: Market(one, streams["market." + one.symbol]) for one in (BTC, ETH)}
        self.venue = Venue(
            schedule, VirtualClock(self.timeline), faults, streams["venue"], self.ledger, self.markets,
            acks_tell_result=profile.acks_tell_result,
        )  # fmt: skip
        latency = Latency(base_ns=profile.latency_base_ns, mean_ns=profile.latency_mean_ns)
        self.network = VirtualNetwork(schedule, faults, streams, latency=latency)
        self.network.serve(VENUE_URL.removesuffix("/ws"), self.venue)
        self.host = Host(
            schedule, VirtualClock(self.timeline), VirtualDisk(faults, streams["disk"], capacity_bytes=DISK_BYTES),
            self.network, self.venue, faults, profile, streams["jitter"], program, self,
        )  # fmt: skip
        orders_per_s, position_ppm = RISK[profile.risk]
        self.limits = Limits(orders_per_s=orders_per_s, position_atoms=DEPOSIT_ATOMS * position_ppm // PPM)
        self.trace: deque[str] = deque(maxlen=kept_steps)
        self.oracles = Oracles(self)
        self.venue.on_accepted = self.oracles.on_accepted
        self.reached: dict[str, int] = {}
        self.steps = 0
        self.is_over = False
        self.is_healed = False
        self._digest = blake2b(digest_size=16)
        self._encode = msgspec.msgpack.Encoder().encode
        self._quiet_until_ns = dict.fromkeys(self.markets, 0)
        self._guard_silent_until_ns = 0
        self._is_guard_gone = False
        self._pulses = 0
        self._signals: list[SignalIn] = []
        self.has_lost_power = False

    @property
    def may_lose_tail(self) -> bool:
        """Power was lost, and the agent was not told to guard against that: then the end of the journal may be gone."""
        return self.has_lost_power and self.profile.durability == "process"

    # Running

    def run(self, *, give_up_ns: int | None = None) -> Outcome:
        """To the end, to the first violation, or to `give_up_ns` of true time."""
        violation = None
        if give_up_ns is not None:
            self.schedule.at(give_up_ns, self._give_up)
        try:
            self._active()
            self.heal()
            self._settle("without a restart")
            self.oracles.judge_end()
            self.host.kill("planned restart")
            self._boot()
            self._settle("with a restart")
            self.oracles.judge_end()
        except Finding as finding:
            violation = finding.violation
        except _GivenUp:
            violation = None
        return Outcome(
            seed=self.scenario.seed, violation=violation, steps=self.steps, virtual_ns=self.timeline.now_ns,
            fired=dict(sorted(self.faults.fired.items())), reached=dict(sorted(self.reached.items())),
            digest=self._digest.hexdigest(),
        )  # fmt: skip

    def _active(self) -> None:
        self._boot()
        self._pulse()
        for market in self.markets.values():
            self._move(market)
        for action in self.scenario.actions:
            self.schedule.at(action.at_ns, self._carry_out, action)
        self._run_until(ACTIVE_NS)

    def _run_until(self, until_ns: int) -> None:
        while self.schedule.run_next(until_ns=until_ns):
            pass
        self.timeline.advance_to(until_ns)

    def heal(self) -> None:
        """End every disturbance; what is broken already stays broken."""
        self.faults.calm()
        self.network.calm()
        self.is_healed = True
        self._quiet_until_ns = dict.fromkeys(self.markets, 0)
        self._guard_silent_until_ns = 0
        self.venue.is_up = True
        self.host.disk.capacity_bytes = 1 << 40
        self.host.clock.mend_wall()
        if not self.host.is_running:
            self._boot()

    def _settle(self, how: str) -> None:
        """Run until all is settled and stays so for a while. Raises Finding where the bound passes first."""
        until_ns = self.timeline.now_ns + SETTLE_NS
        settled = 0
        while settled < 3:
            self._run_until(self.timeline.now_ns + LOOK_NS)
            open_ends = self.oracles.open_ends()
            settled = 0 if open_ends else settled + 1
            if open_ends and self.timeline.now_ns >= until_ns:
                self.find("O8", f"not settled {how}: {open_ends}")

    def _give_up(self) -> None:
        raise _GivenUp

    def find(self, oracle: str, detail: str) -> None:
        """An oracle found a violation."""
        raise Finding(Violation(oracle=oracle, at_ns=self.timeline.now_ns, detail=detail))

    def reach(self, state: str) -> None:
        """Something worth seeing has been seen."""
        self.reached[state] = self.reached.get(state, 0) + 1

    def count(self, fault: str) -> None:
        """A blow has struck."""
        self.faults.fired[fault] = self.faults.fired.get(fault, 0) + 1

    # The process, as seen from outside

    def _boot(self, *, is_reset: bool = False) -> None:
        try:
            self.host.boot(is_reset=is_reset)
        except SetupError as error:
            self.oracles.on_no_start(error)
            self.reach("start refused by the disk")
            self.host.disk.kill_process()
            self._boot_later()

    def _reset(self) -> None:
        """A person has looked at a halt, and lets the agent go on."""
        if not self.is_healed and not self.host.is_forbidden:
            self.host.kill("reset by a person")
            self._boot(is_reset=True)
            self.host.take(OperatorCommand(action="resume", reason="looked at"))
            self.reach("reset by a person")

    def on_started(self) -> None:
        self.oracles.on_started()
        if self.host.incarnation > 1:
            self.reach("started from a journal")
        if self.host.started is not None and self.host.started.has_cut:
            self.reach("torn tail cut")

    def _boot_later(self) -> None:
        down_ns = self.streams["restart"].randrange(NS_PER_S // 20, DOWN_NS_MAX)
        self.schedule.at(self.timeline.now_ns + down_ns, self._boot_if_down)

    def _boot_if_down(self) -> None:
        if not self.host.is_running:
            self._boot()

    def on_step(self, event: Event, stamp: Stamp, effects: tuple[Effect, ...]) -> None:
        self.steps += 1
        if self.trace.maxlen and (effects or type(event) not in EVERYDAY):
            self.trace.append(f"{self.timeline.now_ns / NS_PER_S:10.6f} s  #{stamp.seq} {event} -> {list(effects)}")
        self._digest.update(self._encode((stamp.seq, stamp.monotonic_ns, stamp.wall_ns, event, effects)))
        for effect in effects:
            if type(effect) is Stop:
                self.reach("halted by " + effect.by)
                if not self.is_healed:
                    self.schedule.at(self.timeline.now_ns + RESET_NS, self._reset)
            elif type(effect) in WORTH_REACHING:
                self.reach(WORTH_REACHING[type(effect)])
            elif type(effect) is requests.Notify and self.host.started is not None:
                order = self.host.started.order(effect.client_order_id)
                if order is not None:
                    self.reach(f"order {order.state}")
        self.oracles.on_step(event, stamp, effects)

    def on_sent(self, effect: Effect) -> None:
        self.oracles.on_sent(effect)

    def on_death(self, reason: str) -> None:
        self.oracles.on_death(reason)
        if not self.is_healed or reason.startswith(JournalFailed.__name__):
            self._boot_later()  # a journal that failed before the world healed ends its process only at the next step

    def on_power_lost(self) -> None:
        self.has_lost_power = True

    def on_broken(self, error: BaseException) -> None:
        self.oracles.on_broken(error)

    # The world's own doings

    def _move(self, market: Market) -> None:
        stream = self.streams["market.pace." + market.symbol]
        self.schedule.at(self.timeline.now_ns + stream.randrange(10 * NS_PER_MS, MARKET_NS_MAX), self._move, market)
        old_bids, old_asks = dict(market.bids), dict(market.asks)
        market.move()
        self.venue.on_market(market)
        session = self.venue.session
        if session is None or self.timeline.now_ns < self._quiet_until_ns[market.symbol]:
            return
        now_ns = self.host.clock.wall_ns()
        session.end.send(
            BookDelta(
                symbol=market.symbol, book_seq=market.book_seq, exchange_ns=now_ns,
                bids=tuple({**dict.fromkeys(old_bids, 0), **dict(market.bids)}.items()),
                asks=tuple({**dict.fromkeys(old_asks, 0), **dict(market.asks)}.items()),
            )
        )  # fmt: skip
        session.end.send(MarketTick(symbol=market.symbol, price_ticks=market.last_ticks, exchange_ns=now_ns))

    def _pulse(self) -> None:
        self.schedule.at(self.timeline.now_ns + PULSE_NS, self._pulse)
        if self.timeline.now_ns >= self._guard_silent_until_ns and not self._is_guard_gone:
            self.host.take(GuardPulse(is_armed=True))
        self._pulses += 1
        self.host.take(StrategyAlive(STRATEGIES[self._pulses % len(STRATEGIES)]))

    def _carry_out(self, action: act.Action) -> None:
        if self.is_healed:
            return
        match action:
            case act.PlaceAction():
                self._wish(action)
            case act.CancelAction():
                order = self.oracles.nth_live(action.nth)
                if order is not None:
                    self.host.take(events.CancelRequested(order))
            case act.AmendAction():
                self._amend(action)
            case act.SignalAction():
                self._signal(action)
            case act.CancelEverything():
                self.host.take(OperatorCommand(action="cancel_all", reason="the workload wishes it"))
            case act.Blow():
                self._strike(action)

    def _wish(self, wish: act.PlaceAction) -> None:
        if not self.host.is_running:
            return
        decision = self.ledger.decide((wish.symbol, wish.side, wish.lots))
        self.host.take(
            events.PlaceRequested(
                strategy=STRATEGIES[decision.number % len(STRATEGIES)],
                symbol=wish.symbol,
                side=wish.side,
                order_type=wish.order_type,
                lots=wish.lots,
                price_ticks=self._price(wish.symbol, wish.side, wish.offset_ticks, wish.order_type),
                is_reduce_only=wish.is_reduce_only,
                decided_seq=self.oracles.market_seq,
            )
        )

    def _price(self, symbol: str, side: Side, offset_ticks: int, order_type: OrderType | None = None) -> int:
        market = self.markets[symbol]
        rests_behind = order_type is OrderType.POST_ONLY
        touch_ticks = market.touch_ticks(side.opposite if rests_behind else side)
        return touch_ticks + side.sign * (min(offset_ticks, 0) if rests_behind else offset_ticks)

    def _amend(self, wish: act.AmendAction) -> None:
        client_order_id = self.oracles.nth_live(wish.nth)
        order = self.ledger.orders.get(client_order_id or "")
        if order is not None and not order.is_for_signal:
            self.host.take(
                events.AmendRequested(
                    client_order_id=order.client_order_id, total_lots=max(1, order.total_lots + wish.by_lots),
                    price_ticks=order.price_ticks + wish.by_ticks,
                )
            )  # fmt: skip

    def _signal(self, wish: act.SignalAction) -> None:
        wall_ns = self.host.clock.wall_ns()
        is_wild, is_expired = wish.form == "signal.wild", wish.form == "signal.expired"
        signal = SignalIn(
            signal_id=f"{wish.number:032x}", producer=PRODUCER, symbol=wish.symbol, side=wish.side,
            lots=-wish.lots if is_wild else wish.lots, limit_ticks=self._price(wish.symbol, wish.side, wish.offset_ticks),
            urgency=99 if is_wild else wish.urgency, valid_from_ns=wall_ns,
            expires_ns=wall_ns + (-1 if is_expired else 2 * NS_PER_S), max_slippage_ppm=5_000,
            input_seq=self.oracles.market_seq, is_authentic=wish.form != "signal.forged",
        )  # fmt: skip
        self._signals.append(signal)
        if wish.form:
            self.count(wish.form)
        if wish.form in ("", "signal.repeat") and self.host.is_running:
            self.ledger.signal(wish.symbol, wish.side, wish.lots)
        self.host.take(signal)
        if wish.form == "signal.repeat":
            self.host.take(signal)

    def _strike(self, blow: act.Blow) -> None:
        now_ns, size_ppm = self.timeline.now_ns, blow.size_ppm
        market = list(self.markets.values())[size_ppm % len(self.markets)]
        self.count(blow.name)
        match blow.name:
            case "venue.restart":
                self.venue.end_session("restart", is_terminal=False)
                self.venue.is_up = False
                self.schedule.at(now_ns + size_ppm * 2_000, setattr, self.venue, "is_up", True)
            case "venue.bust":
                self.venue.bust()
            case "venue.phantom_fill":
                self.venue.phantom_fill()
            case "venue.ghost_login":
                self.venue.ghost_login()
            case "market.silence":
                self._quiet_until_ns[market.symbol] = now_ns + size_ppm * 4_000
            case "market.gap":
                self.host.take(BookStale(symbol=market.symbol, reason="gap"))
            case "market.crossed":
                self._cross(market)
            case "market.jump":
                market.mid_ticks += market.mid_ticks * (size_ppm - PPM // 2) // (PPM * 25)
            case "host.kill":
                self.host.kill("SIGKILL")
            case "host.power":
                self.host.lose_power()
            case "host.stall":
                self.host.stall(size_ppm * 3_000)
            case "host.clock_step":
                self.host.clock.step_wall((size_ppm - PPM // 2) * 7_200_000)
            case "host.drift":
                self.host.clock.drift_wall((size_ppm - PPM // 2) // 1_000)
            case "guard.silent":
                self._guard_silent_until_ns = now_ns + 2 * PULSE_NS + size_ppm * (400 if size_ppm % 4 else 2_000)
            case "guard.gone":
                self._is_guard_gone = True
                self.host.take(GuardGone("its socket closed"))
            case "signal.flood":
                for number, signal in enumerate(self._signals[-1:] * FLOOD):
                    self.host.take(
                        msgspec.structs.replace(signal, signal_id=f"{now_ns + number:032x}", is_authentic=False)
                    )

    def _cross(self, market: Market) -> None:
        session = self.venue.session
        if session is not None:
            session.end.send(
                BookSnapshot(
                    symbol=market.symbol, book_seq=market.book_seq, bids=market.asks[:1], asks=market.bids[:1],
                    exchange_ns=self.host.clock.wall_ns(),
                )
            )  # fmt: skip
