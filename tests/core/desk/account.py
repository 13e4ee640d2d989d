"""An account at a venue, played by hand: every event with a stamp of its own."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from agent.core.desk.desk import OrderDesk
from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.effects.orders import Place
from agent.core.events import Event, Stamp
from agent.core.events.control import GuardPulse, RunStarted, TimerFired
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
    VenuePosition,
)
from agent.core.instruments import Instrument, OrderType, Side, Step
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import STANDARD
from agent.core.step import Core, CoreState
from tests.core.kept import effects_as_kept

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
SYMBOL = "BTC-USDC"
BTC = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 3),
    tick_value_atoms=100,
    quote_digits=6,
    min_lots=1,
    max_lots=1_000_000,
    min_notional_atoms=1_000_000,
    price_band_bps=1_000,
    maker_fee_ppm=-50,
    taker_fee_ppm=450,
)
FUNDS_ATOMS = 100_000 * 10**6
BID, ASK = 600_000, 600_010
SETTINGS = DeskSettings(
    symbols=(SYMBOL,), currency="USDC", profile=STANDARD, account=AccountLimits(max_order_lots=1_000)
)
Kind = TypeVar("Kind")


class Played:
    """A core with its clock. `step` moves time by a microsecond, `wait` by more."""

    def __init__(self, settings: DeskSettings = SETTINGS, *, needs_guard: bool = True) -> None:
        self.settings = settings
        self.needs_guard = needs_guard
        self.core = Core(trading=settings, needs_guard=needs_guard)
        self.seq = 0
        self.now_ns = SECOND_NS
        self.exec_seq = 0
        self.decided_seq = 0
        """Of the last book or fill: what a strategy decides on."""
        self.epoch = 1
        self.log: list[tuple[Event, Stamp, tuple[Effect, ...]]] = []

    @property
    def desk(self) -> OrderDesk:
        assert self.core.desk is not None
        return self.core.desk

    def step(self, event: Event) -> tuple[Effect, ...]:
        self.seq += 1
        self.now_ns += 1_000
        stamp = Stamp(self.seq, self.now_ns, START_NS + self.now_ns)
        effects = self.core.step(event, stamp)
        effects_as_kept(effects)
        msgspec.json.decode(self.core.state(), type=CoreState)
        self.log.append((event, stamp, effects))
        if isinstance(event, BookSnapshot | Fill):
            self.decided_seq = self.seq
        return effects

    def wait(self, duration_ns: int, *, is_guarded: bool = True) -> None:
        """Let time pass, with the guard's pulse at its end."""
        self.now_ns += duration_ns
        if is_guarded:
            self.step(GuardPulse(True))

    def live(self, *, funds_atoms: int = FUNDS_ATOMS) -> Played:
        """From nothing to a live session with a book."""
        self.step(RunStarted(run_epoch=1))
        self.step(GuardPulse(True))
        self.step(InstrumentDefined(BTC))
        self.up(funds_atoms=funds_atoms)
        self.book()
        assert self.desk.session.is_live
        return self

    def up(self, *, funds_atoms: int | None = None, lots: int = 0) -> None:
        """A session, reconciled with what the venue says."""
        self.step(
            SessionUp(
                epoch=self.epoch, last_exec_seq=self.exec_seq, orders_per_s=500, cancels_per_s=1_000, max_open=100
            )
        )
        self.step(ReplayDone(self.exec_seq, self.epoch))
        asked = Asked(self.seq, True, self.epoch)
        self.step(OpenOrders(as_of_exec_seq=self.exec_seq, is_complete=True, orders=(), asked=asked, epoch=self.epoch))
        cash = self.desk.state.accounts.cash.get("USDC", 0) if funds_atoms is None else funds_atoms
        self.step(
            AccountSnapshot(
                as_of_exec_seq=self.exec_seq,
                balances=(Balance("USDC", cash),),
                positions=(VenuePosition(SYMBOL, lots),) if lots else (),
                asked=asked,
                epoch=self.epoch,
            )
        )

    def book(self, bid: int = BID, ask: int = ASK, lots: int = 500) -> tuple[Effect, ...]:
        """A fresh book and a fresh last trade; the effects of the book."""
        now = START_NS + self.now_ns
        middle = (bid + ask) // 2  # floor: any price in between would do
        self.step(MarketTick(symbol=SYMBOL, price_ticks=middle, mark_ticks=middle, exchange_ns=now))
        return self.step(
            BookSnapshot(symbol=SYMBOL, book_seq=self.seq, bids=((bid, lots),), asks=((ask, lots),), exchange_ns=now)
        )

    def request(
        self,
        side: Side = Side.BUY,
        lots: int = 10,
        price_ticks: int | None = None,
        *,
        order_type: OrderType = OrderType.LIMIT,
        is_reduce_only: bool = False,
    ) -> tuple[Effect, ...]:
        """A strategy's wish, decided on the last event."""
        if price_ticks is None:
            price_ticks = BID if side is Side.BUY else ASK
        return self.step(
            PlaceRequested(
                strategy="hand",
                symbol=SYMBOL,
                side=side,
                order_type=order_type,
                lots=lots,
                price_ticks=price_ticks,
                is_reduce_only=is_reduce_only,
                decided_seq=self.decided_seq,
            )
        )

    def place(self, side: Side = Side.BUY, lots: int = 10, price_ticks: int | None = None) -> Place:
        """The same after a fresh book; it must go out."""
        self.book()
        return only(Place, self.request(side, lots, price_ticks))

    def ack(self, place: Place) -> tuple[Effect, ...]:
        self.exec_seq += 1
        return self.step(
            OrderAck(
                exec_seq=self.exec_seq,
                client_order_id=place.client_order_id,
                order_id="v" + place.client_order_id,
                status="open",
                cum_lots=0,
                epoch=self.epoch,
            )
        )

    def fill(
        self, place: Place, lots: int | None = None, price_ticks: int | None = None, **more: Any
    ) -> tuple[Effect, ...]:
        """One fill; all of it where nothing else is said."""
        self.exec_seq += 1
        lots = place.lots if lots is None else lots
        order = self.desk.orders.get(place.client_order_id)
        cum_lots = lots + (0 if order is None else order.cum_lots)
        values: dict[str, Any] = {
            "exec_seq": self.exec_seq,
            "symbol": place.symbol,
            "client_order_id": place.client_order_id,
            "order_id": "v" + place.client_order_id,
            "trade_id": f"t{self.exec_seq}",
            "side": place.side,
            "lots": lots,
            "price_ticks": place.price_ticks if price_ticks is None else price_ticks,
            "is_maker": True,
            "fee": 0,
            "fee_currency": "USDC",
            "cum_lots": cum_lots,
            "leaves_lots": place.lots - cum_lots,
            "epoch": self.epoch,
        }
        return self.step(Fill(**(values | more)))

    def hold(self, lots: int, price_ticks: int = BID) -> None:
        """Come to hold signed `lots`."""
        side = Side.BUY if lots > 0 else Side.SELL
        place = self.place(side, abs(lots), price_ticks)
        self.ack(place)
        self.fill(place, price_ticks=price_ticks)

    def timer(self, name: str) -> tuple[Effect, ...]:
        return self.step(TimerFired(name))


def of(kind: type[Kind], effects: tuple[Effect, ...]) -> list[Kind]:
    """The effects of a kind, in order."""
    return [effect for effect in effects if isinstance(effect, kind)]


def only(kind: type[Kind], effects: tuple[Effect, ...]) -> Kind:
    """The one effect of a kind."""
    (found,) = of(kind, effects)
    return found
