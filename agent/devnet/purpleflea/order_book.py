"""The resting orders of one market: price levels, each a queue in order of arrival."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator

import msgspec

from agent.core.instruments import Side
from agent.devnet.purpleflea.orders import Order

CHECKSUM_LEVELS = 10


class Level(msgspec.Struct, eq=False):
    """The orders of one price, first come first."""

    price_ticks: int
    orders: dict[str, Order] = msgspec.field(default_factory=dict)
    lots: int = 0


class Half:
    """One side of a book. Prices are kept worst first, so the best is taken off the end."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._rank = 1 if side is Side.BUY else -1
        self._ranks: list[int] = []
        self._levels: dict[int, Level] = {}

    def best(self) -> Level | None:
        return self._levels[self._ranks[-1] * self._rank] if self._ranks else None

    def level(self, price_ticks: int) -> Level | None:
        return self._levels.get(price_ticks)

    def levels(self) -> Iterator[Level]:
        """Best first."""
        for rank in reversed(self._ranks):
            yield self._levels[rank * self._rank]

    def top(self, depth: int) -> list[tuple[int, int]]:
        """(price, lots) of the best `depth` levels, best first."""
        return [(rank * self._rank, self._levels[rank * self._rank].lots) for rank in self._ranks[: -depth - 1 : -1]]

    def add(self, order: Order) -> None:
        level = self._levels.get(order.price_ticks)
        if level is None:
            level = self._levels[order.price_ticks] = Level(order.price_ticks)
            insort(self._ranks, order.price_ticks * self._rank)
        level.orders[order.order_id] = order
        level.lots += order.lots - order.cum_lots

    def remove(self, order: Order) -> None:
        level = self._levels[order.price_ticks]
        del level.orders[order.order_id]
        level.lots -= order.lots - order.cum_lots
        if not level.orders:
            del self._levels[order.price_ticks]
            del self._ranks[bisect_left(self._ranks, order.price_ticks * self._rank)]

    def shrink(self, order: Order, lots: int) -> None:
        """`lots` of a resting order are gone, and it keeps its place. The caller changes the order itself."""
        self._levels[order.price_ticks].lots -= lots

    def crosses(self, price_ticks: int, limit_ticks: int) -> bool:
        """True where a resting price of this half meets an incoming limit of the other side."""
        return price_ticks >= limit_ticks if self.side is Side.BUY else price_ticks <= limit_ticks


class OrderBook:
    """Both halves of one market."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bids = Half(Side.BUY)
        self.asks = Half(Side.SELL)

    def half(self, side: Side) -> Half:
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> Half:
        return self.asks if side is Side.BUY else self.bids

    def mid_ticks_doubled(self) -> int | None:
        """Twice the middle price, which is an integer; None where a side is empty."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid.price_ticks + ask.price_ticks if bid and ask else None


def checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """CRC32 of "price:quantity" of the ten best levels, bid and ask in turn, joined by colons."""
    parts: list[str] = []
    for index in range(CHECKSUM_LEVELS):
        parts += (":".join(side[index]) for side in (bids, asks) if index < len(side))
    return zlib.crc32(":".join(parts).encode())
