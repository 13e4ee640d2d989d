"""The book of signals: what waits for its price, by symbol and side, most urgent first.

Theory of operation. A signal that is let in lies in the list of its symbol and side, ordered by urgency and then by
arrival. Each time the touch of that symbol is known anew, every live signal of it is looked at: one whose price is not
met never holds up another. A signal has at most one order at work. When that ends and something is left, the signal
may try again, until it is filled, expired, or has tried `MAX_TRIES` times. A try that the checks refused rests it for
`REST_NS`, or a standing refusal would be repeated with each tick.

What an order fills counts towards the signal's quantity, and towards the position it aims at if it names one; there
the orders of others that are still at work count as well, so that two signals with one aim do not both reach for it.

Time. Expiry becomes a monotonic deadline on arrival, so a step of the wall clock neither revives nor kills a signal.
It is derived anew only after a start, or after a step that was announced, and then never later than it was.

Bounds. `MAX_PER_SIDE` in a list and `MAX_LIVE` in all; a full book refuses the new signal and forgets none.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import msgspec

from agent.core.codes import Code
from agent.core.events import Stamp
from agent.core.events.market import SignalIn
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import Instrument, Side
from agent.core.signals.admission import Admission, AdmissionState, ProducerBudget, Refusal
from agent.core.signals.routing import route

MAX_PER_SIDE = 64
MAX_LIVE = 1_000
MAX_TRIES = 20
REST_NS = 250_000_000
PPM = 1_000_000


class LiveSignal(msgspec.Struct, eq=False):
    """A signal that waits or is at work. Times are monotonic."""

    signal: SignalIn
    from_ns: int
    """Not tried before."""
    deadline_ns: int
    filled_lots: int = 0
    tries: int = 0
    is_working: bool = False
    orders: list[str] = []
    """Client order ids it got, the last one the order at work where `is_working`."""


class SymbolSignals(msgspec.Struct, eq=False):
    """The two lists of a symbol, most urgent first, then first come."""

    buys: list[LiveSignal] = []
    sells: list[LiveSignal] = []


class SignalState(msgspec.Struct, eq=False):
    """All that the book remembers."""

    admission: AdmissionState = msgspec.field(default_factory=AdmissionState)
    symbols: dict[str, SymbolSignals] = {}


class SignalIntent(NamedTuple):
    """An order that a signal wants now. The book holds it to be at work until it hears otherwise."""

    signal_id: str
    place: PlaceRequested
    deadline_ns: int


class Ended(NamedTuple):
    """A signal left the book; an order of it that is at work has no reason any more."""

    signal_id: str
    working_order: str | None
    filled_lots: int


class Situation(NamedTuple):
    """What an evaluation needs to know of a symbol. Reserved lots are those of live orders and of fills owed."""

    instrument: Instrument
    bid_ticks: int
    ask_ticks: int
    position_lots: int
    reserved_buy_lots: int
    reserved_sell_lots: int
    collar_ppm: int
    is_limit_only: bool = False
    size_ppm: int = PPM
    """The share of its quantity that an order may have, lowered by a drawdown."""


class SignalBook:
    """Holds signals and gives the orders they want."""

    __slots__ = ("_admission", "_by_id", "_by_order", "_count", "state")

    def __init__(self, budgets: dict[str, ProducerBudget], state: SignalState | None = None) -> None:
        self.state = state if state is not None else SignalState()
        self._admission = Admission(budgets, self.state.admission)
        self._by_id: dict[str, LiveSignal] = {}
        self._by_order: dict[str, LiveSignal] = {}
        for lists in self.state.symbols.values():
            for live in (*lists.buys, *lists.sells):
                self._by_id[live.signal.signal_id] = live
                self._by_order |= dict.fromkeys(live.orders, live)

    def __len__(self) -> int:
        return len(self._by_id)

    def admit(
        self,
        signal: SignalIn,
        now: Stamp,
        *,
        instrument: Instrument | None,
        input_ns: int | None,
        reference_ticks: int | None = None,
    ) -> Refusal | None:
        """Take a signal in, or say why not; the arguments are those of `Admission.judge`."""
        refusal = self._admission.judge(
            signal, now, instrument=instrument, input_ns=input_ns, reference_ticks=reference_ticks
        )
        if refusal is not None:
            return refusal
        assert instrument is not None
        lists = self.state.symbols.get(signal.symbol)
        side = [] if lists is None else _of(lists, signal.side)
        if len(self._by_id) >= MAX_LIVE or len(side) >= MAX_PER_SIDE:
            return Code.SIGNALS_FULL, f"{len(side)} of the side, {len(self._by_id)} in all"
        self._admission.enter(signal, now, instrument=instrument, reference_ticks=reference_ticks)
        live = LiveSignal(
            signal,
            from_ns=now.monotonic_ns + max(0, signal.valid_from_ns - now.wall_ns),
            deadline_ns=now.monotonic_ns + signal.expires_ns - now.wall_ns,
        )
        if lists is None:
            lists = self.state.symbols[signal.symbol] = SymbolSignals()
        side = _of(lists, signal.side)
        side.insert(bisect_right(side, -signal.urgency, key=lambda other: -other.signal.urgency), live)
        self._by_id[signal.signal_id] = live
        return None

    def evaluate(self, symbol: str, now: Stamp, situation: Situation) -> list[SignalIntent]:
        """The orders that the symbol's signals want at this touch, most urgent first, buys before sells."""
        lists = self.state.symbols.get(symbol)
        if lists is None or not 0 < situation.bid_ticks <= situation.ask_ticks:
            return []
        intents: list[SignalIntent] = []
        for side, reserved_lots in (
            (lists.buys, situation.reserved_buy_lots),
            (lists.sells, situation.reserved_sell_lots),
        ):
            for live in side:
                if live.is_working or not live.from_ns <= now.monotonic_ns < live.deadline_ns:
                    continue
                place = _order(live, now, situation, reserved_lots)
                if place is None:
                    continue
                live.is_working = True
                live.tries += 1
                reserved_lots += place.lots
                intents.append(SignalIntent(live.signal.signal_id, place, live.deadline_ns))
        return intents

    def placed(self, signal_id: str, client_order_id: str) -> None:
        """The order that the signal wanted is on its way, or waits for its turn, under this id."""
        live = self._by_id.get(signal_id)
        if live is not None:
            live.orders.append(client_order_id)
            self._by_order[client_order_id] = live

    def refused(self, signal_id: str, now: Stamp) -> Refusal | None:
        """The order was not let out; a refusal in return says that the signal is given up."""
        live = self._by_id.get(signal_id)
        if live is None:
            return None
        live.from_ns = max(live.from_ns, now.monotonic_ns + REST_NS)
        return self._rest(live)

    def filled(self, client_order_id: str, lots: int) -> None:
        """An order filled; one that is of no signal here changes nothing."""
        live = self._by_order.get(client_order_id)
        if live is not None:
            live.filled_lots += lots
            if live.filled_lots >= live.signal.lots:
                self._remove(live)

    def order_ended(self, client_order_id: str) -> Refusal | None:
        """The order is over and no fill of it is owed any more; a refusal says that the signal is given up."""
        live = self._by_order.get(client_order_id)
        if live is None or not live.is_working or live.orders[-1] != client_order_id:
            return None
        return self._rest(live)

    def expire(self, now: Stamp) -> list[Ended]:
        """Take out what is past its deadline; orders still at work for it are to be cancelled."""
        over = [live for live in self._by_id.values() if live.deadline_ns <= now.monotonic_ns]
        # Not in the order of the index, which another start would have built in another one.
        over.sort(key=lambda live: (live.deadline_ns, live.signal.signal_id))
        return [self._remove(live) for live in over]

    def withdraw(self, symbol: str) -> list[str]:
        """Take out every signal (of a symbol), by its id; their orders are whoever's who asked for it."""
        gone = [live for live in self._by_id.values() if not symbol or live.signal.symbol == symbol]
        gone.sort(key=lambda live: live.signal.signal_id)  # as in `expire`
        return [self._remove(live).signal_id for live in gone]

    def next_deadline_ns(self) -> int | None:
        """The monotonic time at which `expire` has something to do."""
        return min((live.deadline_ns for live in self._by_id.values()), default=None)

    def clock_stepped(self, now: Stamp) -> None:
        """Derive the deadlines anew from the wall clock; none becomes later."""
        for live in self._by_id.values():
            live.deadline_ns = min(live.deadline_ns, now.monotonic_ns + live.signal.expires_ns - now.wall_ns)

    def begin(self, now: Stamp) -> None:
        """Go on after a start: the monotonic clock has another origin, and time went by while nothing ran."""
        self._admission.begin(now)
        for live in self._by_id.values():
            live.from_ns = now.monotonic_ns + max(0, live.signal.valid_from_ns - now.wall_ns)
            live.deadline_ns = now.monotonic_ns + live.signal.expires_ns - now.wall_ns

    def _rest(self, live: LiveSignal) -> Refusal | None:
        live.is_working = False
        if live.tries < MAX_TRIES:
            return None
        self._remove(live)
        return Code.SIGNAL_GIVEN_UP, f"{live.tries} tries, {live.filled_lots} of {live.signal.lots} lots"

    def _remove(self, live: LiveSignal) -> Ended:
        signal = live.signal
        del self._by_id[signal.signal_id]
        for client_order_id in live.orders:
            del self._by_order[client_order_id]
        lists = self.state.symbols[signal.symbol]
        _of(lists, signal.side).remove(live)
        if not lists.buys and not lists.sells:
            del self.state.symbols[signal.symbol]
        working = live.orders[-1] if live.is_working and live.orders else None
        return Ended(signal.signal_id, working, live.filled_lots)


