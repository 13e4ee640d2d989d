"""The trading floor: accounts with their epochs and limits, the sessions, and how what the engine says reaches them.

Every frame with an `exec_seq` goes to every session of its account that subscribed `orders`; the answer to a request
also to whoever asked, once, with its `req_id`. Nothing here knows sockets: frames leave through an `Outlet`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from agent.devnet.purpleflea import article
from agent.devnet.purpleflea.accounts import Account, available_atoms
from agent.devnet.purpleflea.conduct import Conduct
from agent.devnet.purpleflea.decimals import units_text
from agent.devnet.purpleflea.engine import MatchingEngine
from agent.devnet.purpleflea.keys import Key, KeyStore
from agent.devnet.purpleflea.market_data import MarketData
from agent.devnet.purpleflea.orders import Origin
from agent.devnet.purpleflea.rates import Limits
from agent.devnet.purpleflea.sessions import CancelOnDisconnect, Session
from agent.devnet.purpleflea.steps import Instant
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.timers import Timer, Timers
from agent.ports.clock import Clock

ACCOUNT_KINDS = frozenset({"fill", "trade_bust", "trade_correct"})
RATED_KINDS = frozenset({"order_ack", "order_canceled", "order_amended", "cancel_all_done"})


class Outlet(Protocol):
    """The way to the clients."""

    def send(self, conn_id: int, frame: dict[str, Any]) -> None: ...
    def alter(self, account: str, frame: dict[str, Any]) -> dict[str, Any] | None: ...
    def close(self, conn_id: int, code: int, reason: str) -> None: ...
    def abort(self, conn_id: int) -> None: ...


class Member(msgspec.Struct, kw_only=True, eq=False):
    """What the floor knows of an account beside its money."""

    account: Account
    limits: Limits
    epoch: int = 0
    cod: CancelOnDisconnect = msgspec.field(default_factory=CancelOnDisconnect)
    deadman: Timer | None = None
    has_deadman_fired: bool = False
    losses: list[Timer] = msgspec.field(default_factory=list)
    """Cancellations that wait for the end of a grace."""


class Caller:
    """Who asked, and where the answers go."""

    def __init__(
        self, floor: Floor, member: Member, key: Key, *, session: Session | None, req_id: object = None
    ) -> None:
        self.floor = floor
        self.member = member
        self.account = member.account
        self.key = key
        self.session = session
        self.req_id = req_id
        self.answers: list[dict[str, Any]] = []
        self.is_muted = False
        """Answers get lost."""
        epoch = session.epoch if session else member.epoch
        self.origin = Origin(key.key_id, session.conn_id if session else 0, epoch)

    def answer(self, frame: dict[str, Any]) -> None:
        """A direct answer: with the request's own id, and on acks what is left of the rates."""
        if self.is_muted:
            return
        own = dict(frame)
        if self.req_id is not None:
            own["req_id"] = self.req_id
        if frame["type"] in RATED_KINDS:
            own["rl"] = self.member.limits.frame(self.floor.engine.now.mono_ns)
        if self.session is not None:
            self.answers.append(own)
            self.floor.send(self.session, own)
        elif (told := self.floor.outlet.alter(self.account.account_id, own)) is not None:
            self.answers.append(told)


