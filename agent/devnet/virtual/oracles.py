"""The judges of a world: each has a name and one law, and believes the world's ledger, never the agent's books.

O1 at most one order for a decision · O2 what the agent calls done is done, exactly so · O3 the agent's position and cash
are those of the world · O4 no limit is passed in any window · O5 nothing is placed while halted · O6 nothing is sent
whose record could still be lost · O7 nothing is decided on old data · O8 everything settles within the bound · O9 a
replay gives the same · O10 memory and queues are bounded · O11 nothing halts without a cause · O12 epochs and fences bind.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agent.core.effects import Effect
from agent.core.effects import orders as requests
from agent.core.effects.control import Stop
from agent.core.events import Event, Stamp
from agent.core.events.control import RunStarted
from agent.core.events.market import BookDelta, BookSnapshot, BookStale, MarketTick
from agent.core.events.orders import CancelRequested, SessionDown
from agent.core.orders.table import FINAL, OrderState
from agent.devnet.virtual.doubts import Doubts
from agent.devnet.virtual.duties import Duties
from agent.devnet.virtual.ledger import TrueOrder
from agent.devnet.virtual.sessions import Sessions
from agent.devnet.virtual.venue_books import DEPOSIT_ATOMS
from agent.errors import SetupError
from agent.journal.errors import CorruptJournal, Diverged, JournalFailed
from agent.journal.snapshots import hash_state

if TYPE_CHECKING:
    from agent.devnet.virtual.world import World

NS_PER_S = 1_000_000_000
LAWS = {
    "O1": "at most one order for a decision",
    "O2": "what the agent calls done is done, exactly so",
    "O3": "the agent's position and cash are those of the world",
    "O4": "no limit is passed in any window",
    "O5": "nothing is placed while halted",
    "O6": "nothing is sent whose record could still be lost",
    "O7": "nothing is decided on old data",
    "O8": "everything settles within the bound",
    "O9": "a replay gives the same effects and state",
    "O10": "memory and queues are bounded",
    "O11": "nothing halts without a cause",
    "O12": "epochs and fences bind",
}
MARKET_EVENTS = (BookSnapshot, BookDelta, MarketTick)
BOOK_AGE_NS_MAX = 500_000_000
SEEN_MAX = 256
"""Market events that a wish may have been decided on."""
RECORDED_NS = NS_PER_S
"""What is older is on the disk, whatever happens to the power."""
STATE_BYTES_MAX = 4 << 20


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A law was broken, when, and the figures."""

    oracle: str
    at_ns: int
    detail: str


class Seen(NamedTuple):
    """A market event that the agent has taken in."""

    at_ns: int
    """True time."""
    run: int
    seq: int
    monotonic_ns: int


