"""Frames in any order and any number come to the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.events import Stamp
from agent.core.events.orders import (
    OrderEvent,
    ReplayDone,
    SessionUp,
)
from agent.core.instruments import Side
from agent.core.orders.ids import encoded
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState
from tests.core.orders.history import LIMITS, SYMBOL, acked, canceled, filled, new_order


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
