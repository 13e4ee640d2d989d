"""Run a stream of orders through PyPI order-matching: JSON in, JSON out. Runs in `.venv-engines` alone.

In: a list of ["place", id, account, side, lots, ticks] and ["cancel", id]. Out: a list of [incoming, resting, lots,
ticks] in order of trading, and the book that is left.
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
engine = MatchingEngine(seed=1)
now = datetime(2026, 1, 1)
trades = []
for step in json.load(sys.stdin):
    now += timedelta(seconds=1)
    if step[0] == "cancel":
        if engine.unprocessed_orders.find_order_by_id(step[1]) is not None:
            engine.cancel_order(step[1])
        continue
    _, name, account, side, lots, ticks = step
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
book = engine.unprocessed_orders
left = sorted(
    [order.order_id, int(order.size)]
    for half in (book.bids, book.offers)
    for orders in half.values()
    for order in orders
)
json.dump({"trades": trades, "left": left}, sys.stdout)
