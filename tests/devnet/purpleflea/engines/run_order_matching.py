"""Run a stream of orders through PyPI order-matching: JSON in, JSON out. Runs in `.venv-engines` alone.

In: streams, each a list of ["place", id, account, side, lots, ticks, "limit"] and ["cancel", id]. Out, for each: trades
as [incoming, resting, lots, ticks] in order, and the orders that are left.
"""

import json
import sys
from datetime import datetime, timedelta

from loguru import logger
from order_matching.enums import Side
from order_matching.matching_engine import MatchingEngine
from order_matching.order import LimitOrder
from order_matching.orders import Orders

logger.remove()


def run(steps):
    engine = MatchingEngine(seed=1)
    now = datetime(2026, 1, 1)
    trades = []
    for step in steps:
        now += timedelta(seconds=1)
        if step[0] == "cancel":
            if engine.unprocessed_orders.find_order_by_id(step[1]) is not None:
                engine.cancel_order(step[1])
            continue
        name, account, side, lots, ticks = step[1:6]
        order = LimitOrder(
            side=Side.BUY if side == "buy" else Side.SELL,
            price=float(ticks),
            size=float(lots),
            timestamp=now,
            order_id=name,
            trader_id=account,
        )
        engine.place(orders=Orders([order]))
        for trade in engine.match(timestamp=now).trades:
            trades.append([trade.incoming_order_id, trade.book_order_id, int(trade.size), int(trade.price)])
    halves = (engine.unprocessed_orders.bids, engine.unprocessed_orders.offers)
    resting = [order for half in halves for orders in half.values() for order in orders]
    return {"trades": trades, "left": sorted([order.order_id, int(order.size)] for order in resting)}


json.dump([run(steps) for steps in json.load(sys.stdin)], sys.stdout)
