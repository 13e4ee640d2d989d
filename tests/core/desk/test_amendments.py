"""An amendment meets the checks of the order it leaves, and counts like one."""

from __future__ import annotations

from agent.core.effects.orders import Amend, Place, Refuse
from agent.core.events.control import StrategyAlive
from agent.core.events.orders import (
    AmendRequested,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders.table import OrderState
from tests.core.desk.account import ASK, BID, SETTINGS, Played, of, only
from tests.core.desk.test_desk import refusal


def amended(client_order_id: str, total_lots: int, price_ticks: int) -> AmendRequested:
    return AmendRequested(client_order_id=client_order_id, total_lots=total_lots, price_ticks=price_ticks)


def test_an_amendment_does_not_trade_with_itself_but_with_another_of_ours() -> None:
    played = Played().live()
    ask = played.place(Side.SELL, 10, ASK + 20)
    played.ack(ask)
    bid = played.place(Side.BUY, 10, BID - 20)
    played.ack(bid)
    moved = only(Amend, played.step(amended(ask.client_order_id, 10, ASK + 5)))
    assert moved.price_ticks == ASK + 5
    assert refusal(played.step(amended(bid.client_order_id, 10, ASK + 5))) == "R_SELF_TRADE"


def test_a_post_only_order_is_not_amended_into_taking() -> None:
    played = Played().live()
    place = only(Place, played.request(price_ticks=BID - 5, order_type=OrderType.POST_ONLY))
    played.ack(place)
    assert refusal(played.step(amended(place.client_order_id, 10, ASK))) == "R_WOULD_CROSS"


def test_an_amendment_takes_a_token_and_is_refused_without_one() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    played.desk.state.rate.orders.tokens_nano = 0
    assert refusal(played.step(amended(place.client_order_id, 11, BID))) == "R_QUEUE_FULL"


def test_an_order_that_waits_is_changed_without_a_token() -> None:
    played = Played().live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s + 1):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    (waiting,) = [one for one in played.desk.orders.all_live() if one.state is OrderState.QUEUED]
    assert not of(Refuse, played.step(amended(waiting.client_order_id, 2, BID - 70)))
    assert (waiting.total_lots, waiting.price_ticks) == (2, BID - 70)


def test_what_an_amendment_adds_counts_towards_the_day() -> None:
    played = Played().live()
    place = played.place()
    played.ack(place)
    breakers = played.desk.state.breakers
    orders, notional_atoms = breakers.orders_today, breakers.notional_today_atoms
    only(Amend, played.step(amended(place.client_order_id, 14, BID)))
    assert breakers.notional_today_atoms - notional_atoms == 4 * BID * 100
    assert breakers.orders_today == orders + 1


def test_an_amendment_of_what_is_no_open_order_costs_nothing() -> None:
    played = Played().live()
    place = played.place()
    tokens = played.desk.state.rate.orders.tokens_nano
    assert refusal(played.step(amended(place.client_order_id, 11, BID))) == "AMEND_NOT_LIVE"
    assert played.desk.state.rate.orders.tokens_nano >= tokens
