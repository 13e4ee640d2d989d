"""Trades remembered for a while, so that one that is taken back or corrected finds its order."""

from __future__ import annotations

from agent.core.effects.control import Alarm
from agent.core.events import Stamp
from agent.core.events.orders import Fill, TradeBusted
from agent.core.orders.actions import ROWS
from agent.core.orders.machine import Machine
from agent.core.orders.outcome import AppliedBust, Outcome
from agent.core.orders.state import OrdersState, Trade

KEPT_TRADES = 8_192
"""Trades of one generation; the bust of an older one halts, because its size is not known any more."""
BUST = ROWS["bust"]


def remember_trade(state: OrdersState, owner: str, fill: Fill) -> None:
    """Keep what a bust of it must know. Both sides of a trade with ourselves, or two symbols, may share an id."""
    trade = Trade(owner, fill.client_order_id, fill.symbol, fill.side, fill.lots, fill.price_ticks)
    trades = state.trades
    same = trades.get(fill.trade_id)
    trades[fill.trade_id] = (trade,) if same is None else (*same, trade)
    if len(trades) >= KEPT_TRADES:
        state.trades_before = trades
        state.trades = {}


def knows_trade(state: OrdersState, trade_id: str) -> bool:
    return trade_id in state.trades or trade_id in state.trades_before


def bust(machine: Machine, event: TradeBusted, stamp: Stamp, out: Outcome) -> None:
    """Position and cash change; what the order filled, leaves and is stays: the quantity does not work again."""
    state = machine.state
    trades = state.trades.get(event.trade_id) or state.trades_before.get(event.trade_id) or ()
    symbols = {trade.symbol for trade in trades}
    if len(symbols) != 1:
        code = "BUST_OF_UNKNOWN_TRADE"
        detail = f"{len(symbols)} symbols have a remembered trade of this id"
        out.effects.append(Alarm("critical", code, event.trade_id, detail))
        out.halts.append((code, f"trade {event.trade_id}: {detail}"))
        return
    for trade in trades:
        price_ticks = trade.price_ticks if event.price_ticks is None else event.price_ticks
        out.busts.append(
            AppliedBust(
                owner=trade.owner,
                client_order_id=trade.client_order_id,
                exec_seq=event.exec_seq,
                trade_id=event.trade_id,
                symbol=trade.symbol,
                side=trade.side,
                lots_before=trade.lots,
                price_ticks_before=trade.price_ticks,
                lots=event.lots,
                price_ticks=price_ticks,
            )
        )
        trade.lots, trade.price_ticks = event.lots, price_ticks
        order = machine.find(trade.client_order_id)
        if order is None:
            detail = f"{event.lots} lots remain of a trade whose order is forgotten"
            out.effects.append(Alarm("critical", "TRADE_BUSTED", trade.client_order_id, detail))
        else:
            order.exec_seq = event.exec_seq
            machine.react(order, BUST, stamp, out)
