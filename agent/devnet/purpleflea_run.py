"""A whole day at the venue in seconds, on this machine: account, faucet, trading, a cut connection, and the books compared.

The venue's own books are the judge at the end: what it says of orders, fills, balances and positions, whatever its clients
were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.core.desk.settings import DeskSettings
from agent.devnet.purpleflea import AccountKeys, PurpleFleaVenue, Terms
from agent.engine.guarded import VENUE_AGE_MS, GuardedVenue, GuardPlan
from agent.engine.venue_result import VenueResult
from agent.engine.venue_run import VenueAccess, VenueRun, run_venue
from agent.engine.venue_shell import VenueShell
from agent.errors import ProtocolError
from agent.journal.settings import DEVNET, JournalSettings
from agent.ports.clock import Clock
from agent.ports.real_network import RealNetwork
from agent.strategies.order_book import OrderBookStrategy
from agent.venues.purpleflea.client import PurpleFleaClient
from agent.venues.purpleflea.credentials import AuthForm, Credentials
from agent.venues.purpleflea.faucet import claim
from agent.venues.purpleflea.latency import Stages
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.rest import PurpleFleaRest

GIVE_UP_S = 5
"""The world ends with the run: a guard that tripped does not try for ever on a venue that is gone."""


class VenueWorld(msgspec.Struct, frozen=True, kw_only=True):
    """What to run at the simulated venue."""

    run: str
    folder: Path
    desk: DeskSettings
    options: Options
    auth: AuthForm
    strategies: tuple[tuple[str, OrderBookStrategy], ...]
    seconds: float
    signal_keys: dict[str, bytes | None] = {}
    seed: int = 0
    cut_after: float | None = 0.5
    """Share of the time after which the connection is cut; None leaves it."""
    faults: tuple[dict[str, Any], ...] = ()
    journal: JournalSettings = DEVNET
    beat_deadline_ms: int = 1_000
    """The venue runs in the same process, on a machine that may be busy: a stall of both is not the agent's."""

    def __repr__(self) -> str:
        return f"VenueWorld({self.run})"


class VenueBooks(msgspec.Struct, frozen=True):
    """What the venue holds of our account, and each difference from what we hold."""

    fills: int
    orders: int
    differences: tuple[str, ...]


async def run_purpleflea_world(
    asked: VenueWorld, clock: Clock, say: Callable[[str], None]
) -> tuple[VenueResult, Stages, VenueBooks, str]:
    """Run it; the result, the times, the venue's books, and what the faucet claims to have given."""
    network = RealNetwork()
    terms = Terms(funds="0")
    try:
        async with PurpleFleaVenue(seed=asked.seed, terms=terms, faults=asked.faults) as venue:
            keys = venue.create_account()
            claimed = await _claim(venue, keys, network, asked.auth)
            say(
                f"  venue    {venue.ws_url}  account {keys.agent_id}  the faucet claims {claimed} {asked.desk.currency}"
            )
            run = VenueRun(
                run=asked.run,
                folder=asked.folder,
                world="venue",
                mode="devnet",
                desk=asked.desk,
                access=VenueAccess(
                    ws_url=venue.ws_url,
                    credentials=Credentials(keys.trade.secret, asked.auth),
                    options=asked.options,
                    signal_keys=asked.signal_keys,
                ),
                guard=_guard_plan(venue, keys, asked),
                strategies=asked.strategies,
                seconds=asked.seconds,
                journal=asked.journal,
            )

            async def cut(shell: VenueShell, client: PurpleFleaClient) -> None:
                if asked.cut_after is None:
                    return
                await asyncio.sleep(asked.seconds * asked.cut_after)
                lost = client.connections
                say(f"  cut      {venue.cut()} connection on purpose")
                while client.connections == lost or not _is_live(shell):
                    await asyncio.sleep(0.01)
                say("  back     reconciled with the venue, trading goes on")

            result, stages = await run_venue(run, network=network, clock=clock, say=say, meanwhile=cut)
            return result, stages, _compare(venue, keys, result), claimed
    finally:
        await network.close()


def _is_live(shell: VenueShell) -> bool:
    return shell.core.desk is not None and shell.core.desk.session.is_live


async def _claim(venue: PurpleFleaVenue, keys: AccountKeys, network: RealNetwork, auth: AuthForm) -> str:
    rest = PurpleFleaRest(network, venue.http_url, Credentials(keys.trade.secret, auth))
    claimed = await claim(rest, keys.agent_id, is_enabled=True)
    if claimed.result != "credited":
        raise ProtocolError(f"the simulated faucet said {claimed.result} {claimed.code}", peer="purpleflea")
    return claimed.claimed_amount


def _guard_plan(venue: PurpleFleaVenue, keys: AccountKeys, asked: VenueWorld) -> GuardPlan:
    profile = asked.desk.profile
    return GuardPlan(
        beat_deadline_ms=asked.beat_deadline_ms,
        folder=asked.folder / "guard",
        max_orders_per_s=profile.orders_per_s,
        max_venue_age_ms=VENUE_AGE_MS,
        give_up_s=GIVE_UP_S,
        venue=GuardedVenue(
            url=venue.http_url,
            guard_key=keys.guard.secret,
            agent_key_ids=(keys.trade.key_id,),
            agent_keys=(keys.trade.secret,),
            symbols=asked.desk.symbols,
            quote_currency=asked.desk.currency,
        ),
    )


def _compare(venue: PurpleFleaVenue, keys: AccountKeys, result: VenueResult) -> VenueBooks:
    """Fill by fill by trade id, then positions and balances."""
    account = venue.books()["accounts"][keys.agent_id]
    ours = {(fill.symbol, fill.trade_id): fill for fill in result.fills}
    theirs = {(row["symbol"], row["trade_id"]): row for row in account["fills"]}
    differences = [f"fill {name} is not ours" for name in sorted(theirs.keys() - ours.keys())]
    differences += [f"fill {name} is not the venue's" for name in sorted(ours.keys() - theirs.keys())]
    ledger = venue.exchange.floor.engine.ledger.accounts[keys.agent_id]
    for symbol, lots in sorted(result.positions.items()):
        at_venue = ledger.positions[symbol].lots if symbol in ledger.positions else 0
        if at_venue != lots:
            differences.append(f"{symbol}: {lots} lots by us, {at_venue} by the venue")
    for currency, atoms in sorted(result.cash.items()):
        if ledger.balances.get(currency, 0) != atoms:
            differences.append(f"{currency}: {atoms} atoms by us, {ledger.balances.get(currency, 0)} by the venue")
    open_orders = sum(row["status"] == "open" for row in account["orders"])
    if open_orders:
        differences.append(f"{open_orders} orders are open at the venue")
    return VenueBooks(fills=len(theirs), orders=len(account["orders"]), differences=tuple(differences))
