"""What the venue asks of an order before it takes it: status, grid, sizes, price band, funds. The first no counts."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.instruments import OrderType, Side, TradingStatus
from agent.devnet.purpleflea.accounts import Account, available_atoms
from agent.devnet.purpleflea.markets import Market

BPS = 10_000


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
    if account.is_house:
        return True
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
