"""What the full core's figures share: a desk in a live session, its limits out of reach and all of its checks at work."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.effects.orders import Place
from agent.core.events import Event, Stamp
from agent.core.events.control import GuardPulse, RunStarted
from agent.core.events.market import BookSnapshot, InstrumentDefined, MarketTick
from agent.core.events.orders import (
    AccountSnapshot,
    Asked,
    Balance,
    Fill,
    OpenOrders,
    OrderAck,
    PlaceRequested,
    ReplayDone,
    SessionUp,
)
from agent.core.instruments import OrderType, Side
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import AGGRESSIVE
from agent.core.step import Core
from agent.venues.purpleflea.last_guard import OrderCaps
from benchmarks.venue_market import BTC

BUY, SELL, LIMIT = Side.BUY, Side.SELL, OrderType.LIMIT
FAR = 10**9
LONG_NS = 10**15
CASH_ATOMS = 10**15
BID_TICKS, ASK_TICKS = 600_014, 600_016
STRATEGY = "bench"
BENCH = msgspec.structs.replace(
    AGGRESSIVE,
    name="bench",
    orders_per_s=FAR,
    day_orders=FAR,
    day_notional_ppm=LONG_NS,
    repeat_max=FAR,
    duplicate_max=FAR,
    position_ppm=FAR,
    max_gross_ppm=FAR,
    max_net_ppm=FAR,
    order_notional_ppm=FAR,
    max_decision_age_ns=LONG_NS,
    max_book_age_ns=LONG_NS,
)
"""Every limit out of reach, so that no check refuses and none is left out; the breakers are those of `aggressive`."""
CAPS = OrderCaps(max_orders_per_s=FAR, max_order_notional=FAR)
DESK = DeskSettings(
    symbols=(BTC.symbol,),
    currency="USDC",
    profile=BENCH,
    account=AccountLimits(max_order_lots=1_000, max_mark_age_ns=LONG_NS, max_guard_age_ns=LONG_NS),
)


class Journal(Protocol):
    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int: ...
    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None: ...


class CoreWorld:
    """A core that trades, and the venue's answers to it. With a journal every step is written as the engine writes it."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.core = Core(trading=DESK, needs_guard=True)
        self.exec_seq = 0
        self.seq = 0
        self._journal = journal
        self._wall_ns = time.time_ns()
        self._open()

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Write, step, write: what `agent.engine.stepping` does around each event."""
        monotonic_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        journal = self._journal
        if journal is None:
            self.seq += 1
            return self.core.step(event, Stamp(self.seq, monotonic_ns, wall_ns))
        self.seq = journal.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
        effects = self.core.step(event, Stamp(self.seq, monotonic_ns, wall_ns))
        if effects:
            journal.effects(effects, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
        return effects

    def life(self, side: Side) -> None:
        """One order from the wish to its end: asked for, checked and sent, acknowledged, filled. Three steps."""
        price_ticks = BID_TICKS if side is BUY else ASK_TICKS
        effects = self.step(
            PlaceRequested(
                strategy=STRATEGY,
                symbol=BTC.symbol,
                side=side,
                order_type=LIMIT,
                lots=10,
                price_ticks=price_ticks,
                decided_seq=self.seq,
            )
        )
        place = effects[0]
        if type(place) is not Place:
            raise AssertionError(f"the order did not go out: {place}")
        name, order_id = place.client_order_id, f"v{self.exec_seq}"
        self.exec_seq += 1
        self.step(
            OrderAck(
                exec_seq=self.exec_seq, client_order_id=name, order_id=order_id, status="open", cum_lots=0, epoch=1
            )
        )
        self.exec_seq += 1
        self.step(
            Fill(
                exec_seq=self.exec_seq,
                symbol=BTC.symbol,
                client_order_id=name,
                order_id=order_id,
                trade_id=f"t{self.exec_seq}",
                side=side,
                lots=10,
                price_ticks=price_ticks,
                is_maker=True,
                fee=-30,
                fee_currency="USDC",
                cum_lots=10,
                leaves_lots=0,
                epoch=1,
            )
        )

    def lives(self, count: int) -> None:
        """`count` lives, buys and sells in turn, each decided on the fill before it."""
        for _ in range(count >> 1):
            self.life(BUY)
            self.life(SELL)

    def _open(self) -> None:
        asked = Asked(FAR, True, 1)
        for event in (
            RunStarted(run_epoch=1),
            GuardPulse(is_armed=True),
            InstrumentDefined(BTC),
            SessionUp(epoch=1, last_exec_seq=0, orders_per_s=FAR, cancels_per_s=FAR, max_open=FAR),
            ReplayDone(0, 1),
            OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked, epoch=1),
            AccountSnapshot(
                as_of_exec_seq=0, balances=(Balance("USDC", CASH_ATOMS),), positions=(), asked=asked, epoch=1
            ),
            MarketTick(symbol=BTC.symbol, price_ticks=600_015, mark_ticks=600_015, exchange_ns=self._wall_ns),
            BookSnapshot(
                symbol=BTC.symbol,
                book_seq=1,
                bids=tuple((BID_TICKS - level, 100) for level in range(20)),
                asks=tuple((ASK_TICKS + level, 100) for level in range(20)),
                exchange_ns=self._wall_ns,
            ),
        ):
            self.step(event)
        desk = self.core.desk
        if desk is None or not desk.session.is_live:
            raise AssertionError("the session did not go live")
