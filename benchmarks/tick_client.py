"""One client of the tick-to-order measurement: `python -m benchmarks.tick_client NAME PORT`.

ours: the adapter over its real connection, each event and order written to a journal.
core: the whole agent. echo: C that answers without looking. No clock is read for the measurement here.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from agent.core.effects.orders import Place
from agent.core.events import Event, Stamp
from agent.core.events.market import MarketTick
from agent.core.instruments import OrderType, Side
from agent.journal.records import Run
from agent.journal.settings import MIB, process_settings
from agent.journal.writer import JournalWriter
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from benchmarks import tick_loop
from benchmarks.core_world import CAPS
from benchmarks.venue_market import BTC

LIMIT_TICKS = 600_100
MASKED_ORDER = b"\x81\xfe\x00\xc8" + bytes(4) + b"x" * 200


def still() -> None:
    """What was built stays, and nothing is collected while it is measured."""
    gc.collect()
    gc.freeze()
    gc.disable()


class Reflex:
    """The article's one rule behind the adapter: buy while the price is at most the limit."""

    def __init__(self, port: int, journal: JournalWriter) -> None:
        self._journal = journal
        protocol = PurpleFleaProtocol(Options(symbols=(BTC.symbol,), ping_ms=60_000, caps=CAPS), [BTC])
        self.client = PurpleFleaClient(
            protocol, RealNetwork(), f"ws://127.0.0.1:{port}/", Credentials("k"), self.on_events
        )

    def on_events(self, events: list[Event], stamp: Stamp) -> None:
        for event in events:
            monotonic_ns, wall_ns = stamp.monotonic_ns, stamp.wall_ns
            sequence = self._journal.event(event, monotonic_ns=monotonic_ns, wall_ns=wall_ns)
            if type(event) is MarketTick and event.price_ticks <= LIMIT_TICKS:
                place = Place(
                    client_order_id="aaaaaaiaaaaaaaaa34",
                    symbol=event.symbol,
                    side=Side.BUY,
                    order_type=OrderType.LIMIT,
                    lots=10,
                    price_ticks=event.price_ticks,
                    expire_ns=wall_ns + 1_000_000_000,
                    epoch=1,
                )
                self._journal.effects((place,), monotonic_ns=monotonic_ns, wall_ns=wall_ns)
                self.client.send(place, Stamp(sequence, monotonic_ns, wall_ns))


async def ours(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        now = {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        settings = process_settings(segment_bytes=64 * MIB)
        journal = JournalWriter(Path(folder), Run("bench", "", {}), settings=settings, **now)
        reflex = Reflex(port, journal)
        still()
        task = asyncio.create_task(reflex.client.run())
        while not reflex.client.connections:
            await asyncio.sleep(0.01)
        while reflex.client._socket is not None:
            await asyncio.sleep(0.25)
        reflex.client.abort()
        await task
        journal.close()


def echo(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        )
        connection.sendall((request + "Sec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        tick_loop.load().answer(connection.fileno(), MASKED_ORDER, len(MASKED_ORDER))


def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "ours":
        uvloop.run(ours(port))
    elif name == "core":
        from benchmarks.tick_core import trade  # the others do without it

        uvloop.run(trade(port))
    else:
        echo(port)


if __name__ == "__main__":
    main()
