"""A process that stood still: what it then believes of the market, and what becomes of a wish from before."""

from __future__ import annotations

import json
from collections.abc import Iterable

from agent.core.effects.orders import Place, Refuse
from agent.core.events import Event, Stamp
from agent.core.events.market import BookStale, MarketTick
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.step import Core
from agent.engine.venue_shell import STALL_NS
from tests.core.desk.account import BID, SYMBOL
from tests.engine.door import Account, Venue
from tests.engine.test_held_orders import Ahead


class Slow:
    """Wants to buy at each tick; the process stands still while it thinks."""

    name = "slow"

    def __init__(self, clock: Ahead, by_ns: int) -> None:
        self.clock, self.by_ns = clock, by_ns
        self.refusals: list[Refuse] = []

    def on_event(self, event: Event, core: Core, stamp: Stamp) -> Iterable[Event]:
        if type(event) is not MarketTick:
            return ()
        self.clock.by_ns += self.by_ns
        return (
            PlaceRequested(
                strategy=self.name, symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=1, price_ticks=BID,
                decided_seq=stamp.seq,
            ),
        )  # fmt: skip

    def on_refused(self, refusal: Refuse) -> None:
        self.refusals.append(refusal)


class Distrusted(Venue):
    """Throws its books away when it is told to, as the client does."""

    def distrust(self, reason: str) -> list[Event]:
        return [BookStale(SYMBOL, reason)]


def thinking_for(by_ns: int) -> tuple[Account, Slow]:
    clock = Ahead()
    account = Account(clock=clock)
    account.venue = account.shell.client = Distrusted()
    slow = Slow(clock, by_ns)
    account.shell.join(slow)
    account.shell.take(MarketTick(symbol=SYMBOL, price_ticks=BID, mark_ticks=BID, exchange_ns=clock.wall_ns()))
    return account, slow


async def test_a_wish_from_before_the_stall_is_judged_by_books_that_nobody_believes() -> None:
    account, slow = thinking_for(STALL_NS + 50_000_000)
    assert not any(isinstance(effect, Place) for effect in account.venue.sent)
    assert [refusal.code for refusal in slow.refusals] == ["R_STALE_DATA"]
    tags = [json.loads(event)["type"] for _, event, _ in account.journal.records]
    assert tags.index("book_stale") < tags.index("place_requested")
    assert account.shell.counts["stall"] == 1


async def test_a_wish_that_came_at_once_goes_out() -> None:
    account, slow = thinking_for(1_000_000)
    assert [effect.price_ticks for effect in account.venue.sent if isinstance(effect, Place)] == [BID]
    assert slow.refusals == []
    assert account.shell.counts["stall"] == 0