class Floor:
    """The state that all requests share."""

    def __init__(self, terms: Terms, clock: Clock, timers: Timers, outlet: Outlet, *, seed: int) -> None:
        self.terms = terms
        self.clock = clock
        self.timers = timers
        self.outlet = outlet
        self.engine = MatchingEngine(terms.markets, max_open=terms.max_open)
        self.keys = KeyStore(seed)
        self.members: dict[str, Member] = {}
        self.sessions: dict[int, Session] = {}
        self.market_data = MarketData(self.engine, self.send)
        self.conduct = Conduct()
        self._expiry_due_ns: int | None = None

    def now(self) -> Instant:
        return Instant(self.clock.monotonic_ns(), self.clock.wall_ns())

    def open_account(self, account_id: str) -> Member:
        """A new account with nothing in it."""
        account = self.engine.open_account(account_id)
        limits = Limits(self.terms.orders_per_s, self.terms.cancels_per_s, self.clock.monotonic_ns())
        member = self.members[account_id] = Member(account=account, limits=limits)
        return member

    def sessions_of(self, account_id: str) -> list[Session]:
        return [session for session in self.sessions.values() if session.account == account_id]

    def send(self, session: Session, frame: dict[str, Any]) -> None:
        if session.is_article:
            told = article.told(frame)
            if told is not None:
                self.outlet.send(session.conn_id, told)
            return
        self.outlet.send(session.conn_id, frame)

    def flush(self, caller: Caller | None = None) -> None:
        """Deliver what the engine has said since the last time, private frames first, then the public side."""
        said, self.engine.said = self.engine.said, []
        public: list[dict[str, Any]] = []
        touched: list[str] = []
        for account_id, frame, is_answer in said:
            if not account_id:
                public.append(frame)
                continue
            asker = caller if is_answer and caller is not None and caller.account.account_id == account_id else None
            if "exec_seq" in frame and not frame.get("duplicate"):
                for session in self.sessions_of(account_id):
                    if session.wants(frame) and not (asker and session is asker.session):
                        self.send(session, frame)
            if asker is not None:
                asker.answer(frame)
            if frame["type"] in ACCOUNT_KINDS and account_id not in touched:
                touched.append(account_id)
        for account_id in touched:
            for session in self.sessions_of(account_id):
                if session.has_account:
                    self.send(session, self.account_frame(self.members[account_id]))
        for frame in public:
            for session in tuple(self.sessions.values()):
                wanted = session.trades if frame["type"] == "trade" else session.statuses
                if frame["symbol"] in wanted:
                    self.send(session, frame)
        if self.engine.dirty:
            self.market_data.publish(self.sessions.values())
        self._watch_expiries()

    def _watch_expiries(self) -> None:
        """Be there when the next resting order expires, though no message comes."""
        due_ns = self.engine.next_expiry_ns()
        if due_ns is not None and due_ns != self._expiry_due_ns:
            self._expiry_due_ns = due_ns
            now = self.now()
            self.timers.at(now.mono_ns + max(0, due_ns - now.wall_ns), self._expire)

    def _expire(self) -> None:
        self._expiry_due_ns = None
        self.engine.begin(self.now())
        self.flush()

    def account_frame(self, member: Member) -> dict[str, Any]:
        """Balances and positions, as of the account's last numbered frame."""
        account, engine = member.account, self.engine
        digits = self.currency_digits()
        marked = engine.marked()
        balances = []
        for currency in sorted(digits):
            total = account.balances.get(currency, 0)
            if total or currency in account.deposits:
                available = max(0, available_atoms(account, currency, marked))
                balances.append(
                    {
                        "ccy": currency,
                        "total": units_text(total, digits[currency]),
                        "available": units_text(available, digits[currency]),
                    }
                )
        positions = []
        for symbol, position in account.positions.items():
            if not position.bought_lots and not position.sold_lots:
                continue
            market = engine.markets[symbol]
            quote_digits = market.instrument.quote_digits
            positions.append(
                {
                    "symbol": symbol,
                    "qty": market.lots_text(position.lots),
                    "cost": units_text(position.cost_atoms, quote_digits),
                    "realised": units_text(position.realised_atoms, quote_digits),
                }
            )
        return {
            "type": "account",
            "as_of_exec_seq": engine.executions[account.account_id].last_seq,
            "balances": balances,
            "positions": positions,
        }

    def currency_digits(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for market in self.terms.markets:
            found[market.instrument.quote] = market.instrument.quote_digits
            found[market.instrument.base] = market.base_digits
            found[market.fee_currency] = market.fee_digits
        return found

    def end_session(self, session: Session, code: int, reason: str) -> None:
        """Close from the venue's side."""
        self.outlet.close(session.conn_id, code, reason)
        self.forget_session(session, is_loss=True)

    def forget_session(self, session: Session, *, is_loss: bool) -> None:
        """The connection is gone; what it asked to happen then is arranged."""
        if self.sessions.pop(session.conn_id, None) is None or not is_loss:
            return
        member = self.members[session.account]
        cod = session.cod if session.cod.is_enabled else member.cod
        if not (cod.is_enabled and session.is_trader) or session.keeps_orders:
            return
        late_ns = self.conduct.cod_wait_ns(session)
        if late_ns is None:
            return
        due_ns = self.clock.monotonic_ns() + cod.grace_ms * 1_000_000 + late_ns
        member.losses.append(self.timers.at(due_ns, lambda: self._fire_cod(member, session, cod)))

    def _fire_cod(self, member: Member, session: Session, cod: CancelOnDisconnect) -> None:
        orders = self.engine.open_orders[session.account].values()
        chosen = [order for order in orders if cod.scope == "account" or order.origin.conn_id == session.conn_id]
        self.engine.cancel_many(chosen, "cod", self.now())
        self.flush()

    def end_epoch(self, member: Member, reason: str, *, but: Session | None = None) -> None:
        """End the trade sessions of an account, all but one."""
        for session in self.sessions_of(member.account.account_id):
            if session.is_trader and session is not but:
                self.send(session, {"type": "epoch_ended", "session_epoch": session.epoch, "reason": reason})
                self.end_session(session, 4409, reason)
