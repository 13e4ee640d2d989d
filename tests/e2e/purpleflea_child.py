"""The agent as a process of its own, for tests that kill it: `python -m tests.e2e.purpleflea_child PLAN.json`.

It is `run_venue` with a strategy that never rests, in a world whose venue lives in the test's process. It reports
each record on a descriptor after the journal took it, and kills itself at a named point where the plan names one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import AGGRESSIVE
from agent.devnet.restless import Restless
from agent.engine import venue_run
from agent.engine.guarded import GuardPlan
from agent.engine.venue_run import VenueAccess, VenueRun, run_venue
from agent.errors import AgentError
from agent.journal.settings import MILLISECOND_NS, Durability, JournalSettings
from agent.journal.writer import JournalWriter
from agent.ports.clock import SystemClock
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.last_guard import OrderCaps
from agent.venues.purpleflea.options import Options
from tests.e2e.purpleflea_crashes import dies_at, fails_sync

SYMBOLS = ("BTC-USDC", "ETH-USDC")
REPORT_BYTES = 12
HOUR_NS = 3_600_000_000_000
SNAPSHOT_EVERY = 1_000
"""Records between two snapshots: lives here are short."""

PROFILE = msgspec.structs.replace(
    AGGRESSIVE,
    losses=1_000_000,
    slippage_ppm=900_000,
    drawdown_ppm=400_000,
    day_notional_ppm=10**12,
    day_orders=10**9,
    repeat_max=10**6,
    orders_per_s=500,
)
"""Wide: the dice lose money, and what is tried is not the breakers."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    run: str
    folder: str
    guard_folder: str
    ws_url: str
    key: str
    seed: int
    seconds: float | None
    result: str
    report_fd: int = -1
    has_cod: bool = True
    is_power: bool = False
    segment_bytes: int = 1 << 20
    sync_ms: int = 100
    crash_point: str = ""
    crash_at: int = 1
    sync_fails_at: int = 0
    """The how manieth sync of a file fails with EIO, counted from the start; 0 for none."""


class SteppedClock(SystemClock):
    """The machine's, but the wall clock is set an hour ahead by the first SIGUSR1, and back by the next."""

    def __init__(self) -> None:
        self._ahead_ns = 0
        signal.signal(signal.SIGUSR1, self._set)

    def wall_ns(self) -> int:
        return super().wall_ns() + self._ahead_ns

    def _set(self, number: int, frame: Any) -> None:
        self._ahead_ns = 0 if self._ahead_ns else HOUR_NS


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a run that was not killed leaves."""

    session: str
    is_halted: bool
    halt_reason: str
    positions: dict[str, int]
    cash: dict[str, int]
    open_orders: int
    run_epoch: int
    connections: int
    counts: dict[str, int]


def desk_settings() -> DeskSettings:
    return DeskSettings(
        symbols=SYMBOLS,
        currency="USDC",
        profile=PROFILE,
        account=AccountLimits(max_order_lots=10_000, max_open_orders=256, margin_ppm=100_000),
    )


def reports_records(descriptor: int) -> None:
    """Sequence and CRC of each record leave on `descriptor` after the journal took it."""
    event, effects = JournalWriter.event, JournalWriter.effects

    def tell(journal: JournalWriter) -> None:
        os.write(descriptor, journal.sequence.to_bytes(8, "little") + journal.crc.to_bytes(4, "little"))

    def reported_event(self: JournalWriter, *args: Any, **more: Any) -> int:
        sequence = event(self, *args, **more)
        tell(self)
        return sequence

    def reported_effects(self: JournalWriter, *args: Any, **more: Any) -> None:
        effects(self, *args, **more)
        tell(self)

    JournalWriter.event = reported_event  # type: ignore[method-assign] # this process is made for it
    JournalWriter.effects = reported_effects  # type: ignore[method-assign] # as above


async def trade(plan: Plan) -> Ended:
    network = RealNetwork()
    asked = VenueRun(
        run=plan.run,
        folder=Path(plan.folder),
        world="venue",
        mode="devnet",
        desk=desk_settings(),
        access=VenueAccess(
            ws_url=plan.ws_url,
            credentials=Credentials(plan.key, "x-api-key"),
            options=Options(
                symbols=SYMBOLS,
                orders_per_s=500,
                cancels_per_s=1000,
                cod_grace_ms=0 if plan.has_cod else None,
                caps=OrderCaps(max_orders_per_s=1_000, max_order_notional=1_000_000),
            ),
        ),
        guard=GuardPlan(folder=Path(plan.guard_folder), beat_deadline_ms=2_000, give_up_s=1),
        strategies=tuple((f"dice-{one}", Restless(f"dice-{one}", one, seed=plan.seed)) for one in SYMBOLS),
        seconds=plan.seconds,
        journal=JournalSettings(
            durability=Durability.POWER if plan.is_power else Durability.PROCESS,
            segment_bytes=plan.segment_bytes,
            free_bytes_min=1 << 20,
            sync_every_ns=(10 if plan.is_power else plan.sync_ms) * MILLISECOND_NS,
            unsynced_max_ns=250 * MILLISECOND_NS,
        ),
    )
    try:
        result, _ = await run_venue(asked, network=network, clock=SteppedClock(), say=lambda line: None)
    finally:
        await network.close()
    return Ended(
        session=result.session,
        is_halted=result.is_halted,
        halt_reason=result.halt_reason,
        positions=result.positions,
        cash=result.cash,
        open_orders=result.open_orders,
        run_epoch=result.run_epoch,
        connections=result.connections,
        counts=result.counts,
    )


def main(path: Path) -> int:
    plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    venue_run.SNAPSHOT_EVERY = SNAPSHOT_EVERY
    if plan.crash_point:
        dies_at(plan.crash_point, plan.crash_at)
    if plan.sync_fails_at:
        fails_sync(plan.sync_fails_at)
    if plan.report_fd >= 0:
        reports_records(plan.report_fd)
    try:
        ended = asyncio.run(trade(plan))
    except AgentError as error:
        sys.stderr.write(f"{error.code} {error}\n")
        return 4
    Path(plan.result).write_bytes(msgspec.json.encode(ended))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
