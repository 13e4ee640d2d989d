"""What the desk forgets when something is over, and what it never begins to remember."""

from __future__ import annotations

import msgspec

from agent.core.effects.orders import Place, Refuse
from agent.core.events.control import StrategyAlive
from agent.core.events.orders import (
    CancelRequested,
    PlaceRequested,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders.table import OrderState
from tests.core.desk.account import BID, MILLISECOND_NS, SECOND_NS, SETTINGS, SYMBOL, Played, of, only
from tests.core.desk.test_desk import SIGNALLED, refusal, signal


def test_an_order_that_ends_in_the_queue_is_over_for_its_signal_too() -> None:
    played = Played(SIGNALLED).live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    played.desk.state.rate.ttl_ns = 5 * MILLISECOND_NS
    effects = played.step(
        signal(played, expires_ns=signal(played).expires_ns + 8 * SECOND_NS, input_seq=played.decided_seq)
    )
    assert not of(Place, effects)
    assert played.desk.state.rate.length == 1
    (waiting,) = played.desk.state.working.keys() - {
        order.client_order_id for order in played.desk.orders.all_live() if order.state is not OrderState.QUEUED
    }
    played.now_ns += 5 * MILLISECOND_NS
    played.timer("desk:rate")
    assert "R_QUEUE_TTL" in [one.code for _, _, effects in played.log for one in of(Refuse, effects)]
    assert waiting not in played.desk.state.working
    played.wait(SECOND_NS)
    assert only(Place, played.book()).order_type is OrderType.IOC, "the signal tries again"


def test_a_cancelled_order_of_the_queue_is_over() -> None:
    played = Played().live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s + 1):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    (waiting,) = [one for one in played.desk.orders.all_live() if one.state is OrderState.QUEUED]
    played.step(CancelRequested(waiting.client_order_id))
    assert waiting.client_order_id not in played.desk.state.working
    assert played.desk.state.rate.length == 0


def test_names_that_no_venue_defined_are_not_remembered() -> None:
    played = Played(SIGNALLED).live()
    for number in range(5):
        forged = msgspec.structs.replace(signal(played), symbol=f"NONE-{number}", is_authentic=False)
        assert refusal(played.step(forged)) == "R_SIGNAL_NOT_AUTHENTIC"
        wish = PlaceRequested(
            strategy="hand",
            symbol=f"NEVER-{number}",
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            lots=1,
            price_ticks=1,
            decided_seq=played.decided_seq,
        )
        assert refusal(played.step(wish)) == "R_UNKNOWN_INSTRUMENT"
    assert list(played.desk.state.markets.by_symbol) == [SYMBOL]
