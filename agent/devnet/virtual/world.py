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
from agent.core.events.control import GuardPulse, OperatorCommand, StrategyAlive, TimerFired
from agent.core.events.market import BookDelta, MarketTick
from agent.devnet.virtual.client import VENUE_URL
from agent.devnet.virtual.clock import Timeline, VirtualClock
from agent.devnet.virtual.crashes import CrashPoints, PowerLost, ProcessDied
from agent.devnet.virtual.disk import VirtualDisk
from agent.devnet.virtual.fate import PULSE_NS, STRATEGIES, Fate
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.guard import VirtualGuard
from agent.devnet.virtual.host import Host
from agent.devnet.virtual.ledger import Ledger
from agent.devnet.virtual.link import NS_PER_MS, Latency
from agent.devnet.virtual.market import BTC, ETH, Market
from agent.devnet.virtual.network import VirtualNetwork
from agent.devnet.virtual.oracles import Oracles, Violation
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.scenario import Finding, Outcome, Scenario, limits_of
from agent.devnet.virtual.schedule import HeapSchedule
from agent.devnet.virtual.seams import Program
from agent.devnet.virtual.venue import Venue
from agent.errors import SetupError
from agent.journal.errors import JournalFailed

NS_PER_S = 1_000_000_000
SETTLE_NS = 90 * NS_PER_S
"""Within so long behind the last fault everything must be settled."""
LOOK_NS = NS_PER_S // 2
MARKET_NS_MAX = 250 * NS_PER_MS
DOWN_NS_MAX = 3 * NS_PER_S
EVERYDAY = frozenset({BookDelta, MarketTick, GuardPulse, StrategyAlive, TimerFired, events.ClockOffset})
"""Events of which a world is full; a trace has them where they lead to something."""
ENDS_RECONCILIATION = frozenset({events.OpenOrders, events.AccountSnapshot, events.Fill, TimerFired})
"""Events behind which the session may be live."""
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


class _GivenUp(BaseException):
    """It is late enough."""


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
        self.guard = VirtualGuard()
        self.points = CrashPoints(scenario.crash)
        self.host = Host(
            schedule, VirtualClock(self.timeline), VirtualDisk(faults, streams["disk"], capacity_bytes=DISK_BYTES),
            self.network, self.venue, self.guard, faults, profile, streams["jitter"], program, self, self.points,
        )  # fmt: skip
        self.host.disk.on_passed = self.points.at
        self.limits = limits_of(profile)
        self.trace: deque[str] = deque(maxlen=kept_steps)
        self.oracles = Oracles(self)
        self.venue.on_accepted = self.oracles.on_accepted
        self.reached: dict[str, int] = {}
        self.steps = 0
        self.is_over = False
        self.is_healed = False
        self._digest = blake2b(digest_size=16)
        self._encode = msgspec.msgpack.Encoder().encode
        self.quiet_until_ns = dict.fromkeys(self.markets, 0)
        self.guard_silent_until_ns = 0
        self._pulses = 0
        self._fate = Fate(self)
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
            self.schedule.at(action.at_ns, self._fate.carry_out, action)
        self._run_until(self.scenario.active_ns)

    def _run_until(self, until_ns: int) -> None:
        while self.schedule.run_next(until_ns=until_ns):
            pass
        self.timeline.advance_to(until_ns)

    def heal(self) -> None:
        """End every disturbance; what is broken already stays broken."""
        self.faults.calm()
        self.network.calm()
        self.is_healed = True
        self.quiet_until_ns = dict.fromkeys(self.markets, 0)
        self.guard_silent_until_ns = 0
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
        except ProcessDied as death:
            self.reach("died while it started")
            self.host.clear_away()
            if isinstance(death, PowerLost):
                self.on_power_lost()
                self.host.go_off()
                self.oracles.forget_state()
            self._boot_later()
        except SetupError as error:
            self.oracles.on_no_start(error)
            self.reach("start refused by the disk")
            self.host.disk.kill_process()
            self._boot_later()

    def _reset(self) -> None:
        """A person has looked at a halt, and lets the agent go on."""
        if not self.is_healed and not self.host.client.is_forbidden:
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
        if type(event) in ENDS_RECONCILIATION and self.host.started is not None and self.host.started.is_live:
            self._fate.session_live()

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
        if session is None or self.timeline.now_ns < self.quiet_until_ns[market.symbol]:
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
        if self.timeline.now_ns >= self.guard_silent_until_ns:
            self.guard.pulse()
        self._pulses += 1
        self.host.take(StrategyAlive(STRATEGIES[self._pulses % len(STRATEGIES)]))
