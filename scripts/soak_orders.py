"""Many short orders at a simulated venue, under faults drawn at random, until so many were placed; then compare all books.

    .venv/bin/python scripts/soak_orders.py --orders 20000 --seed 1 --faults

Agent and venue are of one process and speak over loopback; the journal is the one of every run. At the end nothing may
be open, fills, positions and money must be the venue's to the atom, the journal must hold every order that the venue
holds, none may have been sent twice, and the whole journal must replay to the same effects. Exit code 0 if all of it is so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.core.effects.orders import Place
from agent.core.events.control import OperatorCommand
from agent.core.events.orders import Fill
from agent.core.orders.table import OrderState
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import AGGRESSIVE
from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue, Terms
from agent.devnet.purpleflea.faults import read_faults
from agent.devnet.purpleflea.orders import Place as VenuePlace
from agent.devnet.restless import Restless
from agent.engine.guarded import GuardPlan
from agent.engine.venue_result import VenueResult
from agent.engine.venue_run import VenueAccess, VenueRun, run_venue
from agent.engine.venue_shell import VenueShell
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT
from agent.journal.schema import decode_effects, decode_event
from agent.journal.settings import process_settings
from agent.ports.clock import SystemClock
from agent.ports.real_network import RealNetwork
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.last_guard import OrderCaps
from agent.venues.purpleflea.options import Options

REPOSITORY = Path(__file__).resolve().parents[1]
SYMBOLS = ("BTC-USDC", "ETH-USDC")
ORDERS_PER_S = 2_000
QUIET_S = 8.0
"""Without new orders and faults at the end: what a lost frame hid comes out by the regular comparison."""

FAULTS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("F1", {"ms": 100}, 0.0002),
    ("F1", {"ms": 100, "direction": "in"}, 0.0002),
    ("F2", {"n": 3}, 0.002),
    ("F3", {"copies": 2}, 0.02),
    ("F4", {}, 0.0001),
    ("F5", {}, 0.001),
    ("F6", {}, 0.0005),
    ("F7", {}, 0.002),
    ("F9", {}, 0.005),
    ("F10", {"mode": "amended"}, 0.005),
    ("F10", {"mode": "rejected"}, 0.005),
    ("F11", {"live": True}, 0.0005),
    ("F11", {"live": False}, 0.0005),
    ("F12", {"for_s": 0.5}, 0.05),
    ("F13", {"mode": "incomplete"}, 0.05),
    ("F13", {"mode": "empty"}, 0.02),
    ("F14", {}, 0.05),
    ("F18", {"lots": 1}, 0.01),
    ("F19", {}, 0.00005),
    ("F20", {}, 0.0002),
    ("F21", {"for_s": 0.5}, 0.00002),
    ("F22", {"for_s": 0.5}, 0.00002),
    ("F23", {}, 0.1),
    ("F28", {"mode": "gap"}, 0.0001),
    ("F28", {"mode": "crossed"}, 0.0001),
    ("F28", {"mode": "checksum"}, 0.0001),
    ("F31", {"mode": "json"}, 0.00005),
)
"""Knob, parameters, and how likely it acts on an occasion: those that an honest agent gets over without a person."""
STAYED_UNKNOWN = "orders:ORDER_STAYS_UNKNOWN"
STUCK_S = 120.0
"""Without an order for so long, nothing comes any more."""


class Soak:
    """One account that places orders until enough were placed."""

    def __init__(self, venue: PurpleFleaVenue, folder: Path, *, orders: int, seed: int, has_faults: bool) -> None:
        self.venue = venue
        self.folder = folder
        self.keys: AccountKeys = venue.create_account(funds="100000000")
        self.sent: list[str] = []
        self.stuck = ""
        self.resets = 0
        self._orders = orders
        self._has_faults = has_faults
        self._seed = seed
        self._traders = [Restless(f"dice-{symbol}", symbol, seed=seed, orders=24, acts=12) for symbol in SYMBOLS]
        self._watch_places()

    def _watch_places(self) -> None:
        receive = self.venue.exchange.receive

        def watched(conn_id: int, data: str | bytes) -> None:
            frame = msgspec.json.decode(data)
            if frame.get("action") == "place_order":
                self.sent.append(frame["client_order_id"])
            receive(conn_id, data)

        self.venue.exchange.receive = watched  # type: ignore[method-assign] # what is seen is handed on as it is

    async def run(self, say: Callable[[str], None]) -> VenueResult:
        """Until enough orders were placed and all is quiet."""
        network = RealNetwork()
        profile = msgspec.structs.replace(
            AGGRESSIVE, losses=10**6, slippage_ppm=900_000, drawdown_ppm=400_000, day_notional_ppm=10**12,
            day_orders=10**9, orders_per_s=ORDERS_PER_S, repeat_max=10**6,
        )  # fmt: skip
        asked = VenueRun(
            run="soak",
            folder=self.folder,
            world="venue",
            mode="devnet",
            desk=DeskSettings(
                symbols=SYMBOLS,
                currency="USDC",
                profile=profile,
                account=AccountLimits(max_order_lots=10_000, max_open_orders=256, margin_ppm=100_000),
            ),
            access=VenueAccess(
                ws_url=self.venue.ws_url,
                credentials=Credentials(self.keys.trade.secret, "x-api-key"),
                options=Options(
                    symbols=SYMBOLS,
                    orders_per_s=ORDERS_PER_S,
                    cancels_per_s=2 * ORDERS_PER_S,
                    malformed_per_minute=10**6,
                    caps=OrderCaps(max_orders_per_s=2 * ORDERS_PER_S, max_order_notional=1_000_000),
                ),
            ),
            guard=GuardPlan(folder=self.folder / "guard", beat_deadline_ms=5_000, give_up_s=1),
            strategies=tuple((f"dice-{one.symbols[0]}", one) for one in self._traders),
            journal=process_settings(segment_bytes=8 << 20),
        )

        async def until_placed(shell: VenueShell, client: PurpleFleaClient) -> None:
            if self._has_faults:
                for number, (knob, parameters, probability) in enumerate(FAULTS):
                    when = {"probability": probability, "seed": self._seed * 1_000 + number, "count": 1 << 40}
                    (fault,) = read_faults([{"knob": knob, "parameters": parameters, "when": when}])
                    self.venue.faults.add(fault)
            next_word_s = time.monotonic() + 10
            had, had_s = 0, time.monotonic()
            while len(self.sent) < self._orders:
                await asyncio.sleep(0.02)
                now_s = time.monotonic()
                self.resets += _allow_again(shell)
                if len(self.sent) > had:
                    had, had_s = len(self.sent), now_s
                elif now_s - had_s > STUCK_S:
                    self.stuck = _why(shell, client)
                    break
                if now_s >= next_word_s:
                    next_word_s = now_s + 10
                    say(f"  {len(self.sent)} orders, {client.connections} connections, {self.fired()} faults")
            for trader in self._traders:
                trader.left = 0
            self.venue.faults.end()
            await asyncio.sleep(QUIET_S if self._has_faults else 0.5)
            shell.on_stopped.set()

        try:
            result, _ = await run_venue(asked, network=network, clock=SystemClock(), say=say, meanwhile=until_placed)
        finally:
            await network.close()
        return result

    def fired(self) -> int:
        """How often any fault has acted."""
        return sum(count for _, count in self.venue.faults.fired)

    def differences(self, result: VenueResult) -> list[str]:
        """Everything in which our books, the journal and the venue do not agree; empty where all is well."""
        ledger = self.venue.floor.engine.ledger.accounts[self.keys.agent_id]
        account = self.venue.books()["accounts"][self.keys.agent_id]
        places, fills = self._journal()
        found = [f"no order went out any more: {self.stuck}"] if self.stuck else []
        found += [] if len(self.sent) == len(set(self.sent)) else ["an order was sent twice"]
        if result.is_halted:
            found.append(f"halted: {result.halt_reason} {result.breakers}")
        if result.open_orders or any(row["status"] == "open" for row in account["orders"]):
            found.append(f"{result.open_orders} orders are open by us, and at the venue some may be")
        ours, theirs = set(fills), {(row["symbol"], row["trade_id"]) for row in account["fills"]}
        found += [f"fill {name} is the venue's alone" for name in sorted(theirs - ours)]
        found += [f"fill {name} is ours alone" for name in sorted(ours - theirs)]
        for symbol in SYMBOLS:
            held = ledger.positions[symbol].lots if symbol in ledger.positions else 0
            if result.positions.get(symbol, 0) != held:
                found.append(f"{symbol}: {result.positions.get(symbol, 0)} lots by us, {held} by the venue")
        for currency, atoms in result.cash.items():
            if ledger.balances.get(currency, 0) != atoms:
                found.append(f"{currency}: {atoms} atoms by us, {ledger.balances.get(currency, 0)} by the venue")
        for (account_id, name), order in self.venue.floor.engine.orders.items():
            if account_id == self.keys.agent_id and places.get(name) != _body(order.place):
                found.append(f"order {name} is at the venue and not so in the journal")
        return found

    def _journal(self) -> tuple[dict[str, tuple[Any, ...]], dict[tuple[str, str], Fill]]:
        """Each order that was let out, and each trade."""
        places: dict[str, tuple[Any, ...]] = {}
        fills: dict[tuple[str, str], Fill] = {}
        for record in JournalReader(self.folder).records():
            if record.type == EFFECTS and b'"place"' in record.payload:
                for effect in decode_effects(record):
                    if isinstance(effect, Place):
                        places[effect.client_order_id] = (
                            effect.symbol, effect.side, effect.order_type, effect.lots, effect.price_ticks,
                        )  # fmt: skip
            elif record.type == EVENT and record.payload.startswith(b'{"type":"fill"'):
                event = decode_event(record)
                assert isinstance(event, Fill)
                fills[event.symbol, event.trade_id] = event
        return places, fills


def _allow_again(shell: VenueShell) -> int:
    """A person at work: a symbol that was halted for an order whose fate was open trades on once nothing is open."""
    desk = shell.core.desk
    assert desk is not None
    if any(order.state is OrderState.UNKNOWN for order in desk.orders.all_live()):
        return 0
    halted = [symbol for symbol, holds in desk.state.breakers.symbol_holds.items() if STAYED_UNKNOWN in holds]
    for symbol in halted:
        shell.tell(
            OperatorCommand(
                action="reset_breaker", target=STAYED_UNKNOWN, symbol=symbol, reason="the fence left nothing unknown"
            )
        )
    return len(halted)


def _why(shell: VenueShell, client: PurpleFleaClient) -> str:
    """What keeps it from trading."""
    desk = shell.core.desk
    assert desk is not None
    unknown = [order.client_order_id for order in desk.orders.all_live() if order.state is OrderState.UNKNOWN]
    books = {symbol: market.book.stale_reason for symbol, market in desk.state.markets.by_symbol.items()}
    return (
        f"session {desk.session.state.phase} {desk.session.state.difference}, connection {client.protocol.phase} "
        f"{client.last_problem}, holds {list(desk.state.breakers.holds)}, books {books}, "
        f"{len(desk.orders.all_live())} live, {len(unknown)} of them unknown {unknown[:3]}, refusals "
        f"{ {str(name): count for name, count in shell.counts.items() if str(name).startswith('R_')} }"
    )


def _body(place: VenuePlace) -> tuple[Any, ...]:
    return place.symbol, place.side, place.kind, place.lots, place.price_ticks


async def soak(folder: Path, *, orders: int, seed: int, has_faults: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it and judge it; the report."""
    terms = Terms(orders_per_s=10 * ORDERS_PER_S, cancels_per_s=20 * ORDERS_PER_S)
    async with PurpleFleaVenue(seed=seed, terms=terms, events_per_s=60.0) as venue:
        one = Soak(venue, folder, orders=orders, seed=seed, has_faults=has_faults)
        begun_s = time.monotonic()
        result = await one.run(say)
        seconds = time.monotonic() - begun_s
        fired: dict[str, int] = {}
        for knob, count in venue.faults.fired:
            fired[knob] = fired.get(knob, 0) + count
        return {
            "orders": len(one.sent),
            "seconds": round(seconds, 1),
            "orders_per_s": round(len(one.sent) / seconds),
            "fills": len(result.fills),
            "records": result.records,
            "connections": result.connections,
            "faults": fired,
            "resets_by_a_person": one.resets,
            "alarms": {name: count for name, count in result.counts.items() if name.startswith("alarm")},
            "differences": one.differences(result),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="many orders under random faults, then compare all books")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the journal goes; a temporary one if left out")
    asked = parser.parse_args()

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        report = asyncio.run(soak(folder, orders=asked.orders, seed=asked.seed, has_faults=asked.faults, say=say))
        begun_s = time.monotonic()
        replayed = subprocess.run(
            [sys.executable, "-m", "agent.cli", "replay", str(folder), "--verify"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        report["replay_seconds"] = round(time.monotonic() - begun_s, 1)
        if replayed.returncode:
            report["differences"].append(f"replay: {replayed.stdout}{replayed.stderr}")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if report["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
