"""From a wish to an order: what is known is put together, the checks judge, a token is taken, the order goes out or waits.

A strategy's request and a signal's wish take the same way, and so does an order that leaves the queue: it is judged
anew, against what is known by then.
"""

from __future__ import annotations

from agent.core.codes import Code
from agent.core.desk.settings import DeskSettings
from agent.core.desk.state import DeskState, Working
from agent.core.desk.views import Views
from agent.core.effects.control import ArmTimer
from agent.core.effects.orders import Refuse
from agent.core.events import Stamp
from agent.core.events.orders import AmendRequested, CancelRequested, PlaceRequested
from agent.core.instruments import TAKING, OrderType, Side
from agent.core.orders.order import Order
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from agent.core.risk.checks import check
from agent.core.risk.rate import Waiting
from agent.core.risk.recent import DuplicateWindow
from agent.core.session import Session
from agent.core.signals.limit_price import slippage_bound_ticks
from agent.core.signals.store import SignalBook, Situation
from agent.core.standing import Standing

RATE_TIMER = "desk:rate"
SIGNALS_TIMER = "desk:signals"
CANCEL_TIMER = "desk:cancel:"
RISK = "risk"
"""Whoever reduces a position because it must be: no strategy."""

Refusal = tuple[Code, str]


class Placing:
    """Requests in, orders out. Reads everything, changes orders, tokens, counts and signals."""

    __slots__ = ("_duplicates", "_orders", "_signals", "_state", "_views")

    def __init__(
        self,
        settings: DeskSettings,
        state: DeskState,
        standing: Standing,
        orders: OwnOrders,
        session: Session,
        signals: SignalBook,
    ) -> None:
        self._state = state
        self._orders = orders
        self._signals = signals
        self._duplicates = DuplicateWindow(state.recent)
        self._views = Views(settings, state, standing, orders, session, self._duplicates)

    def begin(self) -> None:
        """After a start: equal orders of the last moment are those of another clock."""
        self._duplicates.begin()

    def worst_exposure_atoms(self) -> int:
        return self._views.worst_exposure_atoms()

    # Requests

    def request(self, wish: PlaceRequested, stamp: Stamp, out: Outcome) -> None:
        """A strategy's order."""
        decided_ns = self._state.markets.arrivals.of(wish.decided_seq)
        refusal = self._submit(wish, decided_ns, None, "", stamp, out)
        if refusal is not None:
            _refuse(f"{wish.strategy}:{wish.symbol}", refusal, out)

    def wishes(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        """What the signals of a symbol want at its present touch."""
        market = self._state.markets.look(symbol)
        if market.instrument is None or not market.book.is_good:
            return
        breakers = self._state.breakers
        mode = breakers.mode(symbol)
        situation = Situation(
            market.instrument,
            market.book.best_bid_ticks,
            market.book.best_ask_ticks,
            self._state.accounts.lots(symbol),
            self._orders.reserved_lots(symbol, Side.BUY),
            self._orders.reserved_lots(symbol, Side.SELL),
            breakers.profile.collar_ppm,
            mode.is_limit_only,
            mode.size_ppm,
        )
        for intent in self._signals.evaluate(symbol, stamp, situation):
            refusal = self._submit(intent.place, stamp.monotonic_ns, intent.deadline_ns, intent.signal_id, stamp, out)
            if refusal is None:
                self._signals.placed(intent.signal_id, out.placed)
                continue
            _refuse(intent.signal_id, refusal, out)
            given_up = self._signals.refused(intent.signal_id, stamp)
            if given_up is not None:
                _refuse(intent.signal_id, given_up, out)

    def amend(self, wish: AmendRequested, stamp: Stamp, out: Outcome) -> None:
        """Judged as the order it would leave: its new price, and what of it would still be open."""
        order = self._orders.get(wish.client_order_id)
        if order is None:
            _refuse(wish.client_order_id, (Code.BAD_FIELD, "no such order"), out)
            return
        left = PlaceRequested(
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            lots=wish.total_lots - order.cum_lots,
            price_ticks=wish.price_ticks,
            is_reduce_only=order.is_reduce_only,
        )
        refusal = check(self._views.of(left, stamp.monotonic_ns, None, stamp.monotonic_ns, without=order))
        # One that waits is changed here, and any other that is not open is refused by the table: nothing goes out.
        is_sent = order.state is OrderState.OPEN
        if refusal is None and is_sent and self._state.rate.orders.take(stamp.monotonic_ns):
            refusal = Code.QUEUE_FULL, "no token for an amendment"
        if refusal is not None:
            _refuse(wish.client_order_id, refusal, out)
            return
        if is_sent:
            self._count(order.symbol, max(0, wish.total_lots - order.largest_lots), wish.price_ticks)
        self._orders.amend(wish.client_order_id, wish.total_lots, wish.price_ticks, stamp, out)

    def cancel(self, wish: CancelRequested, stamp: Stamp, out: Outcome) -> None:
        """Never refused and never behind a place: at worst it waits for a token of its own kind."""
        order = self._orders.get(wish.client_order_id)
        if order is not None and self._state.rate.withdraw(wish.client_order_id):
            self._orders.cancel(wish.client_order_id, stamp, out)
            return
        wait_ns = self._state.rate.take_cancel(stamp.monotonic_ns)
        if wait_ns:
            out.effects.append(ArmTimer(CANCEL_TIMER + wish.client_order_id, stamp.monotonic_ns + wait_ns))
            return
        self._orders.cancel(wish.client_order_id, stamp, out)

    def withdraw(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        """Cancel what waits in the queue (of a symbol): behind a fence it would go out as the first."""
        for order in self._orders.all_live():
            if order.state is OrderState.QUEUED and (not symbol or order.symbol == symbol):
                self.cancel(CancelRequested(order.client_order_id), stamp, out)
        for signal_id in self._signals.withdraw(symbol):  # or the next touch would place again
            _refuse(signal_id, (Code.SIGNAL_WITHDRAWN, "everything was cancelled"), out)

    def adopt_venue(self) -> None:
        """The venue told its limits."""
        self._views.adopt_venue()

    def shed(self, symbol: str, lots: int, stamp: Stamp, out: Outcome) -> None:
        """Bring a position down by so many lots, at the worst price that the collar allows; one such order at a time."""
        state = self._state
        market = state.markets.look(symbol)
        held = state.accounts.lots(symbol)
        book, instrument = market.book, market.instrument
        if instrument is None or not book.is_good or any(one.strategy == RISK for one in self._orders.live(symbol)):
            return
        state.repeats.beat(RISK)  # it has seen the end of its last order: a position in many parts must still go
        side = Side.SELL if held > 0 else Side.BUY
        free_lots = abs(held) - self._orders.reserved_lots(symbol, side)
        lots = min(lots, free_lots, instrument.max_lots)
        if lots < instrument.min_lots:
            return
        collar_ppm = state.breakers.profile.collar_ppm
        wish = PlaceRequested(
            strategy=RISK,
            symbol=symbol,
            side=side,
            order_type=OrderType.IOC,
            lots=lots,
            price_ticks=slippage_bound_ticks(side, book.best_bid_ticks, book.best_ask_ticks, collar_ppm),
            is_reduce_only=True,
        )
        refusal = self._submit(wish, stamp.monotonic_ns, None, "", stamp, out)
        if refusal is not None:
            _refuse(f"{RISK}:{symbol}", refusal, out)

    # The queue

    def run_queue(self, stamp: Stamp, out: Outcome) -> None:
        """Release and deny what is due; comes before anything else at that time."""
        rate = self._state.rate
        if not rate.length:
            return
        now_ns = stamp.monotonic_ns

        def recheck(waiting: Waiting, at_ns: int) -> Code | None:
            # Its token may have come while nothing was stepped: what counts is how things stand now that it can leave.
            return Code.QUEUE_TTL if waiting.deadline_ns <= now_ns else self._recheck(waiting, now_ns)

        for ended in rate.run(now_ns, recheck):
            if ended.reason is None:
                order = self._orders.get(ended.id)
                assert order is not None, "what waits in the queue is an order"
                self._let_out(_wish_of(order), now_ns)
                self._orders.release(ended.id, stamp, out)
            else:
                self._orders.deny_queued(ended.id, ended.reason, stamp, out)
                _refuse(ended.id, (ended.reason, "in the queue"), out)
        self.arm_queue(out)

    def empty_queue(self, stamp: Stamp) -> None:
        """The session ended: what waited for it is void, and the order table denies it by itself."""
        self._state.rate.on_disconnect(stamp.monotonic_ns)

    def arm_queue(self, out: Outcome) -> None:
        due_ns = self._state.rate.next_deadline_ns()
        if due_ns is not None:
            out.effects.append(ArmTimer(RATE_TIMER, due_ns))

    # Inside

    def _submit(
        self,
        wish: PlaceRequested,
        decided_ns: int | None,
        expires_ns: int | None,
        signal_id: str,
        stamp: Stamp,
        out: Outcome,
    ) -> Refusal | None:
        """The order goes out or waits (`out.placed` is its id), or the reason why neither."""
        now_ns = stamp.monotonic_ns
        view = self._views.of(wish, decided_ns, expires_ns, now_ns)
        refusal = check(view)
        if refusal is not None:
            return refusal
        rate = self._state.rate
        is_first = not (rate.reducing or rate.other) and rate.orders.take(now_ns) == 0
        if not is_first and rate.length >= rate.orders.per_s:
            return Code.QUEUE_FULL, f"{rate.length} orders wait"
        book = view.book
        assert book is not None, "an order without a book was let through"
        self._orders.place(wish, release=is_first, stamp=stamp, out=out)
        self._state.working[out.placed] = Working(
            strategy=wish.strategy,
            symbol=wish.symbol,
            side=wish.side,
            bid_plus_ask_ticks=book.bid_plus_ask_ticks,
            is_taker=wish.order_type in TAKING,
            decided_ns=decided_ns,
            expires_ns=expires_ns,
            signal_id=signal_id,
        )
        if is_first:
            self._let_out(wish, now_ns)
            return None
        waits = rate.submit(
            out.placed,
            symbol=wish.symbol,
            side=wish.side,
            is_reducing=view.exposure().is_reducing,
            touch_ticks=book.touch_ticks(wish.side),
            now_ns=now_ns,
            expires_ns=expires_ns,
        )
        assert waits is False, "there was room, and no token"
        self.arm_queue(out)
        return None

    def _let_out(self, wish: PlaceRequested, now_ns: int) -> None:
        """Count an order that leaves now."""
        state = self._state
        self._duplicates.add((wish.strategy, wish.symbol, wish.side, wish.price_ticks, wish.lots), now_ns)
        state.repeats.add(wish.strategy, wish.side)
        self._count(wish.symbol, wish.lots, wish.price_ticks)

    def _count(self, symbol: str, lots: int, price_ticks: int) -> None:
        """What leaves counts towards the day, of an amendment what it adds: else one order could grow without end."""
        instrument = self._state.markets.look(symbol).instrument
        assert instrument is not None
        self._state.breakers.count_order(instrument.notional_atoms(lots, price_ticks))

    def _recheck(self, waiting: Waiting, now_ns: int) -> Code | None:
        order = self._orders.get(waiting.id)
        working = self._state.working.get(waiting.id)
        if order is None or working is None:
            return Code.NOT_LIVE
        book = self._state.markets.look(waiting.symbol).book
        if self._state.rate.has_touch_moved(waiting, book.touch_ticks(waiting.side)):
            return Code.TOUCH_MOVED
        refusal = check(self._views.of(_wish_of(order), working.decided_ns, working.expires_ns, now_ns, without=order))
        return None if refusal is None else refusal[0]


def _wish_of(order: Order) -> PlaceRequested:
    return PlaceRequested(
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        lots=order.total_lots - order.cum_lots,
        price_ticks=order.price_ticks,
        is_reduce_only=order.is_reduce_only,
    )


def _refuse(subject: str, refusal: Refusal, out: Outcome) -> None:
    out.effects.append(Refuse(subject=subject, code=refusal[0], detail=refusal[1]))
