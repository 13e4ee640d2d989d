"""What trading rules do not know: trades outside the queue, and trades taken back. Faults are made of them."""

from __future__ import annotations

from agent.core.instruments import OrderType
from agent.devnet.purpleflea import frames
from agent.devnet.purpleflea.accounts import Account
from agent.devnet.purpleflea.engine import MatchingEngine
from agent.devnet.purpleflea.orders import VENUE, Order, Place
from agent.devnet.purpleflea.steps import Instant


def fill_from_house(engine: MatchingEngine, house: Account, order: Order, lots: int, now: Instant) -> int:
    """Fill up to `lots` of an order at its own price, whatever is before it in the queue; how many were filled.

    An order that has ended is filled too, late: what it has not filled yet is what can be.
    """
    lots = min(lots, order.lots - order.cum_lots)
    if lots <= 0:
        return 0
    engine.begin(now)
    request = Place(
        client_order_id=f"house-{len(engine.trades)}",
        symbol=order.place.symbol,
        side=order.place.side.opposite,
        kind=OrderType.IOC,
        lots=lots,
        price_ticks=order.price_ticks,
    )
    taker = Order(
        order_id=f"h{len(engine.trades)}",
        account=house.account_id,
        place=request,
        origin=VENUE,
        client_order_id=request.client_order_id,
        lots=lots,
        price_ticks=order.price_ticks,
    )
    engine.trade(engine.markets[order.place.symbol], taker, order, lots)
    return lots


def bust(engine: MatchingEngine, trade_id: str, now: Instant) -> bool:
    """Take a trade back on both sides, fees included. The orders keep what they count as filled.

    False where there is no such trade, or it was taken back already.
    """
    engine.begin(now)
    found = next((trade for trade in engine.trades if trade.trade_id == trade_id), None)
    if found is None or trade_id in engine.busted:
        return False
    engine.busted.add(trade_id)
    market = engine.markets[found.symbol]
    for order, fee_atoms in ((found.taker, found.taker_fee_atoms), (found.maker, found.maker_fee_atoms)):
        account = engine.ledger.accounts[order.account]
        engine.ledger.settle(market, account, order.place.side.opposite, found.lots, found.price_ticks, -fee_atoms)
        engine.tell(account, frames.trade_bust(market, order, trade_id, engine.exchange_us))
    return True
