"""Orders and frames for tests, as short as they can be said."""

from __future__ import annotations

from typing import Any

from agent.core.events.orders import (
    Canceled,
    Fill,
    OrderAck,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders.order import NewOrder

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
