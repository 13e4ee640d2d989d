"""Which of the five order types fits: five rules in order, the first that holds decides.

The rules are those of Purple Flea's article on agents and high-frequency trading. Every ratio is compared by
multiplying out, so that a spread of exactly 5 or 20 basis points falls on the side the rules say.
"""

from __future__ import annotations

from agent.core.instruments import OrderType

CRITICAL_URGENCY = 9
PATIENT_URGENCY = 3
FINISHING_URGENCY = 6
TIGHT_URGENCY = 5
WIDE_SPREAD_BPS = 20
TIGHT_SPREAD_BPS = 5
_MAX_URGENCY = 10
# (ask - bid) / mid in basis points is 20,000 · (ask - bid) / (ask + bid).
_TWICE_BPS = 20_000


def select_order_type(
    *,
    urgency: int,
    bid_ticks: int,
    ask_ticks: int,
    filled_lots: int,
    target_lots: int,
    maker_rebate_ppm: int,
) -> OrderType:
    """The type of order for a wish of this urgency (1 to 10) in a book with this touch.

    `filled_lots` of the `target_lots` are filled already; the rebate is what the venue pays makers, negative where
    it charges them. A touch of one price, locked, is a spread of nothing. Raises ValueError on an urgency out of
    range, a crossed touch, or a target that is not positive: what is absent is refused, never guessed.
    """
    if not 1 <= urgency <= _MAX_URGENCY:
        raise ValueError(f"urgency {urgency} is not within 1 and {_MAX_URGENCY}")
    if not 0 < bid_ticks <= ask_ticks:
        raise ValueError(f"no touch: bid {bid_ticks}, ask {ask_ticks}")
    if target_lots <= 0:
        raise ValueError(f"target of {target_lots} lots")
    if urgency >= CRITICAL_URGENCY:
        return OrderType.MARKET
    spread, total = _TWICE_BPS * (ask_ticks - bid_ticks), ask_ticks + bid_ticks
    if spread > WIDE_SPREAD_BPS * total and urgency <= PATIENT_URGENCY and maker_rebate_ppm > 0:
        return OrderType.POST_ONLY
    if urgency >= FINISHING_URGENCY and 10 * filled_lots >= 9 * target_lots:
        return OrderType.FOK
    if urgency >= TIGHT_URGENCY and spread < TIGHT_SPREAD_BPS * total:
        return OrderType.IOC
    return OrderType.LIMIT


def without_taking(order_type: OrderType) -> OrderType:
    """The type to use where orders that only take are not allowed: `market`, `ioc` and `fok` become `limit`."""
    return order_type if order_type is OrderType.POST_ONLY else OrderType.LIMIT
