"""Run a stream of orders through liquibook, a matching engine in C++: JSON in, JSON out. Runs in `.venv-engines` alone.

In: a list of ["place", id, account, side, lots, ticks, type], ["cancel", id] and ["amend", id, total, ticks]. Out: a list
of [incoming, resting, lots, ticks] in order of trading, and the open quantity of every order that rests.
"""

import json
import sys

import liquibook

CONDITIONS = {
    "limit": liquibook.oc_no_conditions,
    "ioc": liquibook.oc_immediate_or_cancel,
    "fok": liquibook.oc_fill_or_kill,
}
trades = []
names = {}


class Listener(liquibook.OrderListener):
    def on_fill(self, incoming, resting, lots, ticks):
        resting.fill(lots, ticks, 0)
        incoming.fill(lots, ticks, 0)
        trades.append([names[incoming.order_id_], names[resting.order_id_], lots, ticks])

    def on_accept(self, order):
        order.accept()

    def on_cancel(self, order):
        order.cancel()

    def on_replace(self, order, size_delta, new_price):
        order.replace(size_delta, new_price)

    def on_reject(self, order, reason):
        raise AssertionError(reason)

    def on_cancel_reject(self, order, reason):
        pass

    def on_replace_reject(self, order, reason):
        pass


listener = Listener()
# Its DepthOrderBook loses count of a level ("level quantity too low") and then skips the callbacks that follow.
book = liquibook.liquibook_book_OrderBook()
book.set_symbol("BTC-USDC")
book.set_order_listener(listener)
orders = {}
for step in json.load(sys.stdin):
    if step[0] == "cancel":
        book.cancel(orders[step[1]])
    elif step[0] == "amend":
        order = orders[step[1]]
        book.replace(order, step[2] - order.order_qty(), step[3])
    else:
        _, name, _, side, lots, ticks, kind = step
        order = liquibook.SimpleOrder(side == "buy", ticks, lots)
        names[order.order_id_] = name
        orders[name] = order
        book.add(order, CONDITIONS[kind])
left = sorted(
    [name, order.open_qty()]
    for name, order in orders.items()
    if order.state() == liquibook.os_accepted and order.open_qty()
)
json.dump({"trades": trades, "left": left}, sys.stdout)
