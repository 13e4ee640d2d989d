"""The adapter against the simulated venue: an implementation of the same contract that shares no code with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import pytest

from agent.core.effects.orders import (
    Amend,
    ArmDeadman,
    CancelAll,
    CancelOrder,
    OrderEffect,
    Place,
    QueryAccount,
    QueryOpen,
    QueryStatus,
    ReplayFrom,
)
from agent.core.events import Event, Stamp
from agent.core.events.market import BookDelta, BookSnapshot, BookStale, InstrumentDefined, MarketTick
from agent.core.events.orders import (
    AccountSnapshot,
    Amended,
    Canceled,
    CancelReject,
    ClockOffset,
    FenceDone,
    Fill,
    OpenOrders,
    OrderAck,
    OrderStatus,
    Reject,
    ReplayDone,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import OrderType, Side
from agent.core.market import Book
from agent.devnet.purpleflea.markets import default_markets
from agent.devnet.purpleflea.server import PurpleFleaVenue
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.venue import AccountKeys
from agent.ports.clock import SYSTEM_CLOCK
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea import keys
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from agent.venues.purpleflea.rest import PurpleFleaRest
from tests.venues.purpleflea.worlds import SECOND

BTC = "BTC-USDC"
Kind = TypeVar("Kind", bound=Event)


class NoPause:
    def below(self, bound: int) -> int:
        return 0

    def token(self, size: int) -> bytes:
        return bytes(size)


class World:
    """One account of a simulated venue, its adapter, and the book that the core would have of its events."""

    def __init__(self, venue: PurpleFleaVenue, account: AccountKeys, **changed: Any) -> None:
        self.venue = venue
        self.account = account
        self.events: list[Event] = []
        self.book = Book(BTC)
        self.network = RealNetwork()
        self.protocol = PurpleFleaProtocol(Options(**{"symbols": (BTC, "ETH-USDC"), **changed}))
        self.client = PurpleFleaClient(
            self.protocol, self.network, venue.ws_url, Credentials(account.trade.secret), self._take, entropy=NoPause()
        )
        self.rest = PurpleFleaRest(
            self.network, venue.http_url, Credentials(account.owner.secret, "bearer"), reads_per_minute=6_000
        )
        self.task = asyncio.create_task(self.client.run())

    def _take(self, events: list[Event], stamp: Stamp) -> None:
        self.events += events
        for event in events:
            if isinstance(event, BookSnapshot) and event.symbol == BTC:
                self.book.apply_snapshot(event, stamp)
            elif isinstance(event, BookDelta) and event.symbol == BTC:
                self.book.apply_delta(event, stamp)
            elif isinstance(event, BookStale) and event.symbol == BTC:
                self.book.mark_stale(event.reason)

    def send(self, effect: OrderEffect) -> None:
        stamp = Stamp(len(self.events), SYSTEM_CLOCK.monotonic_ns(), SYSTEM_CLOCK.wall_ns())
        assert self.client.send(effect, stamp) is None

    def place(
        self, name: str, order_type: OrderType, price_ticks: int, *, side: Side = Side.BUY, lots: int = 5
    ) -> None:
        self.send(
            Place(
                client_order_id=name,
                symbol=BTC,
                side=side,
                order_type=order_type,
                lots=lots,
                price_ticks=price_ticks,
                expire_ns=SYSTEM_CLOCK.wall_ns() + SECOND,
                epoch=self.protocol.epoch,
            )
        )

    async def until(self, done: Callable[[], Any], *, within_s: float = 8.0) -> None:
        async with asyncio.timeout(within_s):
            while not done():
                await asyncio.sleep(0.005)

    async def first(self, kind: type[Kind], name: str = "", *, after: int = 0) -> Kind:
        """The first event of a kind (about an order)."""

        def found() -> Kind | None:
            for event in self.events[after:]:
                if isinstance(event, kind) and name in ("", getattr(event, "client_order_id", "")):
                    return event
            return None

        await self.until(found)
        event = found()
        assert event is not None
        return event

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def world(
    *, faults: Iterable[dict[str, Any]] = (), terms: Terms | None = None, events_per_s: float = 60.0, **changed: Any
) -> AsyncIterator[World]:
    async with PurpleFleaVenue(seed=3, faults=faults, terms=terms, events_per_s=events_per_s) as venue:
        made = World(venue, venue.create_account(), **changed)
        try:
            await made.until(lambda: made.all(SessionUp))
            yield made
        finally:
            made.client.abort()
            await asyncio.wait_for(made.task, 5)
            await made.network.close()


async def ready(made: World) -> None:
    await made.until(lambda: made.book.is_good)


async def test_a_life_of_orders_from_hello_to_fence() -> None:
    async with world() as made:
        await ready(made)
        best_ask, best_bid = made.book.best_ask_ticks, made.book.best_bid_ticks
        made.place("taker", OrderType.IOC, best_ask + 50)
        made.place("maker", OrderType.POST_ONLY, best_bid - 5_000)
        fill = await made.first(Fill, "taker")
        assert (fill.symbol, fill.side, fill.is_maker, fill.fee_currency) == (BTC, Side.BUY, False, "USDC")
        assert fill.fee > 0
        ack = await made.first(OrderAck, "maker")
        assert (ack.status, ack.accepted_price_ticks) == ("open", best_bid - 5_000)

        made.send(Amend(client_order_id="maker", total_lots=3, price_ticks=best_bid - 5_001, epoch=made.protocol.epoch))
        amended = await made.first(Amended, "maker")
        assert (amended.total_lots, amended.price_ticks, amended.cum_lots) == (3, best_bid - 5_001, 0)

        for effect in (QueryStatus("maker"), QueryStatus("never"), QueryOpen(), QueryAccount(), ReplayFrom(1)):
            made.send(effect)
        status = await made.first(OrderStatus, "maker")
        assert (status.status, status.total_lots) == ("open", 3)
        assert status.asked.is_socket and status.asked.epoch == made.protocol.epoch
        never = await made.first(OrderStatus, "never")
        assert (never.status, never.never_seen) == ("not_found", True)
        listed = await made.first(OpenOrders)
        assert listed.is_complete and [row.client_order_id for row in listed.orders] == ["maker"]
        done = await made.first(ReplayDone)
        assert done.to_exec_seq == made.protocol.last_exec_seq
        replayed = [event for event in made.all(Fill) if event.is_replayed]
        assert [event.trade_id for event in replayed] == [e.trade_id for e in made.all(Fill) if not e.is_replayed]

        made.send(CancelOrder("maker"))
        assert (await made.first(Canceled, "maker")).reason == "user"
        made.send(CancelOrder("taker"))
        assert (await made.first(CancelReject, "taker")).code == "TOO_LATE_TO_CANCEL"
        made.send(ArmDeadman(5_000))
        made.send(CancelAll(request_id="fence-1", fence="account"))
        fence = await made.first(FenceDone)
        assert (fence.request_id, fence.scope, fence.epoch) == ("fence-1", "account", 2)
        made.place("after", OrderType.POST_ONLY, best_bid - 5_000)
        assert (await made.first(OrderAck, "after")).epoch == 2
        account = made.all(AccountSnapshot)[-1]
        assert [position.lots for position in account.positions if position.symbol == BTC] == [fill.cum_lots]
        assert not [name for name in made.protocol.counters if "malformed" in name]


async def test_the_books_are_the_venues_own() -> None:
    async with world(events_per_s=400.0) as made:
        await made.until(lambda: len(made.all(BookDelta)) > 200)
        assert made.all(BookStale) == []
        assert made.all(InstrumentDefined) and made.all(MarketTick) and made.all(ClockOffset)
        assert made.book.is_good


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"knob": "F28", "parameters": {"mode": "gap"}}, "gap"),
        ({"knob": "F28", "parameters": {"mode": "crossed"}}, "crossed"),
        ({"knob": "F28", "parameters": {"mode": "checksum"}}, "checksum"),
        ({"knob": "F28", "parameters": {"mode": "ghost"}}, "checksum"),
        ({"knob": "F4", "kind": "book_delta"}, "gap"),
        ({"knob": "F2", "kind": "book_delta", "parameters": {"n": 2}}, "gap"),
    ],
)
async def test_a_book_that_cannot_be_right_is_left_and_had_anew(fault: dict[str, Any], reason: str) -> None:
    # A ghost needs a delta that removes a level, a delay one that is overtaken by its own kind: not every one is.
    is_certain = fault["knob"] != "F2" and fault.get("parameters") != {"mode": "ghost"}
    when = {"after_n": 20, **({"count": 1} if is_certain else {"count": 20, "probability": 0.5})}
    turned = {**fault, "symbol": BTC, "when": when}
    async with world(faults=[turned], events_per_s=300.0) as made:
        stale = await made.first(BookStale)
        assert stale.reason == reason
        await made.first(BookSnapshot, after=made.events.index(stale))
        await made.until(lambda: made.book.is_good)


async def test_frames_that_come_twice_change_nothing() -> None:
    async with world(faults=[{"knob": "F3", "parameters": {"copies": 2}}], events_per_s=300.0) as made:
        await made.until(lambda: len(made.all(BookDelta)) > 50)
        assert made.all(BookStale) == []
        assert made.all(SessionUp) and not made.all(SessionDown)


@pytest.mark.parametrize("mode", ["json", "nan", "numbers", "huge", "deep", "duplicate", "utf8"])
async def test_bytes_that_are_no_frame_are_counted_and_the_session_goes_on(mode: str) -> None:
    fault = {"knob": "F31", "parameters": {"mode": mode}, "when": {"after_n": 10, "count": 3}}
    async with world(faults=[fault], events_per_s=300.0) as made:
        await ready(made)
        await made.until(lambda: made.protocol.counters["malformed"] + made.protocol.counters["unknown_type"] >= 1)
        made.place("aaa", OrderType.POST_ONLY, 580_000)
        assert isinstance(await made.first(OrderAck, "aaa"), OrderAck)


@pytest.mark.parametrize("mode", ["symbol", "unit"])
async def test_a_tick_of_nowhere_or_in_another_unit_is_counted(mode: str) -> None:
    fault = {"knob": "F29", "parameters": {"mode": mode}, "when": {"count": 1}}
    async with world(faults=[fault], events_per_s=300.0) as made:
        name = {"symbol": "unknown_symbol", "unit": "malformed"}[mode]
        await made.until(lambda: made.protocol.counters[name] == 1)


async def test_a_cut_connection_is_resumed_and_nothing_of_it_is_missing() -> None:
    async with world(faults=[{"knob": "F20", "when": {"count": 1}}]) as made:
        await ready(made)
        made.place("taker", OrderType.IOC, made.book.best_ask_ticks + 50)
        await made.until(lambda: len(made.all(SessionUp)) == 2)
        made.send(ReplayFrom(1))
        fill = await made.first(Fill, "taker")
        assert fill.epoch == 2


async def test_a_ghost_login_ends_it_for_good() -> None:
    async with world(faults=[{"knob": "F25", "when": {"at_s": 0.3}}]) as made:
        await asyncio.wait_for(asyncio.shield(made.task), 8)
        assert made.all(SessionDown)[-1].is_terminal


async def test_a_deleted_key_ends_it_for_good() -> None:
    async with world() as made:
        await keys.delete_key(made.rest, made.account.trade.key_id)
        await asyncio.wait_for(asyncio.shield(made.task), 8)
        assert made.all(SessionDown)[-1].is_terminal
        assert made.client.final_reason


async def test_a_socket_that_says_nothing_is_left() -> None:
    fault = {"knob": "F21", "when": {"at_s": 0.3, "count": 1}}
    async with world(faults=[fault], terms=Terms(heartbeat_ms=100)) as made:
        await made.until(lambda: len(made.all(SessionUp)) == 2)
        assert "silent" in made.all(SessionDown)[0].reason


async def test_an_offset_of_the_venues_clock_is_measured() -> None:
    async with world(faults=[{"knob": "F30", "parameters": {"offset_ms": 700}, "when": {"count": 1}}]) as made:
        offset = await made.first(ClockOffset)
        assert abs(offset.offset_ns - 700_000_000) < 100_000_000
        await ready(made)
        assert made.protocol.alarms[0].code == "CLOCK_OFFSET"


async def test_a_venue_of_the_article_gives_market_data_and_takes_no_orders() -> None:
    # The markets must be known before: this venue does not name them.
    terms = Terms(is_article=True)
    async with PurpleFleaVenue(seed=3, terms=terms, events_per_s=200.0) as venue:
        made = World(venue, venue.create_account(), hello_within_ms=100)
        for market in default_markets():
            made.protocol.define(market.instrument)
        try:
            up = await made.first(SessionUp)
            assert not up.acknowledges
            tick = await made.first(MarketTick)
            assert tick.price_ticks > 0
            stamp = Stamp(1, SYSTEM_CLOCK.monotonic_ns(), SYSTEM_CLOCK.wall_ns())
            refused = made.client.send(
                Place(
                    client_order_id="aaa",
                    symbol=BTC,
                    side=Side.BUY,
                    order_type=OrderType.LIMIT,
                    lots=1,
                    price_ticks=1,
                    expire_ns=stamp.wall_ns,
                    epoch=0,
                ),
                stamp,
            )
            assert refused is not None and refused.result == "clean"
            assert not made.all(Reject)
        finally:
            made.client.abort()
            await asyncio.wait_for(made.task, 5)
            await made.network.close()
