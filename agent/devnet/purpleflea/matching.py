"""Which resting orders an incoming one meets, in which order, and what else ends on the way.

Theory of operation. `matches` walks the opposite half from its best price, each level in order of arrival, and hands
out one step at a time: a trade, or a resting order that ends because of self-trade prevention or because it may only
reduce and has nothing left to reduce. The caller carries a step out (books it, changes the book) before it asks for
the next, so the walk always sees the book as it stands. `fillable_lots` answers the same question without changing
anything; fill-or-kill needs it before its first trade.

Own orders: with `cancel_taker` the incoming order ends at the first own order it would meet, with `cancel_maker` that
own order ends and the walk goes on, with `cancel_both` both end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from agent.core.instruments import Side
from agent.devnet.purpleflea.order_book import OrderBook
from agent.devnet.purpleflea.orders import Order


class Trade(msgspec.Struct, frozen=True):
    """`lots` of the resting order trade at its price."""

    maker: Order
    lots: int


class MakerEnds(msgspec.Struct, frozen=True):
    """The resting order leaves the book without a trade."""

    maker: Order
    reason: str


class TakerEnds(msgspec.Struct, frozen=True):
    """The rest of the incoming order is cancelled."""

    reason: str


Reducible = Callable[[Order], int]
"""How many lots of a reduce-only order its account's position has left."""


def matches(
    book: OrderBook, taker: Order, reducible: Reducible, *, slice_lots: int | None = None
) -> Iterator[Trade | MakerEnds | TakerEnds]:
    """The steps of matching `taker` up to its limit price. `slice_lots` caps the size of one trade."""
    half = book.opposite(taker.place.side)
    while taker.leaves_lots > 0:
        level = half.best()
        if level is None or not half.crosses(level.price_ticks, taker.price_ticks):
            return
        maker = next(iter(level.orders.values()))
        if maker.account == taker.account:
            if taker.place.stp != "cancel_taker":
                yield MakerEnds(maker, "stp")
            if taker.place.stp != "cancel_maker":
                yield TakerEnds("stp")
                return
            continue
        lots = min(taker.leaves_lots, maker.leaves_lots)
        if taker.place.is_reduce_only:
            lots = min(lots, reducible(taker))
            if lots == 0:
                yield TakerEnds("self_reduce")
                return
        if maker.place.is_reduce_only:
            lots = min(lots, reducible(maker))
            if lots == 0:
                yield MakerEnds(maker, "self_reduce")
                continue
        yield Trade(maker, lots if slice_lots is None else min(lots, slice_lots))


def fillable_lots(book: OrderBook, taker: Order, reducible: Reducible) -> int:
    """How many of the taker's lots would trade at once; own liquidity never counts."""
    half = book.opposite(taker.place.side)
    wanted = taker.leaves_lots
    if taker.place.is_reduce_only:
        wanted = min(wanted, reducible(taker))
    found = 0
    reduced: dict[str, int] = {}
    for level in half.levels():
        if found >= wanted or not half.crosses(level.price_ticks, taker.price_ticks):
            break
        for maker in level.orders.values():
            if maker.account == taker.account:
                if taker.place.stp != "cancel_maker":
                    return min(found, wanted)
                continue
            lots = maker.leaves_lots
            if maker.place.is_reduce_only:
                used = reduced.get(maker.account, 0)
                lots = max(0, min(lots, reducible(maker) - used))
                reduced[maker.account] = used + lots
            found += lots
    return min(found, wanted)


def would_cross(book: OrderBook, side: Side, price_ticks: int) -> bool:
    """True where an order of `side` at this price would trade at once."""
    half = book.opposite(side)
    best = half.best()
    return best is not None and half.crosses(best.price_ticks, price_ticks)
