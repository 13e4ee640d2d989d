"""What the venue asks of an order before it takes it: status, grid, sizes, price band, funds. The first no counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.core.instruments import OrderType, Side, TradingStatus
from agent.devnet.purpleflea import matching
from agent.devnet.purpleflea.accounts import Account, available_atoms
from agent.devnet.purpleflea.markets import Market
from agent.devnet.purpleflea.orders import Order

if TYPE_CHECKING:
    from agent.devnet.purpleflea.engine import MatchingEngine

BPS = 10_000


def entry_code(engine: MatchingEngine, account: Account, order: Order) -> str:
    """Why a new order is refused; empty where it is taken. A market order gets its limit price here.

    The venue's own flow is not held to price band, funds and number of orders.
    """
    request = order.place
    market = engine.markets.get(request.symbol)
    if market is None:
        return "UNKNOWN_SYMBOL"
    code = status_code(engine.status[market.symbol], request.kind)
    if code:
        return code
    book = engine.books[market.symbol]
    if request.kind is OrderType.MARKET:
        best = book.opposite(request.side).best()
        if best is None:
            return "NO_LIQUIDITY"
        order.price_ticks = _collar(order, best.price_ticks)
    is_reducing = request.is_reduce_only
    if is_reducing and account.reducible_lots(market.symbol, request.side) == 0:
        return "REDUCE_ONLY_VIOLATION"
    code = size_code(market, request.lots, order.price_ticks)
    if code and not (is_reducing and code == "MIN_NOTIONAL"):
        return code
    if not account.is_house:
        code = band_code(market, order.price_ticks, engine.mark_ticks(market.symbol))
        if code:
            return code
        if len(engine.open_orders[account.account_id]) >= engine.max_open:
            return "MAX_OPEN_ORDERS"
        if not is_reducing and not has_funds(
            account, market, request.side, request.lots, order.price_ticks, engine.marked
        ):
            return "INSUFFICIENT_BALANCE"
    if request.kind is OrderType.POST_ONLY and matching.would_cross(book, request.side, order.price_ticks):
        return "POST_ONLY_WOULD_CROSS"
    return ""


def amend_code(engine: MatchingEngine, order: Order, lots: int, price_ticks: int, new_client_id: str | None) -> str:
    """Why an amend is refused; empty where it is made. A smaller total at the same price may always be had."""
    market = engine.markets[order.place.symbol]
    is_smaller = lots <= order.lots and price_ticks == order.price_ticks
    if not is_smaller and engine.status[market.symbol] is not TradingStatus.TRADING:
        return status_code(engine.status[market.symbol], order.place.kind)
    if new_client_id is not None and (order.account, new_client_id) in engine.orders:
        return "DUPLICATE_CLID_MISMATCH"
    if lots <= order.cum_lots:
        return ""
    code = size_code(market, lots, price_ticks)
    if code:
        return code
    if is_smaller:
        return ""
    code = band_code(market, price_ticks, engine.mark_ticks(market.symbol))
    if code:
        return code
    account, side = engine.ledger.accounts[order.account], order.place.side
    account.hold(market, side, -order.leaves_lots, order.price_ticks)
    is_funded = order.place.is_reduce_only or has_funds(
        account, market, side, lots - order.cum_lots, price_ticks, engine.marked
    )
    account.hold(market, side, order.leaves_lots, order.price_ticks)
    if not is_funded:
        return "INSUFFICIENT_BALANCE"
    is_post_only = order.place.kind is OrderType.POST_ONLY
    if is_post_only and matching.would_cross(engine.books[market.symbol], side, price_ticks):
        return "POST_ONLY_WOULD_CROSS"
    return ""


def _collar(order: Order, touch_ticks: int) -> int:
    """The worst price a market order may take: its own, or so far from the touch, whichever is nearer."""
    request = order.place
    if request.max_slippage_ticks is None:
        return order.price_ticks
    collar = touch_ticks + request.side.sign * request.max_slippage_ticks
    if request.price_ticks is None:
        return collar
    return min(request.price_ticks, collar) if request.side is Side.BUY else max(request.price_ticks, collar)


def status_code(status: TradingStatus, kind: OrderType) -> str:
    """Why the market's state refuses a new order; empty where it does not."""
    if status is TradingStatus.TRADING or (status is TradingStatus.POST_ONLY and kind is OrderType.POST_ONLY):
        return ""
    return "CANCEL_ONLY" if status is TradingStatus.CANCEL_ONLY else "HALTED"


def size_code(market: Market, lots: int, price_ticks: int) -> str:
    """Why a size is refused; empty where it is not."""
    instrument = market.instrument
    if lots < instrument.min_lots:
        return "MIN_QTY"
    if lots > instrument.max_lots:
        return "MAX_QTY"
    if instrument.notional_atoms(lots, price_ticks) < instrument.min_notional_atoms:
        return "MIN_NOTIONAL"
    return ""


def band_code(market: Market, price_ticks: int, reference_ticks: int) -> str:
    """PRICE_BAND where a price is further from the reference than the instrument's band."""
    if price_ticks <= 0:
        return "PRICE_BAND"
    is_far = abs(price_ticks - reference_ticks) * BPS > reference_ticks * market.instrument.price_band_bps
    return "PRICE_BAND" if is_far else ""


def has_funds(
    account: Account,
    market: Market,
    side: Side,
    more_lots: int,
    price_ticks: int,
    markets: Callable[[], dict[str, tuple[Market, int]]],
) -> bool:
    """True where the account can hold `more_lots` more of open orders.

    Orders that only bring a margin position nearer to nothing always may: their worst case is no worse.
    """
    instrument = market.instrument
    if market.kind == "margin":
        position, working = account.position(market.symbol), account.work(market.symbol)
        before = max(abs(position.lots + working.buy_lots), abs(position.lots - working.sell_lots))
        buys = working.buy_lots + (more_lots if side is Side.BUY else 0)
        sells = working.sell_lots + (more_lots if side is Side.SELL else 0)
        if max(abs(position.lots + buys), abs(position.lots - sells)) <= before:
            return True
    account.hold(market, side, more_lots, price_ticks)
    known = markets()
    is_enough = available_atoms(account, instrument.quote, known) >= 0
    if market.kind == "spot" and side is Side.SELL:
        is_enough = available_atoms(account, instrument.base, known) >= 0
    account.hold(market, side, -more_lots, price_ticks)
    return is_enough
