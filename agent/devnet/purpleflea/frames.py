"""The private frames of the contract, as dictionaries before they are numbered and encoded."""

from __future__ import annotations

from typing import Any

from agent.core.instruments import Side
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.orders import Order

Frame = dict[str, Any]


def order_ack(market: Market, order: Order, exchange_us: int, *, is_duplicate: bool = False) -> Frame:
    return {
        "type": "order_ack",
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "symbol": market.symbol,
        "status": order.status,
        "cum_qty": market.lots_text(order.cum_lots),
        "accepted_price": market.price_text(order.price_ticks),
        "duplicate": is_duplicate,
        "exchange_ts": exchange_us,
    }


def fill(
    market: Market,
    order: Order,
    *,
    trade_id: str,
    lots: int,
    price_ticks: int,
    fee_atoms: int,
    is_maker: bool,
    exchange_us: int,
) -> Frame:
    leaves = order.lots - order.cum_lots
    return {
        "type": "fill",
        "symbol": market.symbol,
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "trade_id": trade_id,
        "side": str(order.place.side),
        "qty": market.lots_text(lots),
        "price": market.price_text(price_ticks),
        "liquidity": "maker" if is_maker else "taker",
        "fee": market.fee_text(fee_atoms),
        "fee_ccy": market.fee_currency,
        "cum_qty": market.lots_text(order.cum_lots),
        "leaves_qty": market.lots_text(leaves),
        "status": "filled" if leaves == 0 else "partial",
        "exchange_ts": exchange_us,
        "replayed": False,
    }


def order_canceled(market: Market, order: Order, cum_lots: int, reason: str, exchange_us: int) -> Frame:
    return {
        "type": "order_canceled",
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "symbol": market.symbol,
        "cum_qty": market.lots_text(cum_lots),
        "reason": reason,
        "exchange_ts": exchange_us,
    }


def order_amended(market: Market, order: Order, old_client_id: str, *, kept: bool, exchange_us: int) -> Frame:
    """`new_client_order_id` is there where the id changed."""
    frame: Frame = {
        "type": "order_amended",
        "client_order_id": old_client_id,
        "order_id": order.order_id,
        "symbol": market.symbol,
        "quantity": market.lots_text(order.lots),
        "price": market.price_text(order.price_ticks),
        "cum_qty": market.lots_text(order.cum_lots),
        "leaves_qty": market.lots_text(order.lots - order.cum_lots),
        "priority_kept": kept,
        "exchange_ts": exchange_us,
    }
    if old_client_id != order.client_order_id:
        frame["new_client_order_id"] = order.client_order_id
    return frame


def order_row(market: Market, order: Order) -> Frame:
    """One order in full, as `order_state` and `open_orders` give it; `type` is the frame's own word."""
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "symbol": market.symbol,
        "side": str(order.place.side),
        "order_type": str(order.place.kind),
        "quantity": market.lots_text(order.lots),
        "price": market.price_text(order.price_ticks),
        "cum_qty": market.lots_text(order.cum_lots),
        "leaves_qty": market.lots_text(order.leaves_lots),
        "status": order.status,
        "reduce_only": order.place.is_reduce_only,
        "session_epoch": order.origin.epoch,
    }


def trade(market: Market, trade_id: str, lots: int, price_ticks: int, aggressor: Side, exchange_us: int) -> Frame:
    """The public print."""
    return {
        "type": "trade",
        "symbol": market.symbol,
        "trade_id": trade_id,
        "price": market.price_text(price_ticks),
        "qty": market.lots_text(lots),
        "aggressor": str(aggressor),
        "exchange_ts": exchange_us,
    }


def trade_bust(market: Market, order: Order, trade_id: str, exchange_us: int) -> Frame:
    return {
        "type": "trade_bust",
        "trade_id": trade_id,
        "symbol": market.symbol,
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "qty": market.lots_text(0),
        "price": market.price_text(0),
        "exchange_ts": exchange_us,
    }
