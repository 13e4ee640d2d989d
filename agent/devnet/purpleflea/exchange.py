"""The venue without sockets: connections open, send and close; HTTP requests get answers; time moves.

Theory of operation. Everything happens in calls from outside, each handled to its end: `receive` one client frame,
`respond` to one HTTP request, `timers.run` what is due. What goes out leaves through the `Outlet` in the order in
which it was said. So the same object serves real sockets and a loop of virtual time, and the same inputs at the same
times give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.devnet.purpleflea import article, door, order_desk, query_desk, safety_desk
from agent.devnet.purpleflea.conduct import Handler
from agent.devnet.purpleflea.decimals import parse_units
from agent.devnet.purpleflea.faucet import Faucet
from agent.devnet.purpleflea.floor import Caller, Floor, Member, Outlet
from agent.devnet.purpleflea.keys import OWNER, Key
from agent.devnet.purpleflea.reading import Refused, read_object
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.timers import Timers
from agent.ports.clock import Clock

ACTIONS: dict[str, Handler] = {
    "place_order": order_desk.place,
    "cancel_order": order_desk.cancel,
    "amend_order": order_desk.amend,
    "cancel_all": order_desk.cancel_all,
    "order_status": query_desk.order_status,
    "open_orders": query_desk.open_orders,
    "fills_since": query_desk.fills_since,
    "account": query_desk.account,
    "subscribe": query_desk.subscribe,
    "unsubscribe": query_desk.unsubscribe,
    "ping": query_desk.ping,
    "set_cod": safety_desk.set_cod,
    "deadman": safety_desk.deadman,
    "logout": safety_desk.logout,
}
READ_ONLY = frozenset({"order_status", "open_orders", "fills_since", "account"})
REQ_ID_MAX = 36


class Exchange:
    """One venue. Make accounts, then let clients in."""

    def __init__(self, terms: Terms, clock: Clock, timers: Timers, outlet: Outlet, *, seed: int) -> None:
        self.floor = Floor(terms, clock, timers, outlet, seed=seed)
        self.faucet = Faucet(self.floor)
        self.timers = timers
        self.malformed = 0
        """Frames that could not be read."""
        self._article_orders = 0

    def register(self, *, funds: str = "0") -> tuple[Member, Key, str]:
        """A new account with its owner's login: (account, key, secret)."""
        floor = self.floor
        member = floor.open_account(f"ag_{len(floor.members) + 1:012x}")
        instrument = floor.terms.markets[0].instrument
        atoms = parse_units(funds, instrument.quote_digits)
        if atoms:
            floor.engine.ledger.deposit(member.account, instrument.quote, atoms)
            member.account.has_deposits = True
        key, secret = self.create_key(member, "owner", (OWNER, "read"))
        return member, key, secret

    def create_key(self, member: Member, label: str, scopes: tuple[str, ...], **more: Any) -> tuple[Key, str]:
        """A key of an account, and its secret."""
        now_ns = self.floor.now().wall_ns
        return self.floor.keys.create(member.account.account_id, label, scopes, now_ns=now_ns, **more)

    def admit(self, headers: Mapping[str, str], ip: str) -> Key:
        """The key that opens the door; raises door.TurnedAway."""
        return door.admit(self.floor, headers, ip)

    def open(self, conn_id: int, key: Key, headers: Mapping[str, str]) -> None:
        """A WebSocket has been accepted."""
        door.open_session(self.floor, conn_id, key, headers)

    def receive(self, conn_id: int, data: str | bytes) -> None:
        """One frame of a client."""
        session = self.floor.sessions.get(conn_id)
        if session is None:
            return
        session.heard_mono_ns = self.floor.clock.monotonic_ns()
        if len(data) > self.floor.terms.max_frame:
            self.floor.end_session(session, 1009, "too big")
            return
        try:
            frame = read_object(data)
        except Refused as refused:
            self.malformed += 1
            self.floor.send(session, error(refused.code, refused.text))
            return
        if session.is_article:
            self._article_orders += 1
            frame = article.heard(frame, self._article_orders)
        caller = Caller(
            self.floor, self.floor.members[session.account], session.key, session=session, req_id=frame.get("req_id")
        )
        self.perform(caller, frame)

    def perform(self, caller: Caller, frame: dict[str, Any]) -> None:
        """Handle one request that has been read; a refusal is answered with an `error` frame."""
        action = frame.get("action")
        handler = ACTIONS.get(action) if isinstance(action, str) else None
        req_id = frame.get("req_id")
        if req_id is not None and not (isinstance(req_id, str) and len(req_id) <= REQ_ID_MAX):
            caller.req_id = None
            caller.answer(error("MALFORMED", "req_id: at most 36 characters"))
            return
        if handler is None:
            if action != "pong":
                self.malformed += 1
                caller.answer(error("MALFORMED", "unknown action"))
            return
        try:
            if action in READ_ONLY and not caller.key.may("read", "trade"):
                raise Refused("KEY_SCOPE", str(action))
            self.floor.conduct.handle(caller, str(action), frame, handler)
        except Refused as refused:
            caller.answer(error(refused.code, refused.text))

    def gone(self, conn_id: int) -> None:
        """The connection has ended, whoever ended it."""
        session = self.floor.sessions.get(conn_id)
        if session is not None:
            self.floor.forget_session(session, is_loss=True)

    def drain(self, in_ms: int) -> None:
        """Announce the end of the server, then end all connections with 4503."""
        floor = self.floor
        for session in tuple(floor.sessions.values()):
            floor.send(session, {"type": "drain", "in_ms": in_ms})
        floor.timers.at(floor.clock.monotonic_ns() + in_ms * 1_000_000, self._end_all)

    def _end_all(self) -> None:
        for session in tuple(self.floor.sessions.values()):
            self.floor.end_session(session, 4503, "drain")


def error(code: str, text: str, *, is_fatal: bool = False) -> dict[str, Any]:
    """W33."""
    return {"type": "error", "code": code, "text": text, "fatal": is_fatal}
