"""The whole venue without sockets, put together: for a server, for tests, and for a loop of virtual time.

Whoever owns the transport calls `exchange.admit`, `exchange.open`, `exchange.receive` and `exchange.gone` for
WebSockets, `rest.respond` for HTTP, and `timers.run(now)` no later than `timers.next_ns()`; `timers.on_earlier` tells
when that has come nearer. Nothing else moves the venue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agent.devnet.purpleflea import books
from agent.devnet.purpleflea.exchange import Exchange
from agent.devnet.purpleflea.faults import Fault, read_faults
from agent.devnet.purpleflea.faults.clock import SkewedClock
from agent.devnet.purpleflea.faults.faulty_conduct import FaultyConduct
from agent.devnet.purpleflea.faults.faulty_wire import FaultyWire
from agent.devnet.purpleflea.floor import Floor
from agent.devnet.purpleflea.flow import BASE_EVENTS_PER_S, Flow
from agent.devnet.purpleflea.keys import Key
from agent.devnet.purpleflea.rest import Rest
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.timers import Timers
from agent.devnet.purpleflea.wire import Transport
from agent.ports.clock import Clock

AGENT_SCOPES = ("trade", "read", "cancel")
GUARD_SCOPES = ("read", "cancel", "revoke", "reduce")


class KeyPair(msgspec.Struct, frozen=True):
    """A key and its secret."""

    key_id: str
    secret: str


class AccountKeys(msgspec.Struct, frozen=True):
    """A new account: its owner's login, the agent's key and the guard's."""

    agent_id: str
    owner: KeyPair
    trade: KeyPair
    guard: KeyPair


class Venue:
    """One venue. `events_per_s=0` leaves out the seeded flow, and with it every other trader."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        seed: int = 0,
        terms: Terms | None = None,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        events_per_s: float = BASE_EVENTS_PER_S,
    ) -> None:
        self.terms = terms or Terms()
        self.seed = seed
        self.timers = Timers()
        own_clock = SkewedClock(clock)
        wire = FaultyWire(transport, own_clock, self.timers)
        self.exchange = Exchange(self.terms, own_clock, self.timers, wire, seed=seed)
        self.rest = Rest(self.exchange)
        self.flow = Flow(self.exchange.floor, seed=seed, events_per_s=events_per_s) if events_per_s > 0 else None
        relink = self.flow.relink if self.flow is not None else lambda: None
        self.faults = FaultyConduct(self.exchange, wire, read_faults(faults), seed=seed, relink=relink)
        """The script that runs; `faults.add(Fault(...))` puts one in now."""
        self.admin_token = "pf_admin_" + hashlib.sha256(f"purpleflea admin {seed}".encode()).hexdigest()[:32]

    @property
    def floor(self) -> Floor:
        """Accounts, sessions and the engine."""
        return self.exchange.floor

    def open(self) -> None:
        """Let the flow begin, where there is one."""
        if self.flow is not None:
            self.flow.open_books()
            self.flow.start()

    def create_account(self, *, funds: str | None = None) -> AccountKeys:
        """An account with `funds` of quote currency (the terms' own where left out) and its three keys."""
        member, owner, secret = self.exchange.register(funds=self.terms.funds if funds is None else funds)
        trade = _pair(*self.exchange.create_key(member, "agent", AGENT_SCOPES))
        guard = _pair(*self.exchange.create_key(member, "guard", GUARD_SCOPES))
        return AccountKeys(member.account.account_id, _pair(owner, secret), trade, guard)

    def books(self) -> dict[str, Any]:
        """The venue's own books; see agent.devnet.purpleflea.books."""
        return books.books(self.exchange.floor)


def _pair(key: Key, secret: str) -> KeyPair:
    return KeyPair(key.key_id, secret)