def _of(lists: SymbolSignals, side: Side) -> list[LiveSignal]:
    return lists.buys if side is Side.BUY else lists.sells


def _order(live: LiveSignal, now: Stamp, situation: Situation, reserved_lots: int) -> PlaceRequested | None:
    """The order a signal wants at this touch, or None."""
    signal = live.signal
    lots = signal.lots - live.filled_lots
    filled_lots, target_lots = live.filled_lots, signal.lots
    if signal.position_target_lots is not None:
        aim_lots = signal.side.sign * signal.position_target_lots
        held_lots = signal.side.sign * situation.position_lots
        lots = min(lots, aim_lots - held_lots - reserved_lots)
        if aim_lots > 0:
            filled_lots, target_lots = max(0, held_lots), aim_lots
    instrument = situation.instrument
    lots = min(lots * situation.size_ppm // PPM, instrument.max_lots)
    if lots < instrument.min_lots:
        return None
    routed = route(
        signal.side,
        urgency=signal.urgency,
        limit_ticks=signal.limit_ticks,
        bid_ticks=situation.bid_ticks,
        ask_ticks=situation.ask_ticks,
        filled_lots=filled_lots,
        target_lots=target_lots,
        maker_rebate_ppm=-instrument.maker_fee_ppm,
        max_slippage_ppm=signal.max_slippage_ppm,
        collar_ppm=situation.collar_ppm,
        is_limit_only=situation.is_limit_only,
    )
    if routed is None:
        return None
    return PlaceRequested(
        strategy=signal.producer,
        symbol=signal.symbol,
        side=signal.side,
        order_type=routed.order_type,
        lots=lots,
        price_ticks=routed.price_ticks,
        decided_seq=now.seq,
    )
