"""A person cancels everything: what only waits to go out is part of it."""

from __future__ import annotations

import pytest

from agent.core.effects.orders import CancelAll, Place
from agent.core.events.control import OperatorCommand, StrategyAlive
from agent.core.orders.table import OrderState
from tests.core.desk.account import BID, MILLISECOND_NS, SETTINGS, SYMBOL, Played, of, only


def with_one_waiting() -> Played:
    played = Played().live()
    played.book()
    for number in range(SETTINGS.profile.orders_per_s + 1):
        played.request(lots=1, price_ticks=BID - number)
        played.step(StrategyAlive("hand"))
    assert played.desk.state.rate.length == 1
    return played


@pytest.mark.parametrize("symbol", ["", SYMBOL])
def test_what_waits_in_the_queue_does_not_go_out_behind_the_fence(symbol: str) -> None:
    played = with_one_waiting()
    effects = played.step(OperatorCommand(action="cancel_all", reason="stop it", target=symbol))
    assert only(CancelAll, effects).fence == "account"
    assert played.desk.state.rate.length == 0
    assert not [order for order in played.desk.orders.all_live() if order.state is OrderState.QUEUED]
    for _ in range(10):
        played.wait(20 * MILLISECOND_NS)
        assert not of(Place, played.book())


def test_what_waits_for_another_symbol_goes_on_waiting() -> None:
    played = with_one_waiting()
    played.step(OperatorCommand(action="cancel_all", reason="stop it", target="ETH-USDC"))
    assert played.desk.state.rate.length == 1
