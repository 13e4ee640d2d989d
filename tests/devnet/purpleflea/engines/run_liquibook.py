"""Run a stream of orders through liquibook, a matching engine in C++: JSON in, JSON out. Runs in `.venv-engines` alone.

In: streams, each a list of ["place", id, account, side, lots, ticks, type], ["cancel", id] and ["amend", id, total,
ticks]. Out, for each: trades as [incoming, resting, lots, ticks] in order, and the open quantity of what rests.
"""

import json
import sys

import liquibook

CONDITIONS = {
    "limit": liquibook.oc_no_conditions,
    "ioc": liquibook.oc_immediate_or_cancel,
    "fok": liquibook.oc_fill_or_kill,
}


class Listener(liquibook.OrderListener):
    def __init__(self):
        liquibook.OrderListener.__init__(self)
        self.trades = []
        self.names = {}

    def on_fill(self, incoming, resting, lots, ticks):
        resting.fill(lots, ticks, 0)
        incoming.fill(lots, ticks, 0)
        self.trades.append([self.names[incoming.order_id_], self.names[resting.order_id_], lots, ticks])

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


def run(steps):
    listener = Listener()
    # Its DepthOrderBook loses count of a level ("level quantity too low") and then skips the callbacks that follow.
    book = liquibook.liquibook_book_OrderBook()
    book.set_symbol("BTC-USDC")
    book.set_order_listener(listener)
    orders = {}
    for step in steps:
        if step[0] == "cancel":
            book.cancel(orders[step[1]])
        elif step[0] == "amend":
            order = orders[step[1]]
            book.replace(order, step[2] - order.order_qty(), step[3])
        else:
            _, name, _, side, lots, ticks, kind = step
            order = liquibook.SimpleOrder(side == "buy", ticks, lots)
            listener.names[order.order_id_] = name
            orders[name] = order
            book.add(order, CONDITIONS[kind])
    resting = [(name, order) for name, order in orders.items() if order.state() == liquibook.os_accepted]
    left = sorted([name, order.open_qty()] for name, order in resting if order.open_qty())
    return {"trades": listener.trades, "left": left}


json.dump([run(steps) for steps in json.load(sys.stdin)], sys.stdout)
