"""What may still fill is always reserved: the real classes on random walks through an honest venue and a bad network.

The search of the model is exhaustive over one small order; these walks are the classes themselves, with three orders,
larger amounts and amendments at every moment. A walk is its seed: a failure names it.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from agent.core.effects.orders import Amend, CancelOrder, Place, QueryStatus, ReplayFrom
from agent.core.events import Stamp
from agent.core.events.orders import (
    Amended,
    AmendReject,
    Asked,
    CancelReject,
    OrderEvent,
    OrderStatus,
    ReplayDone,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import Side
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState
from agent.core.orders.table import FINAL, OrderState
from tests.core.orders.history import LIMITS, SECOND_NS, SYMBOL, acked, canceled, filled, new_order

WALKS = 400
STEPS_OF_A_WALK = 250


class _Truth:
    """An order as the venue has it."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.cum = 0
        self.is_open = True


class Walk:
    """One run of chance over an honest venue.

    Everything that is sent waits until it is processed, everything that is answered until it is delivered; both may be
    lost, doubled or come too early, and the connection is cut at any time.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
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
        self.by_rest: list[OrderEvent] = []
        self.names: list[str] = []
        self.way: list[str] = []

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

    def place(self) -> None:
        if len(self.names) == 3 or not self.orders.state.is_live:
            return
        side = self.chance.choice((Side.BUY, Side.SELL))
        out = self.orders.place(new_order(side), release=True, stamp=self.stamp())
        self.names.append(out.placed)
        self.done(out)

    def cancel(self) -> None:
        if self.names:
            self.done(self.orders.cancel(self.chance.choice(self.names), self.stamp()))

    def amend(self) -> None:
        if not self.names or not self.is_up:
            return
        name, total = self.chance.choice(self.names), self.chance.randint(1, 20)
        order = self.orders.get(name)
        assert order is not None
        if total > order.cum_lots:
            self.done(self.orders.amend(name, total, 1_000, self.stamp()))

    def process(self) -> None:
        queue = self.sent or self.sent_before
        if not queue:
            return
        effect, seq = queue.pop(0)
        if self.chance.random() < 0.08:
            return  # lost
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
                self.amend_at_venue(name, total, accepts=self.chance.random() < 0.7)
            case QueryStatus(client_order_id=name):
                self.answer(self.status(name, Asked(seq, True, self.epoch)))
            case ReplayFrom(exec_seq=first):
                for frame in self.log[first - 1 :]:
                    self.answer(msgspec.structs.replace(frame, epoch=self.epoch))
                self.answer(ReplayDone(len(self.log), self.epoch))

    def amend_at_venue(self, name: str, total: int, *, accepts: bool) -> None:
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

    def ask_by_rest(self) -> None:
        """The answer is of now and will be read whenever chance has it, another session or not."""
        if self.names:
            asked = Asked(self.seq, False, self.epoch)
            self.by_rest.append(self.status(self.chance.choice(self.names), asked))

    def read_rest(self) -> None:
        if self.by_rest:
            self.tell(self.by_rest.pop(0))

    def trade(self) -> None:
        names = [name for name, truth in self.truths.items() if truth.is_open]
        if not names:
            return
        name = self.chance.choice(names)
        truth = self.truths[name]
        lots = self.chance.randint(1, truth.total - truth.cum)
        truth.cum += lots
        truth.is_open = truth.cum < truth.total
        order = self.orders.get(name)
        assert order is not None
        self.log_frame(filled(len(self.log) + 1, name, order.side, lots, truth.cum, self.epoch))

    def deliver(self) -> None:
        if not self.coming:
            return
        how = self.chance.choice(("comes",) * 8 + ("twice", "lost", "early"))
        at = 1 if how == "early" and len(self.coming) > 1 else 0
        frame = self.coming[at]
        if how != "twice" or not hasattr(frame, "exec_seq"):  # executions come at least once, answers at most once
            self.coming.pop(at)
        if how != "lost":
            self.tell(frame)

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

    def reconcile(self) -> None:
        state = self.orders.state
        if self.is_up and not state.is_live and not state.is_replay_asked and state.cursor >= state.hello_seq:
            self.done(self.orders.session_live(self.stamp()))

    def fire(self) -> None:
        live = list(self.orders.state.live.values())
        if not live:
            return
        order, kind = self.chance.choice(live), self.chance.choice(("request", "query"))
        at_ns = order.timer_at_ns if kind == "request" else order.query_at_ns
        if at_ns and at_ns < self.now_ns + 10 * SECOND_NS:
            self.now_ns = max(self.now_ns, at_ns)
            self.done(self.orders.timer(f"{kind}:{order.client_order_id}", self.stamp()))

    def step(self) -> None:
        name = self.chance.choice(STEPS)
        self.way.append(name)
        getattr(self, name)()
        self.what_may_fill_is_reserved()
        self.the_sums_are_those_of_the_orders()

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

    def the_sums_are_those_of_the_orders(self) -> None:
        found = [order for name in self.names if (order := self.orders.get(name)) is not None]
        for side in Side:
            reserved = sum(order.reserved_lots for order in found if order.side is side)
            assert self.orders.reserved_lots(SYMBOL, side) == reserved
        assert self.orders.open_count(SYMBOL) == sum(order.state not in FINAL for order in found)
        assert self.orders.unknown_count(SYMBOL) == sum(order.state is OrderState.UNKNOWN for order in found)

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


STEPS = (
    *("place",) * 3,
    *("cancel",) * 2,
    *("amend",) * 3,
    *("process",) * 10,
    *("trade",) * 3,
    *("deliver",) * 12,
    *("reconcile",) * 3,
    *("fire",) * 2,
    "cut_or_connect",
    "ask_by_rest",
    "read_rest",
)
"""By weight, so that most of what is sent arrives."""


@pytest.mark.parametrize("block", range(4))
def test_no_walk_of_chance_breaks_a_law(block: int) -> None:
    states = set()
    for seed in range(block * WALKS, (block + 1) * WALKS):
        walk = Walk(seed)
        try:
            for _ in range(STEPS_OF_A_WALK):
                walk.step()
                states.update(order.state for order in walk.orders.state.live.values())
            walk.a_copy_of_the_state_is_the_same()
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}, after {' '.join(walk.way)}: {broken}") from broken
    assert states >= set(OrderState) - FINAL - {OrderState.QUEUED}, "the walks see every state"
