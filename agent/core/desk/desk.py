"""The desk: every event of an order-book venue, one handler each.

Theory of operation. A step first brings time up to the event's stamp (the day, pauses, the queue), under the prices that
held until then. Then the event has its handler, which adds to one list of effects: the order table's, then what the
books and breakers say of it, then what signals make of a new touch. Whatever is asked for goes through `Placing`,
whatever is proved through the order table and `Settling`; the session says when orders may go out at all.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.accounts.accounts import Accounts
from agent.core.codes import Code
from agent.core.desk.people import AFTER_RESET, People
from agent.core.desk.placing import CANCEL_TIMER, RATE_TIMER, SIGNALS_TIMER, Placing
from agent.core.desk.settings import DeskSettings
from agent.core.desk.settling import Settling
from agent.core.desk.state import DeskState
from agent.core.desk.stopping import Stopping
from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer
from agent.core.effects.orders import Refuse, Resynchronise
from agent.core.events import Event, Stamp
from agent.core.events.control import ClockAgreed, ClockStepped, OperatorCommand, RunStarted, StrategyAlive, TimerFired
from agent.core.events.market import (
    BookDelta,
    BookSnapshot,
    BookStale,
    InstrumentDefined,
    MarketTick,
    SignalIn,
    TradePrint,
)
from agent.core.events.orders import (
    AccountSnapshot,
    AmendRequested,
    Canceled,
    CancelRequested,
    ClockOffset,
    FenceDone,
    Fill,
    Flow,
    OrderAck,
    OrderEvent,
    PlaceRequested,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import Side
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import ExecutionFrame, OrdersState
from agent.core.risk.breakers.aggregate import DAY_NS, Breakers
from agent.core.risk.modes import REDUCE_ONLY
from agent.core.risk.rate import RateQueue
from agent.core.session import Session, SessionState
from agent.core.signals.store import SignalBook, SignalState
from agent.core.standing import Standing

BEAT = "beat"


class DeskParts(msgspec.Struct):
    """The whole state, part by part."""

    desk: DeskState
    orders: OrdersState
    session: SessionState
    signals: SignalState


class OrderDesk:
    """One account at one venue."""

    def __init__(self, settings: DeskSettings, standing: Standing, parts: DeskParts | None = None) -> None:
        """`parts` are what an earlier run left; its profile holds until a person loosens it."""
        if parts is None:
            parts = DeskParts(
                desk=DeskState(
                    accounts=Accounts(currency=settings.currency, made_symbols=list(settings.made_symbols)),
                    breakers=Breakers(profile=settings.profile),
                    rate=RateQueue.start(settings.profile, 0),
                ),
                orders=OrdersState(run_epoch=0),
                session=SessionState(),
                signals=SignalState(),
            )
        self.settings = settings
        self.parts = parts
        self._standing = standing
        self.state = parts.desk
        self.state.accounts.rates = dict(settings.rates)
        self.orders = OwnOrders(parts.orders, settings.times)
        self.session = Session(parts.session, self.orders, self.state.accounts)
        self.signals = SignalBook(settings.budgets, parts.signals)
        self._placing = Placing(settings, self.state, standing, self.orders, self.session, self.signals)
        self._stopping = Stopping(self.state, self.orders, self._placing)
        self.session.on_mode = self._stopping.session_mode
        self._settling = Settling(self.state, standing, self.orders, self.signals, self._stopping)
        people = People(self.state, standing, self.orders, self.session, self._placing, self._adopt_rate)
        self._handlers: dict[type, Callable[..., None]] = {
            RunStarted: self._on_run_started,
            InstrumentDefined: self._on_instrument,
            MarketTick: self._on_tick,
            TradePrint: self._on_trade,
            BookSnapshot: self._on_snapshot,
            BookDelta: self._on_delta,
            BookStale: self._on_stale,
            SignalIn: self._on_signal,
            PlaceRequested: self._placing.request,
            CancelRequested: self._placing.cancel,
            AmendRequested: self._placing.amend,
            TimerFired: self._on_timer,
            StrategyAlive: self._on_strategy_alive,
            OperatorCommand: people.commanded,
            ClockStepped: self._on_clock_step,
            ClockAgreed: self._on_clock_agreed,
            ClockOffset: self._on_clock_offset,
            Flow: self._settling.flowed,
            OrderAck: self._on_execution,
            Fill: self._on_execution,
            Canceled: self._on_execution,
            AccountSnapshot: self._on_account,
            FenceDone: self._on_fence_done,
            SessionUp: self._on_session_up,
            SessionDown: self._on_session_down,
        }

    def step(self, event: Event, stamp: Stamp) -> list[Effect]:
        """What one event leads to."""
        out = Outcome()
        breakers = self.state.breakers
        if type(event) is RunStarted:
            self._change_clock(stamp)  # before time is brought up to the stamp, which is of another clock
        if stamp.wall_ns // DAY_NS != breakers.day or breakers.streak.pause is not None:
            rolled = breakers.on_time(stamp)
            out.effects.extend(rolled)
            if rolled:
                self._adopt_rate(stamp)
        breakers.seen_ns = stamp.monotonic_ns
        rate = self.state.rate
        if rate.reducing or rate.other:
            self._placing.run_queue(stamp, out)
        self._handlers.get(type(event), self._on_evidence)(event, stamp, out)
        if out.effects:
            if self.orders.open_count():
                self._stopping.modes_changed(stamp, out)
            if self.state.working and out.told < len(out.effects):
                self._settling.end_orders(out, stamp)
        return out.effects

    def halt(self, by: str, reason: str, stamp: Stamp) -> list[Effect]:
        """Stop for good."""
        out = Outcome()
        self._settling.halt(by, reason, stamp, out)
        return out.effects

    def _change_clock(self, stamp: Stamp) -> None:
        """Spans that were running go on with what was left; nothing waits for a token any more."""
        state = self.state
        state.accounts.on_restart(stamp)
        state.breakers.on_restart(stamp.monotonic_ns)
        state.rate.on_restart(stamp.monotonic_ns)

    def _on_run_started(self, event: RunStarted, stamp: Stamp, out: Outcome) -> None:
        """What was known of prices and the session is of another clock; what was held and owed is not."""
        state = self.state
        state.markets.begin()
        self._placing.begin()
        self.signals.begin(stamp)
        self.orders.begin_run(event.run_epoch, stamp, out)
        self.session.apply(SessionDown(reason="a new run"), stamp, out)
        self._stopping.clock_mode("", stamp, out)  # what was set was another run's clock
        self._settling.settle(out, stamp)
        self._arm_signals(out)
        if event.is_reset:
            out.effects.extend(state.breakers.hold(AFTER_RESET, REDUCE_ONLY, "a person reset a halt", stamp))

    def worst_exposure_atoms(self) -> int:
        """The worst that fills can make of all positions together, each on its worse side."""
        return self._placing.worst_exposure_atoms()

    # Markets

    def _on_instrument(self, event: InstrumentDefined, stamp: Stamp, out: Outcome) -> None:
        instrument = event.instrument
        self.state.markets.of(instrument.symbol).instrument = instrument
        self.state.accounts.define(instrument)

    def _on_tick(self, event: MarketTick, stamp: Stamp, out: Outcome) -> None:
        self.state.markets.of(event.symbol).book.apply_tick(event, stamp)
        self.state.markets.arrivals.add(stamp.seq, stamp.monotonic_ns)

    def _on_trade(self, event: TradePrint, stamp: Stamp, out: Outcome) -> None:
        self.state.markets.of(event.symbol).book.apply_trade(event, stamp)
        self.state.markets.arrivals.add(stamp.seq, stamp.monotonic_ns)

    def _on_snapshot(self, event: BookSnapshot, stamp: Stamp, out: Outcome) -> None:
        self.state.markets.of(event.symbol).book.apply_snapshot(event, stamp)
        self._moved(event.symbol, stamp, out)

    def _on_delta(self, event: BookDelta, stamp: Stamp, out: Outcome) -> None:
        book = self.state.markets.of(event.symbol).book
        book.apply_delta(event, stamp)
        if book.is_crossed:
            book.mark_stale("crossed")
            out.effects.append(Resynchronise(event.symbol))
            return
        self._moved(event.symbol, stamp, out)

    def _on_stale(self, event: BookStale, stamp: Stamp, out: Outcome) -> None:
        if event.symbol:
            self.state.markets.of(event.symbol).book.mark_stale(event.reason)
            return
        for market in self.state.markets.by_symbol.values():
            market.book.mark_stale(event.reason)

    def _moved(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        """The touch of a symbol is known anew."""
        state = self.state
        state.markets.arrivals.add(stamp.seq, stamp.monotonic_ns)
        book = state.markets.of(symbol).book
        state.accounts.on_book(book, stamp.wall_ns)
        if state.breakers.slippage:
            out.effects.extend(state.breakers.on_book(symbol, book, stamp))
        if state.accounts.lots(symbol):
            self._settling.value(stamp, out)
            self._settling.positions(symbol, stamp, out)
        if len(self.signals):
            self._placing.wishes(symbol, stamp, out)

    # Signals

    def _on_signal(self, event: SignalIn, stamp: Stamp, out: Outcome) -> None:
        market = self.state.markets.look(event.symbol)
        touch = market.book.touch_ticks(Side.SELL) if market.book.is_good else 0
        refusal = self.signals.admit(
            event,
            stamp,
            instrument=market.instrument,
            input_ns=self.state.markets.arrivals.of(event.input_seq),
            reference_ticks=touch or None,
        )
        if refusal is not None:
            out.effects.append(Refuse(subject=event.signal_id, code=refusal[0], detail=refusal[1]))
            return
        self.state.repeats.beat(event.producer)  # a new signal is its producer's sign of life
        self._arm_signals(out)
        self._placing.wishes(event.symbol, stamp, out)

    def _expire_signals(self, stamp: Stamp, out: Outcome) -> None:
        for ended in self.signals.expire(stamp):
            out.effects.append(
                Refuse(subject=ended.signal_id, code=Code.EXPIRED, detail=f"{ended.filled_lots} lots were filled")
            )
            if ended.working_order is not None:
                self._placing.cancel(CancelRequested(ended.working_order), stamp, out)
        self._arm_signals(out)

    def _arm_signals(self, out: Outcome) -> None:
        due_ns = self.signals.next_deadline_ns()
        if due_ns is not None:
            out.effects.append(ArmTimer(SIGNALS_TIMER, due_ns))

    # Evidence

    def _on_evidence(self, event: OrderEvent, stamp: Stamp, out: Outcome) -> None:
        self.orders.apply(event, stamp, out)
        if out.fills:
            self.state.markets.arrivals.add(stamp.seq, stamp.monotonic_ns)  # a strategy may decide on a fill
        self.session.apply(event, stamp, out)
        self._settling.settle(out, stamp)

    def _on_execution(self, event: ExecutionFrame, stamp: Stamp, out: Outcome) -> None:
        """The same for what every order has several of: it says nothing to the session but that it came."""
        self.orders.take(event, stamp, out)
        if out.fills:
            self.state.markets.arrivals.add(stamp.seq, stamp.monotonic_ns)
        if self.session.state.round is not None:
            self.session.apply(event, stamp, out)
        self._settling.settle(out, stamp)

    def _on_account(self, event: AccountSnapshot, stamp: Stamp, out: Outcome) -> None:
        if not self.state.is_opened:
            self._settling.open(event, stamp, out)
        self._on_evidence(event, stamp, out)

    def _on_session_up(self, event: SessionUp, stamp: Stamp, out: Outcome) -> None:
        self.state.session_up_ns = stamp.monotonic_ns
        self.state.venue_orders_per_s, self.state.venue_cancels_per_s = event.orders_per_s, event.cancels_per_s
        self._adopt_rate(stamp)
        self.state.venue_max_open = event.max_open
        self._placing.adopt_venue()
        self._on_evidence(event, stamp, out)
        self._stopping.session_up(stamp, out)

    def _on_fence_done(self, event: FenceDone, stamp: Stamp, out: Outcome) -> None:
        self._stopping.fence_done(event)
        self._on_evidence(event, stamp, out)

    def _on_session_down(self, event: SessionDown, stamp: Stamp, out: Outcome) -> None:
        self._placing.empty_queue(stamp)
        for market in self.state.markets.by_symbol.values():
            market.book.mark_stale("session down")
        self._on_evidence(event, stamp, out)

    def _adopt_rate(self, stamp: Stamp) -> None:
        """The profile's rate, or the venue's where that is less."""
        state = self.state
        state.rate.adopt(
            state.breakers.profile, stamp.monotonic_ns, state.venue_orders_per_s, state.venue_cancels_per_s
        )

    # Time and people

    def _on_timer(self, event: TimerFired, stamp: Stamp, out: Outcome) -> None:
        name = event.name
        if name == BEAT:
            self._on_beat(stamp, out)
        elif name == RATE_TIMER:
            self._placing.arm_queue(out)  # the queue itself was brought up to now before
        elif name == SIGNALS_TIMER:
            self._expire_signals(stamp, out)
        elif name.startswith(CANCEL_TIMER):
            self._placing.cancel(CancelRequested(name[len(CANCEL_TIMER) :]), stamp, out)
        else:
            self.orders.timer(name, stamp, out)
            self.session.timer(name, stamp, out)
            self._settling.settle(out, stamp)

    def _on_beat(self, stamp: Stamp, out: Outcome) -> None:
        self._stopping.beat(stamp, out)
        if self.state.is_opened:
            self.state.accounts.cut_maker_episodes(stamp.monotonic_ns)
            self._settling.value(stamp, out)
            for symbol in self.settings.symbols:
                self._settling.positions(symbol, stamp, out)
                if not self._standing.is_halted:  # then nothing goes out, what reduces included
                    self._shed(symbol, stamp, out)

    def _shed(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        """What is above a limit by more than it may be goes; after a breaker's halt all of it, where that is wanted."""
        state = self.state
        market, held = state.markets.of(symbol), state.accounts.lots(symbol)
        if not held or market.instrument is None or not market.mark_ticks:
            return
        lots = state.breakers.shed_lots(held, market.mark_ticks, market.instrument.tick_value_atoms)
        if state.breakers.is_halted and self.settings.is_flattened_on_halt:
            lots = abs(held)
        if lots:
            self._placing.shed(symbol, lots, stamp, out)

    def _on_strategy_alive(self, event: StrategyAlive, stamp: Stamp, out: Outcome) -> None:
        self.state.repeats.beat(event.strategy)

    def _on_clock_step(self, event: ClockStepped, stamp: Stamp, out: Outcome) -> None:
        self.signals.clock_stepped(stamp)
        self.orders.clock_stepped(event.by_ns, stamp)
        self._stopping.clock_mode(self._standing.clock_problem, stamp, out)
        self._arm_signals(out)

    def _on_clock_offset(self, event: ClockOffset, stamp: Stamp, out: Outcome) -> None:
        """The venue's clock is the second source: where it agrees with ours, a step of ours was a correction."""
        self._on_evidence(event, stamp, out)
        if self._standing.clock_problem and not self.session.state.is_clock_off:
            detail = f"the venue agrees; it was: {self._standing.clock_problem}"
            out.effects.append(Alarm("notice", "CLOCK_AGREED", "clock", detail))
            self._standing.clock_problem = ""
            self._stopping.clock_mode("", stamp, out)

    def _on_clock_agreed(self, event: ClockAgreed, stamp: Stamp, out: Outcome) -> None:
        self._stopping.clock_mode("", stamp, out)
