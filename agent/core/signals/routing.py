"""From a wish to an order's type and price: rules, formula, limit, grid, in this order.

A market order never goes out raw: it becomes an `ioc` at the touch and a collar behind it, and so cannot take at any
price. A type that only takes is never priced short of the touch, where it could not trade: the article's formula
leaves an `ioc` of urgency 5 in the middle of the spread. A post-only order that would take is moved to its own side's
touch, or left out where even that would.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.instruments import OrderType, Side
from agent.core.signals.limit_price import (
    PARTS_PER_TICK,
    collar_ticks,
    compute_limit_price,
    round_to_tick,
    slippage_bound_ticks,
    without_crossing,
)
from agent.core.signals.order_types import CRITICAL_URGENCY, select_order_type, without_taking


class Routed(NamedTuple):
    """How an order goes out. `chosen` is what the rules said, `order_type` what is sent."""

    chosen: OrderType
    order_type: OrderType
    price_ticks: int


def route(
    side: Side,
    *,
    urgency: int,
    limit_ticks: int,
    bid_ticks: int,
    ask_ticks: int,
    filled_lots: int,
    target_lots: int,
    maker_rebate_ppm: int,
    max_slippage_ppm: int,
    collar_ppm: int,
    is_limit_only: bool = False,
) -> Routed | None:
    """The order for this touch, or None while its condition is not met.

    A buy never pays more than `limit_ticks` nor more than `max_slippage_ppm` above the middle; a sell mirrored.
    `is_limit_only`: nothing that only takes is let out now.
    """
    chosen = select_order_type(
        urgency=urgency,
        bid_ticks=bid_ticks,
        ask_ticks=ask_ticks,
        filled_lots=filled_lots,
        target_lots=target_lots,
        maker_rebate_ppm=maker_rebate_ppm,
    )
    is_buy = side is Side.BUY
    bound = slippage_bound_ticks(side, bid_ticks, ask_ticks, max_slippage_ppm)
    worst = min(limit_ticks, bound) if is_buy else max(limit_ticks, bound)
    sent = without_taking(chosen) if is_limit_only else chosen
    if sent is OrderType.LIMIT or sent is OrderType.POST_ONLY:
        parts = compute_limit_price(side, bid_ticks=bid_ticks, ask_ticks=ask_ticks, urgency=urgency)
        price = round_to_tick(side, parts, PARTS_PER_TICK, is_aggressive=urgency >= CRITICAL_URGENCY)
        if sent is OrderType.POST_ONLY:
            uncrossed = without_crossing(side, price, bid_ticks, ask_ticks)
            if uncrossed is None:
                return None
            price = uncrossed
    else:
        touch = ask_ticks if is_buy else bid_ticks
        if touch > worst if is_buy else touch < worst:
            return None
        price = touch
        if sent is OrderType.MARKET:
            sent = OrderType.IOC
            collar = collar_ticks(bid_ticks, ask_ticks, collar_ppm)
            price = touch + collar if is_buy else touch - collar
    return Routed(chosen, sent, min(price, worst) if is_buy else max(price, worst))
