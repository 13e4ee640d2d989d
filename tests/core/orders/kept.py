"""What holds of our orders after anything: what they count is what they hold, and a copy goes on from the same."""

from __future__ import annotations

from agent.core.instruments import Side
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import FINAL, OrderState
from tests.core.kept import as_kept, effects_as_kept


def in_order(orders: OwnOrders, out: Outcome) -> Outcome:
    """The outcome, when all of it holds."""
    effects_as_kept(out.effects)
    state = as_kept(orders.state)
    again = OwnOrders(state)
    assert orders.open_count() == again.open_count() == sum(order.state not in FINAL for order in state.live.values())
    for symbol in {order.symbol for order in state.live.values()} | {"BTC-USDC", "nothing"}:
        counted, held = orders.of_symbol(symbol), [order for order in state.live.values() if order.symbol == symbol]
        assert list(counted.live) == [order.client_order_id for order in held]
        assert counted.open_count == orders.open_count(symbol) == sum(order.state not in FINAL for order in held)
        unknown = sum(order.state is OrderState.UNKNOWN for order in held)
        assert counted.unknown_count == orders.unknown_count(symbol) == unknown
        for side in Side:
            reserved = sum(order.reserved_lots for order in held if order.side is side)
            assert orders.reserved_lots(symbol, side) == again.reserved_lots(symbol, side) == reserved
        assert orders.is_fenced(symbol) == again.is_fenced(symbol)
    for order in state.live.values():
        assert order.reserved_lots >= 0 and order.owed_lots == max(0, order.claimed_lots - order.cum_lots)
        assert orders.get(order.client_order_id) == again.get(order.client_order_id) == order
        assert not orders.is_over(order.client_order_id)
    return out
