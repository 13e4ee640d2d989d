"""Laws of the real classes: order and repetition of frames do not matter, and what may fill is always reserved."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.effects.orders import Amend, CancelOrder, Place, QueryStatus, ReplayFrom
from agent.core.events import Stamp
from agent.core.events.orders import (
    Amended,
    AmendReject,
    Asked,
    Canceled,
    CancelReject,
    Fill,
    OrderAck,
    OrderEvent,
    OrderStatus,
    ReplayDone,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders.ids import encoded
from agent.core.orders.order import NewOrder
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState
from agent.core.orders.table import FINAL, OrderState

SYMBOL = "BTC-USDC"
LIMITS: dict[str, Any] = {"orders_per_s": 100, "cancels_per_s": 100, "max_open": 100}
SECOND_NS = 10**9


def new_order(side: Side = Side.BUY, lots: int = 10) -> NewOrder:
    return NewOrder(strategy="s", symbol=SYMBOL, side=side, order_type=OrderType.LIMIT, lots=lots, price_ticks=1_000)


def acked(seq: int, name: str) -> OrderAck:
    return OrderAck(exec_seq=seq, client_order_id=name, order_id=f"v{name}", status="open", cum_lots=0, epoch=1)


def filled(seq: int, name: str, side: Side, lots: int, cum_lots: int, epoch: int = 1) -> Fill:
    return Fill(
        exec_seq=seq,
        symbol=SYMBOL,
        client_order_id=name,
        order_id=f"v{name}",
        trade_id=f"t{seq}",
        side=side,
        lots=lots,
        price_ticks=1_000,
        is_maker=True,
        fee=0,
        fee_currency="USDC",
        cum_lots=cum_lots,
        leaves_lots=0,
        epoch=epoch,
    )


def canceled(seq: int, name: str, cum_lots: int, epoch: int = 1) -> Canceled:
    return Canceled(
        exec_seq=seq, client_order_id=name, order_id=f"v{name}", cum_lots=cum_lots, reason="user", epoch=epoch
    )


@st.composite
def histories(draw: st.DrawFn) -> list[OrderEvent]:
    """What an account of three orders did, as the venue numbered it."""
    names = [encoded(1, number) for number in range(3)]
    sides = [Side.BUY, Side.SELL, Side.BUY]
    cum = [-1, -1, -1]  # not accepted yet
    frames: list[OrderEvent] = []
    for _ in range(draw(st.integers(1, 12))):
        which = draw(st.integers(0, 2))
        if cum[which] is None:
            continue
        seq = len(frames) + 1
        if cum[which] < 0:
            cum[which] = 0
            frames.append(acked(seq, names[which]))
        elif draw(st.booleans()) and cum[which] < 10:
            lots = draw(st.integers(1, 10 - cum[which]))
            cum[which] += lots
            frames.append(filled(seq, names[which], sides[which], lots, cum[which]))
        elif cum[which] < 10:
            frames.append(canceled(seq, names[which], cum[which]))
            cum[which] = 10
    return frames


def told(frames: list[OrderEvent]) -> tuple[OwnOrders, list[str]]:
    """Three orders sent, then the frames; the applied trades in their order."""
    orders = OwnOrders(OrdersState(run_epoch=1))
    stamp = Stamp(1, 1, 1)
    orders.apply(SessionUp(epoch=1, last_exec_seq=0, **LIMITS), stamp)
    orders.apply(ReplayDone(0, 1), stamp)
    orders.session_live(stamp)
    for side in (Side.BUY, Side.SELL, Side.BUY):
        orders.place(new_order(side), release=True, stamp=stamp)
    out = Outcome()
    for number, frame in enumerate(frames):
        orders.apply(frame, Stamp(number + 2, 2, 2), out)
    assert not out.halts and not out.impossible
    return orders, [applied.fill.trade_id for applied in out.fills]


@given(histories(), st.data())
def test_frames_in_any_order_and_any_number_come_to_the_same(history: list[OrderEvent], data: st.DataObject) -> None:
    mixed = data.draw(
        st.permutations(history + data.draw(st.lists(st.sampled_from(history)) if history else st.just([])))
    )
    straight, trades = told(history)
    orders, mixed_trades = told([*mixed, *history, ReplayDone(len(history), 1)])
    assert mixed_trades == trades
    assert orders.state.cursor == len(history) and not orders.state.held
    for number in range(3):
        one, other = straight.get(encoded(1, number)), orders.get(encoded(1, number))
        assert one is not None and other is not None
        assert (one.state, one.cum_lots, one.reserved_lots) == (other.state, other.cum_lots, other.reserved_lots)
    for side in Side:
        assert straight.reserved_lots(SYMBOL, side) == orders.reserved_lots(SYMBOL, side)
    assert straight.open_count() == orders.open_count()


class _Truth:
    """An order as the venue has it."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.cum = 0
        self.is_open = True


