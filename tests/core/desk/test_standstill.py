"""What must end when trading stops, of the account or of one symbol."""

from __future__ import annotations

import msgspec

from agent.core.effects.control import ModeChanged
from agent.core.effects.orders import CancelOrder, Place
from agent.core.events.control import OperatorCommand
from agent.core.instruments import Side
from tests.core.desk.account import ASK, BID, SETTINGS, SYMBOL, Played, of, only


def test_a_pause_cancels_what_rests_and_would_increase() -> None:
    settings = msgspec.structs.replace(SETTINGS, profile=msgspec.structs.replace(SETTINGS.profile, losses=2))
    played = Played(settings).live()
    resting = played.place(price_ticks=BID - 50)
    played.ack(resting)
    played.hold(1, BID)
    played.hold(-1, BID - 10)
    played.hold(1, BID)
    other = played.place(Side.SELL, 1, BID - 10)
    played.ack(other)
    effects = played.fill(other, price_ticks=BID - 10)
    assert of(ModeChanged, effects)[-1].mode == "PAUSED"
    assert only(CancelOrder, effects).client_order_id == resting.client_order_id


def test_at_a_position_limit_what_reduces_goes_on_resting_and_nothing_else() -> None:
    tight = msgspec.structs.replace(SETTINGS.profile, position_ppm=60_000, order_notional_ppm=60_000, name="tight")
    played = Played(msgspec.structs.replace(SETTINGS, profile=tight)).live()
    played.hold(95)
    more = played.place(Side.BUY, 1, BID - 50)
    played.ack(more)
    first = played.place(Side.SELL, 60, ASK + 50)
    played.ack(first)
    second = played.place(Side.SELL, 40, ASK + 60)
    played.ack(second)
    effects = played.book(BID * 107 // 100, BID * 107 // 100 + 10)  # floor: some percent higher is at the limit
    assert any(change.by == "position" and change.mode == "REDUCE_ONLY" for change in of(ModeChanged, effects))
    assert {cancel.client_order_id for cancel in of(CancelOrder, effects)} == {
        more.client_order_id,
        second.client_order_id,
    }, "95 are held: 60 of the sales reduce, 40 more could open a short"


def test_a_persons_pause_cancels_a_symbol_and_leaves_reduce_only_orders() -> None:
    played = Played().live()
    played.hold(10)
    closing = only(Place, played.request(Side.SELL, 10, ASK, is_reduce_only=True))
    played.ack(closing)
    opening = played.place(Side.BUY, 5, BID - 5)
    played.ack(opening)
    effects = played.step(OperatorCommand(action="pause", reason="lunch", target=SYMBOL))
    assert only(CancelOrder, effects).client_order_id == opening.client_order_id
