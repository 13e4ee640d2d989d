"""The client of the tick-to-order measurement that is the whole agent: a run as `mev-agent run` makes it.

Journal, guard in a process of its own with pulses and beats, every check with limits out of reach, breakers, timers,
books; only the strategy is the article's one rule.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agent.core.effects.orders import Refuse
from agent.core.events import Event, Stamp
from agent.core.events.market import MarketTick
from agent.core.events.orders import PlaceRequested
from agent.core.instruments import OrderType, Side
from agent.core.step import Core
from agent.engine.guarded import GuardPlan
from agent.engine.venue_run import VenueAccess, VenueRun, run_venue
from agent.engine.venue_shell import VenueShell
from agent.journal.settings import process_settings
from agent.ports.clock import SYSTEM_CLOCK
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.options import Options
from benchmarks.core_world import CAPS, DESK, FAR, STRATEGY

LIMIT_TICKS = 600_100
LOOK_S = 0.25


class Reflex:
    """Buy while the price is at most the limit."""

    name = STRATEGY

    def __init__(self) -> None:
        self.is_stopped = False

    def on_event(self, event: Event, core: Core, stamp: Stamp) -> Iterable[Event]:
        if type(event) is not MarketTick or event.price_ticks > LIMIT_TICKS or self.is_stopped:
            return ()
        return (
            PlaceRequested(
                strategy=self.name,
                symbol=event.symbol,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                lots=10,
                price_ticks=event.price_ticks,
                decided_seq=stamp.seq,
            ),
        )

    def on_refused(self, refusal: Refuse) -> None:
        raise AssertionError(f"an order was refused: {refusal.code} {refusal.detail}")


async def trade(port: int) -> None:
    """Trade until the server goes away."""
    with tempfile.TemporaryDirectory(prefix="mev-agent-bench-") as name:
        folder = Path(name)
        asked = VenueRun(
            run="bench",
            folder=folder / "run",
            world="bench",
            mode="bench",
            desk=DESK,
            access=VenueAccess(
                ws_url=f"ws://127.0.0.1:{port}/",
                credentials=Credentials("k"),
                options=Options(
                    symbols=DESK.symbols,
                    orders_per_s=FAR,
                    cancels_per_s=FAR,
                    max_open=FAR,
                    caps=CAPS,
                    ping_ms=60_000,  # the server waits for nothing but orders
                    late_ms=FAR,  # it sends the same tick again and again
                ),
            ),
            guard=GuardPlan(folder=folder / "guard"),
            strategies=(),
            journal=process_settings(),
        )
        await run_venue(asked, network=RealNetwork(), clock=SYSTEM_CLOCK, say=_say, meanwhile=_until_cut)


async def _until_cut(shell: VenueShell, client: PurpleFleaClient) -> None:
    shell.join(Reflex())
    while not client.connections:
        await asyncio.sleep(LOOK_S)
    while client._socket is not None:
        await asyncio.sleep(LOOK_S)
    shell.on_stopped.set()


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())
