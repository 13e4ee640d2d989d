"""What follows from evidence: the books, the breakers, and the end of what an order was for.

Every fill is booked before anything else is thought of it. Then the account is valued, which may trip a breaker, and
whoever waited for the order is told.
"""

from __future__ import annotations

from agent.core.desk.state import DeskState, Working
from agent.core.desk.stopping import Stopping
from agent.core.effects.control import ModeChanged, Stop
from agent.core.effects.orders import Notify, Refuse
from agent.core.events import Stamp
from agent.core.events.orders import AccountSnapshot, Fill, Flow, TradeBusted
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import AppliedFill, Outcome
from agent.core.risk.modes import HALTED
from agent.core.signals.store import SignalBook
from agent.core.standing import Standing


class Settling:
    """Books what the order table let through. Changes accounts, breakers and signals."""

    __slots__ = ("_orders", "_signals", "_standing", "_state", "_stopping")

    def __init__(
        self, state: DeskState, standing: Standing, orders: OwnOrders, signals: SignalBook, stopping: Stopping
    ) -> None:
        self._state = state
        self._standing = standing
        self._orders = orders
        self._signals = signals
        self._stopping = stopping

    def settle(self, out: Outcome, stamp: Stamp) -> None:
        """Book fills, end what is over, halt where the table says so; effects are added to `out`."""
        if out.fills:
            for applied in out.fills:
                self._book(applied, stamp, out)
            self.value(stamp, out)
        if out.busts:
            self._busted(out, stamp)
        if self._state.working:
            self.end_orders(out, stamp)
        for symbol, code, detail in out.symbol_halts:
            held = self._state.breakers.hold(f"orders:{code}", HALTED, detail, stamp, symbol=symbol, is_latched=True)
            out.effects.extend(held)
        for code, detail in out.halts:
            self.halt(code, detail, stamp, out)

    def end_orders(self, out: Outcome, stamp: Stamp) -> None:
        """Whoever waited for an order that is over now is told, whatever ended it: evidence, the queue or a cancel."""
        working, effects = self._state.working, out.effects
        at, out.told = out.told, len(effects)
        for effect in effects[at:]:
            if type(effect) is Notify and effect.client_order_id in working:
                self._end_if_over(effect.client_order_id, stamp, out)

    def flowed(self, flow: Flow, stamp: Stamp, out: Outcome) -> None:
        """Money came or went."""
        worth_atoms = self._state.accounts.on_flow(flow, stamp.monotonic_ns)
        if worth_atoms:
            out.effects.extend(self._state.breakers.on_flow(worth_atoms, stamp))
        self.value(stamp, out)

    def open(self, snapshot: AccountSnapshot, stamp: Stamp, out: Outcome) -> None:
        """Take the venue's first statement as what was there before us. Positions it names are a person's to adopt.

        It is no flow of the day: the value it leads to is what the day and the fund begin with. Only a statement of the
        moment at which our executions stand tells what was there before the first of them, which are in the books already.
        """
        if snapshot.as_of_exec_seq != self._orders.state.cursor:
            return  # the session asks again
        self._state.is_opened = True
        for balance in snapshot.balances:
            before_us_atoms = balance.atoms - self._state.accounts.cash.get(balance.currency, 0)
            if before_us_atoms:
                flow = Flow(
                    kind="deposit",
                    currency=balance.currency,
                    atoms=before_us_atoms,
                    flow_id=f"opening:{balance.currency}",
                )
                self._state.accounts.on_flow(flow, stamp.monotonic_ns)
        self.value(stamp, out)

    def value(self, stamp: Stamp, out: Outcome) -> None:
        """Value the account; what the breakers say of it is added to `out`."""
        state = self._state
        accounts, breakers = state.accounts, state.breakers
        was_halted = breakers.is_halted
        valuation = accounts.valuation(stamp.monotonic_ns)
        # What was held before us is known before the first book: there is no value yet, and without one nothing passes.
        if not any(name in accounts.positions and name not in accounts.marks for name in valuation.unpriceable):
            out.effects.extend(breakers.on_nav(valuation, stamp))
        if accounts.episodes:
            for episode in accounts.take_episodes():
                out.effects.extend(breakers.on_episode(episode.result_atoms, stamp))
        if breakers.is_halted and not was_halted:
            self._stopping.fence(stamp, out)  # reducing orders may still pass, but what works was decided before

    def positions(self, symbol: str, stamp: Stamp, out: Outcome) -> None:
        """A position or its mark moved: breaker 2 looks at what is held."""
        state = self._state
        market = state.markets.of(symbol)
        instrument, mark_ticks = market.instrument, market.mark_ticks
        if instrument is None or not mark_ticks:
            return
        lots = state.accounts.lots(symbol)
        out.effects.extend(state.breakers.on_position(symbol, lots, mark_ticks, instrument.tick_value_atoms, stamp))

    def halt(self, by: str, reason: str, stamp: Stamp, out: Outcome) -> None:
        """Stop for good: nothing new goes out, and everything that works is cancelled behind a fence."""
        stops: tuple[Stop, ...] = self._standing.halt(by, reason)
        if stops:
            out.effects.extend(stops)
            out.effects.append(ModeChanged(mode="HALTED", by=by, detail=reason))
            self._stopping.fence(stamp, out)

    # Inside

    def _book(self, applied: AppliedFill, stamp: Stamp, out: Outcome) -> None:
        fill: Fill = applied.fill
        state = self._state
        if not state.accounts.on_fill(fill, stamp):
            return
        working = state.working.get(fill.client_order_id)
        if working is not None:
            working.filled_lots += fill.lots
            working.filled_lot_ticks += fill.lots * fill.price_ticks
            if working.signal_id:
                self._signals.filled(fill.client_order_id, fill.lots)
        self.positions(fill.symbol, stamp, out)

    def _busted(self, out: Outcome, stamp: Stamp) -> None:
        """The order table took trades back, or corrected them: the books are counted anew.

        Not only for the event that says so: a bust that waited behind a gap comes with whatever closed it.
        """
        by_trade = {bust.trade_id: bust for bust in out.busts}  # both sides of a trade with ourselves are one
        for bust in by_trade.values():
            event = TradeBusted(
                exec_seq=bust.exec_seq, trade_id=bust.trade_id, lots=bust.lots, price_ticks=bust.price_ticks, epoch=0
            )
            if not self._state.accounts.on_bust(event, stamp):
                self.halt("BUST_NOT_KEPT", f"trade {bust.trade_id} is too old to be counted anew", stamp, out)
        self.value(stamp, out)

    def _end_if_over(self, client_order_id: str, stamp: Stamp, out: Outcome) -> None:
        if not self._orders.is_over(client_order_id):
            return
        working: Working = self._state.working.pop(client_order_id)
        if working.is_taker and working.filled_lots and working.bid_plus_ask_ticks:
            out.effects.extend(
                self._state.breakers.on_order_finished(
                    working.symbol,
                    working.side,
                    working.filled_lots,
                    working.filled_lot_ticks,
                    working.bid_plus_ask_ticks,
                    stamp,
                )
            )
        if working.signal_id:
            given_up = self._signals.order_ended(client_order_id)
            if given_up is not None:
                out.effects.append(Refuse(subject=working.signal_id, code=given_up[0], detail=given_up[1]))
