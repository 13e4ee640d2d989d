"""Our orders at one venue: requests in, the venue's evidence in, effects and applied fills out.

The requests come from behind the pre-trade checks; nothing here weighs limits. Every method takes the stamp of the event
that caused it and fills an `Outcome`, a new one or the one it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from agent.core.effects.control import Alarm, DisarmTimer
from agent.core.effects.orders import Amend, CancelAll, Place, Reconnect
from agent.core.events import Stamp
from agent.core.events.orders import (
    Amended,
    AmendReject,
    Canceled,
    CancelReject,
    ClockOffset,
    FenceDone,
    Fill,
    OpenOrders,
    OrderAck,
    OrderEvent,
    OrderStatus,
    PlaceRequested,
    Reject,
    ReplayDone,
    SendResult,
    SessionDown,
    SessionUp,
    TradeBusted,
)
from agent.core.instruments import Side
from agent.core.orders.actions import ROWS, Row
from agent.core.orders.evidence import Evidence
from agent.core.orders.ingress import Ingress
from agent.core.orders.machine import Machine, SymbolOrders
from agent.core.orders.order import NewOrder, Order
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import ExecutionFrame, Fence, FenceAsked, OrdersState, OrderTimes
from agent.core.orders.table import FINAL, OrderState
from agent.core.orders.timers import Timers

RELEASE, TTL = ROWS["release"], ROWS["ttl"]
CANCEL_REQ, AMEND_REQ = ROWS["cancel_req"], ROWS["amend_req"]
DISCONNECT, SESSION_LIVE = ROWS["disconnect"], ROWS["session_live"]
SEND_CLEAN, SEND_MAYBE, CANCEL_REJ_SOFT = ROWS["send_clean"], ROWS["send_maybe"], ROWS["cancel_rej_soft"]
MAX_FENCES_ASKED = 64
"""Fences that were asked for and not answered; the oldest is forgotten, so its late answer proves nothing."""
_NO_ORDERS = SymbolOrders()


class OwnOrders:
    """Every order of ours, by the table of `agent.core.orders.table`.

    `state` is all of it: an object made from a copy goes on exactly as this one does. A later run calls `begin_run`.
    """

    __slots__ = ("_evidence", "_handlers", "_ingress", "_machine", "_timers", "state", "take")

    def __init__(self, state: OrdersState, times: OrderTimes = OrderTimes()) -> None:  # noqa: B008 # frozen
        self.state = state
        self._machine = machine = Machine(state, times)
        self._evidence = evidence = Evidence(machine)
        self._ingress = ingress = Ingress(machine, evidence)
        self._timers = Timers(machine, ingress, self.fence)
        take = ingress.take
        self.take: Callable[[ExecutionFrame, Stamp, Outcome], None] = take
        """`apply` for a frame with an execution's sequence."""
        self._handlers: dict[type, Callable[..., None]] = {
            OrderAck: take,
            Fill: take,
            Reject: take,
            Canceled: take,
            Amended: take,
            TradeBusted: take,
            CancelReject: self._of_this_epoch(evidence.cancel_reject),
            AmendReject: self._of_this_epoch(evidence.amend_reject),
            OrderStatus: evidence.status,
            OpenOrders: evidence.open_orders,
            ReplayDone: ingress.replay_done,
            FenceDone: self._on_fence,
            SendResult: self._on_send_result,
            SessionUp: self._on_up,
            SessionDown: self._on_down,
            ClockOffset: self._on_clock,
        }

    def begin_run(self, run_epoch: int, stamp: Stamp, out: Outcome) -> None:
        """A new process: ids of its own, and every order that is not final is of unknown fate."""
        self._machine.begin_run(run_epoch, stamp, out)
        self._on_down(SessionDown(reason="a new run"), stamp, out)

    # Requests

    def place(
        self, new: NewOrder | PlaceRequested, *, release: bool, stamp: Stamp, out: Outcome | None = None
    ) -> Outcome:
        """Take a new order in; its id is `Outcome.placed`. Without `release` it waits for rate tokens."""
        if out is None:
            out = Outcome()
        machine = self._machine
        order = Order(
            client_order_id=machine.ids.take(),
            strategy=new.strategy,
            symbol=new.symbol,
            side=new.side,
            order_type=new.order_type,
            is_reduce_only=new.is_reduce_only,
            total_lots=new.lots,
            price_ticks=new.price_ticks,
        )
        self.state.next_counter = machine.ids.next_counter
        machine.add(order)
        out.placed = order.client_order_id
        if release:
            machine.react(order, RELEASE, stamp, out)  # reserves for it, too
        else:
            machine.settle(order, stamp, out)
        return out

    def release(self, client_order_id: str, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """Send an order that waited."""
        return self._request(client_order_id, RELEASE, stamp, out)

    def deny_queued(self, client_order_id: str, code: str, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """End an order that waited too long, or that a check refuses now; `code` stands in `Order.reason`."""
        order = self.state.live.get(client_order_id)
        if order is not None and order.state is OrderState.QUEUED:
            order.reason = code
        return self._request(client_order_id, TTL, stamp, out)

    def cancel(self, client_order_id: str, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """Cancel; where that cannot go out at once it is remembered and goes out as soon as it can."""
        return self._request(client_order_id, CANCEL_REQ, stamp, out)

    def amend(
        self, client_order_id: str, total_lots: int, price_ticks: int, stamp: Stamp, out: Outcome | None = None
    ) -> Outcome:
        """Change total (what was filled included) and price; refused unless the order is open or waits."""
        return self._request(client_order_id, AMEND_REQ, stamp, out, (total_lots, price_ticks))

    def fence(
        self,
        scope: Literal["session", "account"],
        stamp: Stamp,
        out: Outcome,
        symbol: str = "",
    ) -> str:
        """Cancel everything (of a symbol), so that afterwards nothing sent before can appear; the request's id.

        The only way to ask for one: a fence that was asked for elsewhere proves nothing about our orders. Where one is
        under way that will prove as much, its answer is awaited.
        """
        under_way = self._machine.fence_under_way(scope, symbol, stamp)
        if under_way:
            return under_way
        request_id = f"fence-{stamp.seq}-{symbol or 'all'}"
        asked = self.state.fences_asked
        if len(asked) >= MAX_FENCES_ASKED:
            del asked[next(iter(asked))]
        asked[request_id] = FenceAsked(stamp.seq, self.state.epoch, scope, symbol, stamp.monotonic_ns)
        out.effects.append(CancelAll(request_id=request_id, fence=scope, symbol=symbol))
        return request_id

    def allow(self, client_order_id: str) -> None:
        """Let a foreign order stand that a person vouches for."""
        if client_order_id not in self.state.allowed:
            self.state.allowed.append(client_order_id)

    def clock_stepped(self, by_ns: int, stamp: Stamp) -> None:
        """The wall clock was set. Stamps never go back, so a clock that was set back is followed here for deadlines."""
        state = self.state
        if state.wall_base_ns is not None:
            state.wall_base_ns += by_ns
        elif by_ns < 0:
            state.wall_base_ns = stamp.wall_ns - stamp.monotonic_ns + by_ns

    # What comes from outside

    def apply(self, event: OrderEvent, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """Take in one piece of evidence. Events that are not about orders change nothing."""
        if out is None:
            out = Outcome()
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event, stamp, out)
        return out

    def session_live(self, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """The reconciliation is done: orders may go out, and what is unknown is asked for."""
        if out is None:
            out = Outcome()
        self.state.is_live = True
        for order in list(self.state.live.values()):
            self._machine.react(order, SESSION_LIVE, stamp, out)
        return out

    def timer(self, name: str, stamp: Stamp, out: Outcome | None = None) -> Outcome:
        """A timer that an effect of ours armed has fired."""
        if out is None:
            out = Outcome()
        self._timers.fire(name, stamp, out)
        return out

    # Views

    def get(self, client_order_id: str) -> Order | None:
        """The order, also for a while after its end; not to be changed."""
        return self._machine.look(client_order_id)

    def is_over(self, client_order_id: str) -> bool:
        """It ended and owes nothing. False for an order that is not known."""
        state = self.state
        order = state.live.get(client_order_id)
        if order is not None:
            return order.state in FINAL and order.claimed_lots <= order.cum_lots
        return client_order_id in state.closed or client_order_id in state.closed_before

    def is_on_its_way(self, effect: Place | Amend) -> bool:
        """Whether a request that was held back until now is one that the table still waits for the answer of."""
        order = self.state.live.get(effect.client_order_id)
        awaited = OrderState.SENT if type(effect) is Place else OrderState.PENDING_AMEND
        return order is not None and order.state is awaited

    def was_issued(self, client_order_id: str) -> bool:
        return self._machine.ids.was_issued(client_order_id)

    def of_symbol(self, symbol: str) -> SymbolOrders:
        """What is counted of a symbol's orders, kept up to date; not to be changed."""
        return self._machine.symbols.get(symbol, _NO_ORDERS)

    def reserved_lots(self, symbol: str, side: Side) -> int:
        """The most that may still be filled, owed fills included."""
        found = self._machine.symbols.get(symbol)
        if found is None:
            return 0
        return found.reserved_buy if side is Side.BUY else found.reserved_sell

    def open_count(self, symbol: str | None = None) -> int:
        """Orders that are not final, those that wait included."""
        if symbol is None:
            return self._machine.open_count
        found = self._machine.symbols.get(symbol)
        return 0 if found is None else found.open_count

    def unknown_count(self, symbol: str) -> int:
        found = self._machine.symbols.get(symbol)
        return 0 if found is None else found.unknown_count

    def is_fenced(self, symbol: str) -> bool:
        """An order of the symbol is unknown and no fence has passed since it was sent: nothing new may be placed."""
        found = self._machine.symbols.get(symbol)
        if found is None or found.unknown_count == 0:
            return False
        return any(
            order.state is OrderState.UNKNOWN and self._machine.fence_over(order) is None
            for order in found.live.values()
        )

    def live(self, symbol: str) -> Iterator[Order]:
        """Orders of a symbol that are not final, in order of issue."""
        found = self._machine.symbols.get(symbol)
        if found is not None:
            yield from (order for order in found.live.values() if order.state not in FINAL)

    def all_live(self) -> tuple[Order, ...]:
        """Every order that is not final, in order of issue."""
        return tuple(order for order in self.state.live.values() if order.state not in FINAL)

    def resting_prices(self, symbol: str, side: Side) -> Iterator[int]:
        """Prices at which an order of ours may rest, one that an amendment is under way to included."""
        for order in self.live(symbol):
            if order.side is side:
                yield order.price_ticks
                if order.pending_lots:
                    yield order.pending_price_ticks

    def report_missing(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        """A complete list does not name it: that is a reason to ask, and no proof."""
        self._machine.react(order, ROWS["nf_weak"], stamp, out)

    def replay_again(self, stamp: Stamp, out: Outcome) -> None:
        """Ask for executions beyond the last one, because something does not add up."""
        self._machine.ask_replay(stamp, out)

    # Inside

    def _request(
        self, client_order_id: str, row: Row, stamp: Stamp, out: Outcome | None, argument: tuple[int, int] = (0, 0)
    ) -> Outcome:
        if out is None:
            out = Outcome()
        order = self._machine.find(client_order_id)
        if order is None:
            out.ignored += 1
        else:
            self._machine.react(order, row, stamp, out, argument=argument)
        return out

    def _of_this_epoch(self, handler: Callable[..., None]) -> Callable[..., None]:
        state = self.state

        def handle(event: CancelReject | AmendReject, stamp: Stamp, out: Outcome) -> None:
            if event.epoch == state.epoch:
                handler(event, stamp, out)
            else:
                out.ignored += 1

        return handle

    def _on_fence(self, event: FenceDone, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        asked = state.fences_asked.pop(event.request_id, None)
        if event.scope == "account" and event.epoch > state.epoch:
            state.epoch = event.epoch
        for name, code in event.failed:
            out.effects.append(Alarm("critical", "FENCE_LEFT_ORDER", name, f"not cancelled by the fence: {code}"))
        self._machine.tell_seen(event.exec_seq, stamp, out)
        if asked is None or event.scope == "none":
            out.ignored += 1
            return
        state.fences[event.symbol] = Fence(event.scope, asked.seq, asked.epoch, stamp.seq, event.exec_seq)

    def _on_send_result(self, event: SendResult, stamp: Stamp, out: Outcome) -> None:
        machine = self._machine
        order = machine.find(event.client_order_id)
        if order is None:
            out.ignored += 1
        elif event.result == "maybe":
            machine.react(order, SEND_MAYBE, stamp, out)
        elif event.request == "place":
            machine.react(order, SEND_CLEAN, stamp, out)
        elif event.request == "cancel":
            order.is_cancel_in_flight = False
            machine.react(order, CANCEL_REJ_SOFT, stamp, out)
        else:
            order.unanswered_amends -= 1
            self._evidence.amend_never_was(order, stamp, out)

    def _on_up(self, event: SessionUp, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        if not event.acknowledges:
            return
        if event.epoch <= state.epoch:
            detail = f"the hello names epoch {event.epoch} after {state.epoch}"
            out.effects.append(Alarm("critical", "EPOCH_DID_NOT_RISE", "", detail))
            out.effects.append(Reconnect(detail))
            return
        if not state.is_started:
            state.is_started = True
            state.cursor = event.last_exec_seq
        if event.last_exec_seq < state.cursor:
            detail = f"the venue has {event.last_exec_seq} executions, we applied {state.cursor}"
            out.effects.append(Alarm("critical", "EXECUTIONS_WENT_BACK", "", detail))
            out.halts.append(("EXECUTIONS_WENT_BACK", detail))
        state.is_up, state.is_live = True, False
        state.epoch = event.epoch
        state.server_offset_ns = event.server_offset_ns
        state.hello_seq = event.last_exec_seq
        state.seen_seq = max(state.seen_seq, event.last_exec_seq)
        state.is_replay_asked = False
        state.replay_failures = 0
        self._machine.ask_replay(stamp, out)

    def _on_down(self, event: SessionDown, stamp: Stamp, out: Outcome) -> None:
        state = self.state
        state.is_up = state.is_live = False
        state.held.clear()
        if state.is_replay_asked:
            state.is_replay_asked = False
            out.effects.append(DisarmTimer("replay"))
        for order in list(state.live.values()):
            order.is_cancel_in_flight = False
            order.unanswered_amends = 0
            self._machine.react(order, DISCONNECT, stamp, out)
        if event.is_terminal:
            out.halts.append(("SESSION_ENDED_FOR_GOOD", event.reason))

    def _on_clock(self, event: ClockOffset, stamp: Stamp, out: Outcome) -> None:
        self.state.server_offset_ns = event.offset_ns
