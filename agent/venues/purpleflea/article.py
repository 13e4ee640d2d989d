"""Article mode: what is read of a peer that did not say hello, and so has proved nothing.

Such a peer sends its numbers as JSON numbers. They are taken from their literal text and never pass through a float.
Ticks are believed as far as their grid goes; fills are counted and never believed, since they have no ids by which one
could be told from another.
"""

from __future__ import annotations

import msgspec

from agent.core.events import Event
from agent.core.events.market import MarketTick
from agent.venues.purpleflea import decimals
from agent.venues.purpleflea.markets import Markets
from agent.venues.purpleflea.wire import Hello, Refused
from agent.venues.purpleflea.wire_types import Frame, MaybeName, Microseconds, Name


class ArticleTick(Frame, frozen=True, kw_only=True, tag="tick", gc=True):
    symbol: Name
    """Without one it cannot be said whose price it is; such a tick is malformed."""
    price: msgspec.Raw
    exchange_ts: Microseconds | None = None


class ArticleFill(Frame, frozen=True, tag="fill"):
    """None of its fields is read."""


class ArticleReject(Frame, frozen=True, tag="reject"):
    code: MaybeName = ""


class ArticleSubscribed(Frame, frozen=True, kw_only=True, tag="subscribed"):
    rejected: tuple[Refused, ...] = ()


ArticleInbound = ArticleTick | ArticleFill | ArticleReject | ArticleSubscribed | Hello


def tick(frame: ArticleTick, markets: Markets, wall_ns: int) -> list[Event] | None:
    """The tick; None for a symbol that is no market of ours. Raises NotDecimal or OffGrid."""
    market = markets.by_symbol.get(frame.symbol)
    if market is None:
        return None
    literal = bytes(frame.price).decode("ascii", "replace").strip()
    if literal.startswith('"') and literal.endswith('"'):
        literal = literal[1:-1]
    price_ticks = decimals.parse_literal(literal, market.instrument.tick)
    if price_ticks <= 0:
        raise decimals.OffGrid("not above 0")
    exchange_ns = wall_ns if frame.exchange_ts is None else frame.exchange_ts * 1_000
    return [MarketTick(symbol=frame.symbol, price_ticks=price_ticks, exchange_ns=exchange_ns)]