class Oracles:
    """All judges of one world. `world.find` ends it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent_places: dict[str, requests.Place] = {}
        self._tokens_nano = world.limits.orders_per_s * NS_PER_S
        """Of a bucket of a second's orders, in billionths, at the monotonic time `_tokens_ns`."""
        self._tokens_ns = 0
        self._halted = False
        self._halted_ns = 0
        """True time of the last halt."""
        self.duties = Duties(world)
        self.doubts = Doubts(world)
        self._sessions = Sessions(world)
        self._book_ns: dict[str, int | None] = {}
        """Monotonic time of the last book the agent was given, by symbol; None while it was told not to trust it."""
        self._seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        self._confirmed: set[str] = set()
        """Orders whose record a start has found, and thereby made durable."""
        self._state_at_death: str | None = None

    # While it runs

    def on_step(self, event: Event, stamp: Stamp, effects: tuple[Effect, ...]) -> None:
        kind = type(event)
        self.duties.on_event(event, stamp)
        self.doubts.on_event(event, stamp)
        self._sessions.on_event(event, stamp, effects)
        if kind in MARKET_EVENTS:
            world = self._world
            self._seen.append(Seen(world.timeline.now_ns, world.host.incarnation, stamp.seq, stamp.monotonic_ns))
            self._see_book(event, stamp)
        elif isinstance(event, RunStarted):
            self._halted = self._halted and not event.is_reset
        elif isinstance(event, BookStale | SessionDown):
            named = event.symbol if isinstance(event, BookStale) else ""
            for symbol in (named,) if named else tuple(self._world.markets):
                self._book_ns[symbol] = None
        for effect in effects:
            if type(effect) is requests.Place:
                self._judge_place(effect, stamp)
            elif type(effect) is requests.Amend and self._halted:
                self._world.find("O5", f"an order was amended behind a halt: {effect}")
            elif type(effect) is Stop:
                self._halted, self._halted_ns = True, self._world.timeline.now_ns
        self.duties.on_effects(effects, stamp)
        self.doubts.on_effects(effects)
        self._sessions.on_effects(effects, stamp)

    def _see_book(self, event: Event, stamp: Stamp) -> None:
        if isinstance(event, BookSnapshot):
            is_crossed = event.bids[0][0] >= event.asks[0][0]
            self._book_ns[event.symbol] = None if is_crossed else stamp.monotonic_ns
        elif isinstance(event, BookDelta) and self._book_ns.get(event.symbol) is not None:
            self._book_ns[event.symbol] = stamp.monotonic_ns

    def _judge_place(self, place: requests.Place, stamp: Stamp) -> None:
        find = self._world.find
        if self._halted:
            find("O5", f"an order was placed behind a halt: {place}")
        seen_ns = self._book_ns.get(place.symbol)
        if seen_ns is None or stamp.monotonic_ns - seen_ns > BOOK_AGE_NS_MAX:
            find("O7", f"an order was placed on a book of {seen_ns} at {stamp.monotonic_ns}: {place}")
        per_s = self._world.limits.orders_per_s
        elapsed_ns = stamp.monotonic_ns - self._tokens_ns
        self._tokens_nano = min(per_s * NS_PER_S, self._tokens_nano + elapsed_ns * per_s) - NS_PER_S
        self._tokens_ns = stamp.monotonic_ns
        if self._tokens_nano < 0:
            find("O4", f"more than {per_s} orders a second behind a burst of as many: {place}")
        if self._tokens_nano < NS_PER_S:
            self._world.reach("order rate at its limit")

    def on_sent(self, effect: Effect) -> None:
        if isinstance(effect, requests.Place):
            if effect.client_order_id in self._sent_places and self._sent_places[effect.client_order_id] != effect:
                self._world.find("O1", f"one id for two orders: {effect}")
            self._sent_places[effect.client_order_id] = effect
            self.doubts.on_sent(effect)

    def on_accepted(self, client_order_id: str) -> None:
        """The venue took an order in."""
        ledger = self._world.ledger
        order = ledger.orders[client_order_id]
        self._judge_end_called(order)
        if order.decision is not None:
            decision = ledger.decisions[order.decision]
            if len(decision.accepted) > 1:
                self._world.find("O1", f"two orders for one decision: {decision}")
        elif order.is_for_signal:
            promised_lots = ledger.promised_lots(order.symbol, order.side) - ledger.uncountable_lots
            signalled_lots = ledger.signalled_lots.get((order.symbol, order.side), 0)
            if promised_lots > signalled_lots:
                self._world.find("O1", f"{order.side} {promised_lots} {order.symbol} for signals of {signalled_lots}")
        market = self._world.markets[order.symbol]
        value_atoms = market.instrument.notional_atoms(1, market.lowest_ticks)
        most_lots = self._world.limits.position_atoms * 102 // 100 // value_atoms
        lots = ledger.worst_lots(order.symbol, order.side) - ledger.uncountable_lots
        if not order.is_reduce_only and lots > most_lots:
            self._world.find("O4", f"{order.side} {order.symbol} could reach {lots} lots, {most_lots} are allowed")

    def _judge_end_called(self, truth: TrueOrder) -> None:
        """An order that was called over and is taken in only now was not over. A frame that comes twice is excused."""
        started = self._world.host.started
        ours = None if started is None else started.order(truth.client_order_id)
        is_twice = "network.duplicate_up" in self._world.faults.fired
        if ours is not None and ours.state in FINAL and not is_twice:
            self._world.find("O2", f"{truth.client_order_id} was called {ours.state} and is taken in by the venue now")

    def on_death(self, reason: str) -> None:
        """Remember the state that a replay has to give."""
        started = self._world.host.started
        self._state_at_death = None
        log = self._world.host.log
        if log is not None and log.unheard is not None:
            self._on_unheard(*log.unheard, is_recorded=log.is_recorded)
        if reason == "loss of power":
            self._forget_unsynced()
        # Between an event's record and its step the journal is ahead; without power it may be behind.
        is_ahead = log is not None and log.unheard is not None
        if started is not None and not is_ahead and reason != "loss of power":
            self._state_at_death = hash_state(started.state())

    def _forget_unsynced(self) -> None:
        """What was recorded just now need not have been on the disk, as nothing has left behind it."""
        since_ns = self._world.timeline.now_ns - RECORDED_NS
        self._halted = self._halted and self._halted_ns < since_ns
        self.duties.forget_since(since_ns)

    def forget_state(self) -> None:
        """The machine went off while a process read the journal of the one before."""
        self._state_at_death = None

    def _on_unheard(self, event: Event, stamp: Stamp, *, is_recorded: bool) -> None:
        """The process died between an event's record and its step: a replay steps it, and nobody hears what comes of it."""
        if is_recorded or not isinstance(event, CancelRequested):
            self.duties.on_event(event, stamp)
        self.doubts.on_event(event, stamp)
        self._sessions.on_event(event, stamp, ())
        self.duties.forget_modes()
        if isinstance(event, RunStarted) and event.is_reset:
            self._halted = False

    def on_started(self) -> None:
        """A process has read the journal of the one before."""
        started = self._world.host.started
        assert started is not None
        if self._world.may_lose_tail:
            self.duties.forget_tail()
            self.doubts.forget_tail()
            self._halted = False
        else:
            for client_order_id, place in self._sent_places.items():
                if client_order_id not in started.placed_ids and client_order_id not in self._confirmed:
                    self._world.find("O6", f"an order was sent and its record is gone: {place}")
        self._confirmed.update(started.placed_ids)
        if self._state_at_death is not None and started.replayed_hash not in ("", self._state_at_death):
            self._world.find("O9", "the replay ends in another state than the process that died was in")
        self._book_ns.clear()
        self._tokens_nano, self._tokens_ns = self._world.limits.orders_per_s * NS_PER_S, 0
        self._halted = self._halted or started.is_halted

    def on_no_start(self, error: SetupError) -> None:
        """The process would not start: right where the disk fails, else a fault of its own."""
        if isinstance(error, Diverged):
            self._world.find("O9", f"{error}: {error.recorded} was recorded, {error.replayed} comes now")
        if isinstance(error, CorruptJournal):
            self._world.find("O9", f"a journal that nobody harmed is refused: {error}")
        if self._world.is_healed:
            self._world.find("O8", f"does not start on a sound disk: {error}")

    def on_broken(self, error: BaseException) -> None:
        """The process ended itself."""
        if not isinstance(error, JournalFailed):
            self._world.find("O8", f"the core or its shell failed: {type(error).__name__}: {error}")

    # At the end

    def open_ends(self) -> str:
        """What is not settled yet; empty where all is."""
        world = self._world
        if not world.host.is_running or world.host.started is None:
            return "the process does not run"
        if world.host.client.is_forbidden:
            return ""
        agent = world.host.started
        for order in agent.live_orders():
            if order.state not in (OrderState.OPEN, *FINAL):
                return f"{order.client_order_id} is {order.state}"
            if order.state in FINAL:
                return f"{order.client_order_id} is owed {order.owed_lots} lots"
            if order.is_cancel_requested:
                return f"{order.client_order_id} shall go and is {order.state}"
            if order.pending_lots:
                return f"the amendment of {order.client_order_id} is open"
        if agent.exec_cursor != len(world.venue.log):
            return f"{len(world.venue.log)} executions, {agent.exec_cursor} known"
        for client_order_id in self.duties.cancels:
            if client_order_id in world.venue.open:
                return f"the cancel of {client_order_id} was asked for and is forgotten"
        if self._halted and world.venue.open:
            return f"halted, and {sorted(world.venue.open)} rest at the venue"
        ours = {order.client_order_id for order in agent.live_orders()}
        theirs = set(world.venue.open)
        if ours != theirs:
            return f"open here {sorted(ours - theirs)}, open there {sorted(theirs - ours)}"
        if not agent.is_live and not (agent.is_halted and self.duties.has_lying_venue):
            return "the session is not live"
        return ""

    def judge_end(self) -> None:
        """All is settled: now the books have to be equal."""
        world = self._world
        agent = world.host.started
        if agent is None or world.host.client.is_forbidden:
            return
        for client_order_id, truth in world.ledger.orders.items():
            ours = agent.order(client_order_id)
            if ours is None:
                if client_order_id != "GHOST" and not world.may_lose_tail:
                    world.find("O2", f"an order of ours that the agent does not know: {truth}")
                continue
            if ours.cum_lots != truth.filled_lots or (ours.state in FINAL) == truth.is_live:
                world.find("O2", f"{client_order_id} is {ours.state} with {ours.cum_lots} lots here, in truth {truth}")
        for symbol in world.markets:
            here, there = agent.position_lots(symbol), world.ledger.position_lots.get(symbol, 0)
            if here != there:
                world.find("O3", f"{symbol}: {here} lots here, {there} in truth")
        cash_atoms = DEPOSIT_ATOMS + world.ledger.cash_atoms
        if agent.cash_atoms() != cash_atoms:
            world.find("O3", f"{agent.cash_atoms()} atoms of cash here, {cash_atoms} in truth")
        if (size := len(agent.state())) > STATE_BYTES_MAX:
            world.find("O10", f"the state takes {size} bytes")

    def seen_by(self, at_ns: int) -> Seen | None:
        """The last market event that the agent had taken in at this instant of true time."""
        return next((seen for seen in reversed(self._seen) if seen.at_ns <= at_ns), None)

    def nth_live(self, nth: int) -> str | None:
        """The id of one of the orders that the agent believes to live, oldest first."""
        started = self._world.host.started
        if started is None or not self._world.host.is_running:
            return None
        live = [order.client_order_id for order in started.live_orders()]
        return live[nth % len(live)] if live else None
