"""The venue's own books, for whoever compares an agent with them: the truth, whatever faults told the clients."""

from __future__ import annotations

from typing import Any

from agent.devnet.purpleflea.decimals import units_text
from agent.devnet.purpleflea.floor import Floor
from agent.devnet.purpleflea.orders import Order
from agent.devnet.purpleflea.steps import TradeRecord


def books(floor: Floor) -> dict[str, Any]:
    """Every client account's money, positions, orders and fills, and the sums that must be nothing.

    Prices and quantities are decimal strings, `_atoms` are integers of the smallest unit, times are the venue's clock.
    """
    engine = floor.engine
    digits = floor.currency_digits()
    return {
        "exchange_ts": engine.exchange_us,
        "accounts": {name: account_books(floor, name) for name in floor.members},
        "trades": len(engine.trades),
        "busted": sorted(engine.busted),
        "venue_fees": {ccy: units_text(atoms, digits[ccy]) for ccy, atoms in sorted(engine.ledger.venue_fees.items())},
        "imbalance_atoms": engine.ledger.imbalance(),
    }


def account_books(floor: Floor, account_id: str) -> dict[str, Any]:
    """One account's part."""
    engine, member = floor.engine, floor.members[account_id]
    frame = floor.account_frame(member)
    digits = floor.currency_digits()
    return {
        "session_epoch": member.epoch,
        "last_exec_seq": frame["as_of_exec_seq"],
        "balances": frame["balances"],
        "positions": frame["positions"],
        "fees_paid": {ccy: units_text(atoms, digits[ccy]) for ccy, atoms in sorted(member.account.fees_paid.items())},
        "orders": [order_row(floor, order) for order in engine.by_order_id.values() if order.account == account_id],
        "fills": [row for trade in engine.trades for row in fill_rows(floor, trade, account_id)],
        "keys": [
            {"id": key.key_id, "label": key.label, "scopes": sorted(key.scopes), "deleted": key.is_deleted}
            for key in floor.keys.keys.values()
            if key.account == account_id
        ],
    }


def order_row(floor: Floor, order: Order) -> dict[str, Any]:
    """One order with the instant at which the venue judged it, and by which connection, key and epoch it came."""
    market = floor.engine.markets.get(order.place.symbol)
    row: dict[str, Any] = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "first_client_order_id": order.place.client_order_id,
        "symbol": order.place.symbol,
        "side": str(order.place.side),
        "type": str(order.place.kind),
        "status": order.status,
        "code": order.code,
        "judged_mono_ns": order.accepted_mono_ns,
        "judged_wall_ns": order.accepted_wall_ns,
        "ended_wall_ns": order.ended_wall_ns,
        "conn_id": order.origin.conn_id,
        "key_id": order.origin.key_id,
        "session_epoch": order.origin.epoch,
    }
    if market is not None:
        row |= {
            "quantity": market.lots_text(order.lots),
            "price": market.price_text(order.price_ticks),
            "cum_qty": market.lots_text(order.cum_lots),
        }
    return row


def fill_rows(floor: Floor, trade: TradeRecord, account_id: str) -> list[dict[str, Any]]:
    """The account's side of a trade: none, one, or none for a trade of others."""
    market = floor.engine.markets[trade.symbol]
    rows = []
    for order, fee_atoms, liquidity in (
        (trade.taker, trade.taker_fee_atoms, "taker"),
        (trade.maker, trade.maker_fee_atoms, "maker"),
    ):
        if order.account == account_id:
            rows.append(
                {
                    "trade_id": trade.trade_id,
                    "symbol": trade.symbol,
                    "client_order_id": order.client_order_id,
                    "order_id": order.order_id,
                    "side": str(order.place.side),
                    "qty": market.lots_text(trade.lots),
                    "price": market.price_text(trade.price_ticks),
                    "liquidity": liquidity,
                    "fee": market.fee_text(fee_atoms),
                    "fee_ccy": market.fee_currency,
                    "exchange_ts": trade.exchange_us,
                    "busted": trade.trade_id in floor.engine.busted,
                }
            )
    return rows
