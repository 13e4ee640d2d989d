"""A live account with its door for signals, in this process, and a sender at the other end of the socket."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects import Effect
from agent.core.events import Event, Stamp
from agent.core.events.control import RunStarted
from agent.core.events.market import BookSnapshot, InstrumentDefined, MarketTick
from agent.core.events.orders import AccountSnapshot, Asked, Balance, OpenOrders, ReplayDone, SendResult, SessionUp
from agent.core.signals.admission import ProducerBudget
from agent.core.step import Core
from agent.engine.signal_door import SOCKET_NAME, signal_door
from agent.engine.signal_wire import WireSignal
from agent.engine.venue_shell import VenueShell, WhenSynced
from agent.ports.clock import Clock, SystemClock
from tests.core.desk.account import ASK, BID, BTC, FUNDS_ATOMS, SETTINGS, SYMBOL

OTHER = "ETH-USDC"
SECOND_NS = 1_000_000_000
BUDGET = ProducerBudget(signals_per_s=100, notional_atoms_per_day=10**15)
KEYS: dict[str, bytes | None] = {"model": b"the model's key", "hand": None}
DESK: DeskSettings = msgspec.structs.replace(
    SETTINGS, symbols=(SYMBOL, OTHER), budgets=dict.fromkeys(KEYS, BUDGET) | {"stranger": BUDGET}
)


class Written:
    """The journal, in memory, as bytes: what cannot be written would show."""

    def __init__(self) -> None:
        self.records: list[tuple[Stamp, bytes, bytes]] = []

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        stamp = Stamp(len(self.records) + 1, monotonic_ns, wall_ns)
        self.records.append((stamp, msgspec.json.encode(event), b"[]"))
        return stamp.seq

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        stamp, event, _ = self.records[-1]
        self.records[-1] = (stamp, event, msgspec.json.encode(effects))

    def events_of(self, tag: str) -> list[dict[str, Any]]:
        found = [json.loads(event) for _, event, _ in self.records]
        return [event for event in found if event["type"] == tag]


class Venue:
    """Takes whatever goes out."""

    def __init__(self) -> None:
        self.sent: list[Effect] = []

    def send(self, effect: Effect, stamp: Stamp) -> SendResult | None:
        self.sent.append(effect)
        return None

    def abort(self) -> None: ...

    def distrust(self, reason: str) -> list[Event]:
        return []


class Account:
    """A core with a live session, its shell, and what was written and sent."""

    def __init__(self, when_synced: WhenSynced | None = None, clock: Clock | None = None) -> None:
        self.core = Core(trading=DESK)
        self.journal, self.venue, self.clock = Written(), Venue(), clock or SystemClock()
        self.shell = VenueShell(self.core, self.journal, self.clock, when_synced=when_synced)
        self.shell.client = self.venue
        other = msgspec.structs.replace(BTC, symbol=OTHER, base="ETH")
        for event in (RunStarted(run_epoch=1), InstrumentDefined(BTC), InstrumentDefined(other)):
            self.shell.take(event)
        self.shell.take(SessionUp(epoch=1, last_exec_seq=0, orders_per_s=500, cancels_per_s=500, max_open=500))
        self.shell.take(ReplayDone(0, 1))
        asked = Asked(self.shell.stepper.last.seq, True, 1)
        self.shell.take(OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked, epoch=1))
        balances = (Balance("USDC", FUNDS_ATOMS),)
        self.shell.take(AccountSnapshot(as_of_exec_seq=0, balances=balances, positions=(), asked=asked, epoch=1))
        self.book()
        self.book(OTHER)
        assert self.core.desk is not None and self.core.desk.session.is_live

    @property
    def market_seq(self) -> int:
        """Of the last market event."""
        assert self.core.desk is not None
        return self.core.desk.state.markets.arrivals.seqs[-1]

    def book(self, symbol: str = SYMBOL) -> None:
        now = self.clock.wall_ns()
        self.shell.take(MarketTick(symbol=symbol, price_ticks=BID, mark_ticks=BID, exchange_ns=now))
        self.shell.take(
            BookSnapshot(symbol=symbol, book_seq=1, bids=((BID, 500),), asks=((ASK, 500),), exchange_ns=now)
        )

    def replayed(self) -> bool:
        """Another core comes to the same effects and the same state by what was written."""
        again = Core(trading=DESK)
        effects = msgspec.json.Decoder(list[Effect])
        for stamp, event, written in self.journal.records:
            if list(again.step(msgspec.json.decode(event, type=Event), stamp)) != effects.decode(written):
                return False
        return again.state() == self.core.state()


class Sender:
    """A program at the other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def raw(self, data: bytes) -> dict[str, Any]:
        self.writer.write(data)
        return await self.heard()

    async def heard(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(self.reader.readline(), 5))
        return answer

    async def say(self, message: Any) -> dict[str, Any]:
        return await self.raw(msgspec.json.encode(message) + b"\n")


def wish(account: Account, number: int = 1, **changes: Any) -> WireSignal:
    """A signal that takes at once, as a producer makes it who has just seen the market."""
    now_ns = account.clock.wall_ns()
    given: dict[str, Any] = {
        "signal_id": f"{number:032x}",
        "producer": "hand",
        "symbol": SYMBOL,
        "side": "buy",
        "lots": 10,
        "limit_ticks": ASK + 100,
        "urgency": 9,
        "valid_from_ns": now_ns - 1,
        "expires_ns": now_ns + 60 * SECOND_NS,
        "max_slippage_ppm": 100_000,
        "input_seq": account.market_seq,
    }
    return msgspec.convert(given | changes, WireSignal)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Account]:
    account = Account()
    async with signal_door(folder, account.shell, KEYS, account.clock, lambda line: None):
        yield account
    account.shell.close()


async def connected(folder: Path) -> Sender:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return Sender(*await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"))
    finally:
        os.close(descriptor)
