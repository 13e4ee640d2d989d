"""How a run on an order-book venue went, as plain values."""

from __future__ import annotations

import msgspec

from agent.core.accounts.accounts import Adopted
from agent.core.effects.control import Alarm, ModeChanged
from agent.core.events.orders import Fill
from agent.core.instruments import Instrument
from agent.core.step import Core
from agent.engine.venue_shell import VenueShell
from agent.journal.writer import JournalWriter
from agent.venues.purpleflea.client import PurpleFleaClient


class VenueResult(msgspec.Struct, kw_only=True):
    """How it went; amounts in atoms of the account's currency."""

    run: str
    started_wall_ns: int
    seconds: float
    session: str
    is_halted: bool
    halt_reason: str
    nav_start_atoms: int | None
    nav_atoms: int | None
    realised_atoms: int
    fees_atoms: int
    funding_atoms: int
    positions: dict[str, int]
    cash: dict[str, int]
    fills: list[Fill]
    """The latest, as many as are kept; `fills_total` counts all."""
    fills_total: int
    instruments: dict[str, Instrument]
    counts: dict[str, int]
    alarms: list[Alarm]
    modes: list[ModeChanged]
    breakers: dict[str, str]
    connections: int
    records: int
    run_epoch: int
    open_orders: int
    adopted: list[Adopted] = []
    """What people took over from the venue, in this run and before."""
    is_cancelled: bool = False
    problem: str = ""
    """Why nothing could be traded from the beginning to the end."""


class Sums(msgspec.Struct, frozen=True):
    """What an account had come to by the start of the run, or by its end. Amounts in atoms of its currency."""

    nav_atoms: int | None
    transfers_atoms: int
    realised_atoms: int
    fees_atoms: int
    funding_atoms: int


def sums(core: Core) -> Sums:
    """The sums as they stand."""
    assert core.desk is not None
    accounts = core.desk.state.accounts
    positions = accounts.positions.values()
    return Sums(
        core.desk.state.breakers.day_loss.nav_atoms,
        accounts.transfers.get(accounts.currency, 0),
        sum(position.ledger.realised_atoms for position in positions),
        sum(position.ledger.fee_value_atoms for position in positions),
        sum(position.funding_atoms for position in positions),
    )


def result_of(
    run: str,
    core: Core,
    shell: VenueShell,
    client: PurpleFleaClient,
    journal: JournalWriter,
    began: Sums,
    started_wall_ns: int,
    seconds: float,
) -> VenueResult:
    assert core.desk is not None
    desk = core.desk
    accounts, breakers = desk.state.accounts, desk.state.breakers
    positions = accounts.positions.values()
    ended = sums(core)
    nav_start_atoms = breakers.day_loss.nav_start_atoms
    if began.nav_atoms is not None:
        # What was paid in or out meanwhile is no result of the run.
        nav_start_atoms = began.nav_atoms + ended.transfers_atoms - began.transfers_atoms
    standing = core.standing
    held = {f"{source}": f"{hold.mode.words}: {hold.detail}" for source, hold in breakers.holds.items()}
    for symbol, holds in breakers.symbol_holds.items():
        held |= {f"{source} {symbol}": f"{hold.mode.words}: {hold.detail}" for source, hold in holds.items()}
    return VenueResult(
        run=run,
        started_wall_ns=started_wall_ns,
        seconds=seconds,
        session=desk.session.state.phase.value,
        is_halted=core.is_halted or breakers.is_halted,
        halt_reason=f"{standing.halted_by}: {standing.halt_reason}" if core.is_halted else "",
        nav_start_atoms=nav_start_atoms,
        nav_atoms=breakers.day_loss.nav_atoms,
        realised_atoms=ended.realised_atoms - began.realised_atoms,
        fees_atoms=ended.fees_atoms - began.fees_atoms,
        funding_atoms=ended.funding_atoms - began.funding_atoms,
        positions={position.symbol: position.ledger.lots for position in positions},
        cash=dict(accounts.cash),
        fills=list(shell.fills.values()),
        fills_total=shell.fills_total,
        instruments={
            symbol: market.instrument
            for symbol, market in desk.state.markets.by_symbol.items()
            if market.instrument is not None
        },
        counts={str(name): count for name, count in shell.counts.items()},
        alarms=list(shell.alarms),
        modes=list(shell.modes),
        breakers=held,
        connections=client.connections,
        records=journal.sequence,
        run_epoch=journal.run_epoch,
        open_orders=desk.orders.open_count(),
        adopted=list(accounts.adopted),
    )