class HonestVenue(RuleBasedStateMachine):
    """An honest venue behind a network that loses, doubles and cuts. Everything that is sent waits until a rule lets it
    be processed; everything that is answered waits until a rule delivers it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.orders = OwnOrders(OrdersState(run_epoch=1))
        self.seq = 0
        self.now_ns = SECOND_NS
        self.epoch = 1
        self.is_up = True
        self.truths: dict[str, _Truth] = {}
        self.log: list[OrderEvent] = []
        self.sent: list[Any] = []
        self.sent_before: list[Any] = []
        """Of a connection that is gone: it may be processed until the next epoch."""
        self.coming: list[OrderEvent] = []
        self.names: list[str] = []

    @initialize()
    def begin(self) -> None:
        self.tell(SessionUp(epoch=1, last_exec_seq=0, **LIMITS))
        self.tell(ReplayDone(0, 1))
        self.orders.session_live(self.stamp())
        self.sent.clear()

    def stamp(self) -> Stamp:
        self.seq += 1
        self.now_ns += 1_000_000
        return Stamp(self.seq, self.now_ns, self.now_ns)

    def tell(self, event: OrderEvent) -> None:
        self.done(self.orders.apply(event, self.stamp()))

    def done(self, out: Outcome) -> None:
        assert not out.halts, out.halts
        assert not out.impossible
        if self.is_up:
            wanted = (Place, CancelOrder, Amend, QueryStatus, ReplayFrom)
            self.sent += [(effect, self.seq) for effect in out.effects if isinstance(effect, wanted)]

    def log_frame(self, frame: OrderEvent) -> None:
        self.log.append(frame)
        if self.is_up:
            self.coming.append(frame)

    def answer(self, frame: OrderEvent) -> None:
        if self.is_up:
            self.coming.append(frame)

    @precondition(lambda self: self.orders.state.is_live and len(self.names) < 3)
    @rule(side=st.sampled_from(Side))
    def place(self, side: Side) -> None:
        out = self.orders.place(new_order(side), release=True, stamp=self.stamp())
        self.names.append(out.placed)
        self.done(out)

    @precondition(lambda self: self.names)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.done(self.orders.cancel(data.draw(st.sampled_from(self.names)), self.stamp()))

    @precondition(lambda self: self.names and self.is_up)
    @rule(data=st.data(), total=st.integers(1, 20))
    def amend(self, data: st.DataObject, total: int) -> None:
        name = data.draw(st.sampled_from(self.names))
        order = self.orders.get(name)
        assert order is not None
        if total > order.cum_lots:
            self.done(self.orders.amend(name, total, 1_000, self.stamp()))

    @precondition(lambda self: self.sent or self.sent_before)
    @rule(is_lost=st.sampled_from([False] * 7 + [True]), accepts=st.booleans())
    def process(self, is_lost: bool, accepts: bool) -> None:
        queue = self.sent or self.sent_before
        effect, seq = queue.pop(0)
        if is_lost:
            return
        match effect:
            case Place(client_order_id=name, lots=total):
                self.truths[name] = _Truth(total)
                frame = acked(len(self.log) + 1, name)
                self.log_frame(msgspec.structs.replace(frame, epoch=self.epoch))
            case CancelOrder(client_order_id=name):
                truth = self.truths.get(name)
                if truth is not None and truth.is_open:
                    truth.is_open = False
                    self.log_frame(canceled(len(self.log) + 1, name, truth.cum, self.epoch))
                else:
                    self.answer(CancelReject(client_order_id=name, code="UNKNOWN_ORDER", epoch=self.epoch))
            case Amend(client_order_id=name, total_lots=total):
                self.amend_at_venue(name, total, accepts)
            case QueryStatus(client_order_id=name):
                self.answer(self.status(name, Asked(seq, True, self.epoch)))
            case ReplayFrom(exec_seq=first):
                for frame in self.log[first - 1 :]:
                    self.answer(msgspec.structs.replace(frame, epoch=self.epoch))
                self.answer(ReplayDone(len(self.log), self.epoch))

    def amend_at_venue(self, name: str, total: int, accepts: bool) -> None:
        truth = self.truths.get(name)
        if truth is None or not truth.is_open or not accepts:
            self.answer(AmendReject(client_order_id=name, code="TOO_LATE_TO_CANCEL", epoch=self.epoch))
        elif total <= truth.cum:
            truth.is_open = False
            self.log_frame(canceled(len(self.log) + 1, name, truth.cum, self.epoch))
        else:
            truth.total = total
            self.log_frame(
                Amended(
                    exec_seq=len(self.log) + 1,
                    client_order_id=name,
                    order_id=f"v{name}",
                    total_lots=total,
                    price_ticks=1_000,
                    cum_lots=truth.cum,
                    leaves_lots=total - truth.cum,
                    epoch=self.epoch,
                )
            )

    def status(self, name: str, asked: Asked) -> OrderStatus:
        truth = self.truths.get(name)
        if truth is None:
            return OrderStatus(
                client_order_id=name,
                status="not_found",
                never_seen=True,
                as_of_exec_seq=len(self.log),
                asked=asked,
                epoch=self.epoch,
            )
        word = "open" if truth.is_open else "filled" if truth.cum >= truth.total else "canceled"
        return OrderStatus(
            client_order_id=name,
            status=word,  # type: ignore[arg-type] # one of the words
            total_lots=truth.total,
            price_ticks=1_000,
            cum_lots=truth.cum,
            as_of_exec_seq=len(self.log),
            asked=asked,
            epoch=self.epoch,
        )

    @precondition(lambda self: any(truth.is_open for truth in self.truths.values()))
    @rule(data=st.data())
    def trade(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name, truth in self.truths.items() if truth.is_open]))
        truth = self.truths[name]
        lots = data.draw(st.integers(1, truth.total - truth.cum))
        truth.cum += lots
        truth.is_open = truth.cum < truth.total
        order = self.orders.get(name)
        assert order is not None
        self.log_frame(filled(len(self.log) + 1, name, order.side, lots, truth.cum, self.epoch))

    @precondition(lambda self: self.coming)
    @rule(how=st.sampled_from(["comes"] * 6 + ["twice", "lost", "early"]))
    def deliver(self, how: str) -> None:
        at = 1 if how == "early" and len(self.coming) > 1 and hasattr(self.coming[1], "exec_seq") else 0
        frame = self.coming[at] if how == "twice" else self.coming.pop(at)
        if how != "lost":
            self.tell(frame)

    @rule()
    def cut_or_connect(self) -> None:
        if self.is_up:
            self.is_up = False
            self.sent_before, self.sent = self.sent, []
            self.coming.clear()
            self.tell(SessionDown(reason="closed"))
        else:
            self.is_up = True
            self.sent_before.clear()
            self.epoch += 1
            self.tell(SessionUp(epoch=self.epoch, last_exec_seq=len(self.log), **LIMITS))

    @precondition(lambda self: self.is_up and not self.orders.state.is_live and not self.orders.state.is_replay_asked)
    @rule()
    def reconciled(self) -> None:
        if self.orders.state.cursor >= self.orders.state.hello_seq:
            self.done(self.orders.session_live(self.stamp()))

    @precondition(lambda self: self.orders.state.live)
    @rule(data=st.data(), kind=st.sampled_from(["request", "query"]))
    def fire(self, data: st.DataObject, kind: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.orders.state.live)))
        order = self.orders.state.live[name]
        at_ns = order.timer_at_ns if kind == "request" else order.query_at_ns
        if at_ns and at_ns < self.now_ns + 10 * SECOND_NS:
            self.now_ns = max(self.now_ns, at_ns)
            self.done(self.orders.timer(f"{kind}:{name}", self.stamp()))

    @invariant()
    def what_may_fill_is_reserved(self) -> None:
        under_way = [effect for effect, _ in self.sent + self.sent_before]
        for name in self.names:
            order = self.orders.get(name)
            assert order is not None
            truth = self.truths.get(name)
            totals = [
                effect.total_lots for effect in under_way if type(effect) is Amend and effect.client_order_id == name
            ]
            may_arrive = any(type(effect) is Place and effect.client_order_id == name for effect in under_way)
            if truth is None:
                can_fill = max([10, *totals]) if may_arrive else 0
            else:
                can_fill = max([truth.total, *totals]) if truth.is_open else truth.cum
            assert order.reserved_lots >= can_fill - order.cum_lots, f"{order.state}: {order.reserved_lots}, {can_fill}"
            if order.state in FINAL:
                assert not may_arrive and (truth is None or not truth.is_open), order.state
            assert order.cum_lots <= (truth.cum if truth else 0)

    @invariant()
    def the_sums_are_those_of_the_orders(self) -> None:
        found = [order for name in self.names if (order := self.orders.get(name)) is not None]
        for side in Side:
            reserved = sum(order.reserved_lots for order in found if order.side is side)
            assert self.orders.reserved_lots(SYMBOL, side) == reserved
        assert self.orders.open_count(SYMBOL) == sum(order.state not in FINAL for order in found)
        assert self.orders.unknown_count(SYMBOL) == sum(order.state is OrderState.UNKNOWN for order in found)

    @invariant()
    def a_copy_of_the_state_is_the_same(self) -> None:
        encoded_state = msgspec.msgpack.encode(self.orders.state)
        copy = OwnOrders(msgspec.msgpack.decode(encoded_state, type=OrdersState))
        assert msgspec.msgpack.encode(copy.state) == encoded_state
        assert [order.client_order_id for order in copy.live(SYMBOL)] == [
            order.client_order_id for order in self.orders.live(SYMBOL)
        ]
        assert copy.open_count() == self.orders.open_count()
        for side in Side:
            assert copy.reserved_lots(SYMBOL, side) == self.orders.reserved_lots(SYMBOL, side)


HonestVenue.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestHonestVenue = HonestVenue.TestCase
