"""The venue's conduct with faults: the accept side, what should happen by itself, and what happens of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from agent.devnet.purpleflea.conduct import Conduct, Handler
from agent.devnet.purpleflea.door import TurnedAway
from agent.devnet.purpleflea.exchange import Exchange
from agent.devnet.purpleflea.faults import happenings
from agent.devnet.purpleflea.faults.faulty_wire import FaultyWire
from agent.devnet.purpleflea.faults.model import Fault
from agent.devnet.purpleflea.faults.outbound import Outgoing
from agent.devnet.purpleflea.faults.requests import REQUEST_EFFECTS, Request, retry_after_ms
from agent.devnet.purpleflea.faults.trigger import Subject, Trigger
from agent.devnet.purpleflea.floor import Caller, Member
from agent.devnet.purpleflea.keys import Key
from agent.devnet.purpleflea.off_book import bust
from agent.devnet.purpleflea.orders import Order
from agent.devnet.purpleflea.sessions import Session
from agent.ports.network import HttpAnswer

HOUSE = "flow_house"


class FaultyConduct(Conduct):
    """One script of faults, carried out on one exchange."""

    def __init__(
        self, exchange: Exchange, wire: FaultyWire, faults: Iterable[Fault], *, seed: int, relink: Callable[[], None]
    ) -> None:
        self.exchange = exchange
        self.floor = exchange.floor
        self.wire = wire
        self.relink = relink
        self.house = self.floor.engine.open_account(HOUSE, is_house=True)
        self.saved: dict[str, Any] | None = None
        self._seed = seed
        self._triggers: list[Trigger] = []
        self._closed_until_ns = 0
        self._http_wait_ns = 0
        self._requests_due: dict[str, int] = {}
        self.floor.conduct = self
        wire.account_of = self._account_of
        for fault in faults:
            self.add(fault)

    @property
    def fired(self) -> list[tuple[str, int]]:
        """How often each fault has acted, in the order of the script."""
        return [(trigger.fault.knob, trigger.fired) for trigger in self._triggers]

    def add(self, fault: Fault) -> None:
        """One more fault, whose time starts now."""
        trigger = Trigger(fault, self.floor.clock, seed=self._seed, index=len(self._triggers))
        self._triggers.append(trigger)
        self.wire.add(trigger)
        if fault.knob == "F12":
            self.wire.add_rule(trigger, self._not_found, frozenset({"order_state"}))
        elif fault.knob == "F17":
            self.wire.add_rule(trigger, self._bust_later, frozenset({"fill"}))
        if fault.when.at_s is None or not _happens(fault):
            return
        timers = self.floor.timers
        if fault.knob == "F26" and fault.parameters.get("lose_ms"):
            timers.at(trigger.at_ns - int(fault.parameters["lose_ms"]) * 1_000_000, lambda: happenings.save(self))
        timers.at(trigger.at_ns, lambda: self._happen(trigger, None))

    def end(self) -> None:
        """No fault acts from here on; what one has begun (a delay, a silence) goes on to its own end."""
        for trigger in self._triggers:
            trigger.end()

    def handle(self, caller: Caller, action: str, frame: dict[str, Any], handler: Handler) -> None:
        engine, account = self.floor.engine, caller.account.account_id
        name = frame.get("client_order_id")
        symbol = frame.get("symbol")
        known = engine.orders.get((account, name)) if isinstance(name, str) else None
        if symbol is None and known is not None:
            symbol = known.place.symbol
        subject = Subject(action, account, symbol, name)
        for trigger in self._triggers:
            fault = trigger.fault
            if _happens(fault) and fault.when.at_s is None and caller.session is not None and trigger.fires(subject):
                happenings.HAPPENINGS[fault.knob](self, trigger, caller.session)
        self._pass_on(caller, action, frame, handler, subject, 0)

    def admit(self, account: str) -> None:
        if self.floor.clock.monotonic_ns() < self._closed_until_ns:
            raise TurnedAway(503, "unavailable", "restarting")
        for trigger in self._of("F24"):
            if trigger.fault.parameters.get("mode", "handshake") == "handshake":
                if trigger.fires(Subject("handshake", account)):
                    status = int(trigger.fault.parameters.get("status", 401))
                    raise TurnedAway(status, "invalid_key" if status == 401 else "forbidden", "refused by a fault")

    def opened(self, session: Session) -> None:
        for trigger in self._of("F23"):
            if trigger.fires(Subject("open", session.account)):
                self.floor.end_session(session, int(trigger.fault.parameters.get("code", 1000)), "")

    def http(self, method: str, path: str) -> HttpAnswer | None:
        for trigger in self._of("F32"):
            if trigger.fires(Subject(f"{method} {path}")):
                wait_ms = retry_after_ms(trigger)
                headers = {} if wait_ms is None else {"Retry-After": str(-(-wait_ms // 1_000))}
                body = {"error": "rate_limited", "message": "too many requests"}
                return HttpAnswer(429, {"Content-Type": "application/json", **headers}, msgspec.json.encode(body))
        return None

    def take_http_wait_ns(self) -> int:
        wait_ns, self._http_wait_ns = self._http_wait_ns, 0
        return wait_ns

    def cod_wait_ns(self, session: Session) -> int | None:
        for trigger in self._of("F33"):
            if trigger.fires(Subject("cod", session.account)):
                ms = trigger.fault.parameters.get("ms")
                return None if ms is None else int(ms) * 1_000_000
        return 0

    def deadman_wait_ns(self, member: Member, wait_ns: int) -> int | None:
        for trigger in self._of("F34"):
            if trigger.fires(Subject("deadman", member.account.account_id)):
                ms = trigger.fault.parameters.get("ms")
                return None if ms is None else max(0, wait_ns - int(ms) * 1_000_000)
        return wait_ns

    def deletion_wait_ns(self, key: Key) -> int:
        for trigger in self._of("deleted_key_lives"):
            if trigger.fires(Subject("delete", key.account)):
                return int(float(trigger.fault.parameters.get("for_s", 60)) * 1e9)
        return 0

    def cancel_all(self, orders: list[Order]) -> list[Order]:
        for trigger in self._of("F35"):
            if orders and trigger.fires(Subject("cancel_all", orders[0].account)):
                return orders[: max(0, len(orders) - int(trigger.fault.parameters.get("leaves", 1)))]
        return orders

    def close_for(self, ms: int) -> None:
        """Nobody is let in for so long."""
        self._closed_until_ns = self.floor.clock.monotonic_ns() + ms * 1_000_000

    def hold_http(self, ms: int) -> None:
        """The HTTP answer being made goes out so much later."""
        self._http_wait_ns = ms * 1_000_000

    def later(self, caller: Caller, wait_ns: int, proceed: Callable[[], None]) -> None:
        """Handle a request later, behind those of its connection that wait already."""
        name = f"{caller.account.account_id} {caller.origin.conn_id}"
        due_ns = max(self.floor.clock.monotonic_ns() + wait_ns, self._requests_due.get(name, 0))
        self._requests_due[name] = due_ns
        self.floor.timers.at(due_ns, proceed)

    def _pass_on(
        self, caller: Caller, action: str, frame: dict[str, Any], handler: Handler, subject: Subject, first: int
    ) -> None:
        for index in range(first, len(self._triggers)):
            trigger = self._triggers[index]
            effect = _request_effect(trigger.fault, action)
            if effect is not None and trigger.fires(subject):

                def proceed(after: int = index + 1) -> None:
                    self._pass_on(caller, action, frame, handler, subject, after)

                effect(self, trigger, Request(caller, action, frame, proceed))
                return
        handler(caller, frame)

    def _account_of(self, conn_id: int) -> str:
        session = self.floor.sessions.get(conn_id)
        return session.account if session is not None else ""

    def _happen(self, trigger: Trigger, session: Session | None) -> None:
        trigger.count()
        happenings.HAPPENINGS[trigger.fault.knob](self, trigger, session)

    def _of(self, knob: str) -> list[Trigger]:
        return [trigger for trigger in self._triggers if trigger.fault.knob == knob]

    def _not_found(self, trigger: Trigger, item: Outgoing) -> list[Outgoing]:
        """F12."""
        own = trigger.fault.parameters
        order = self.floor.engine.by_order_id.get(str(item.frame.get("order_id")))
        age_ns = self.floor.clock.monotonic_ns() - order.accepted_mono_ns if order else 0
        if order is None or age_ns > float(own.get("for_s", 2)) * 1e9:
            return [item]
        kept = ("type", "client_order_id", "req_id", "as_of_exec_seq")
        found = {name: item.frame[name] for name in kept if name in item.frame}
        item.frame = {**found, "status": "not_found", "never_seen": bool(own.get("never_seen", False))}
        return [item]

    def _bust_later(self, trigger: Trigger, item: Outgoing) -> list[Outgoing]:
        """F17."""
        trade_id = item.frame["trade_id"]

        def take_back() -> None:
            bust(self.floor.engine, trade_id, self.floor.now())
            self.floor.flush()

        wait_ns = int(float(trigger.fault.parameters.get("after_s", 1)) * 1e9)
        self.floor.timers.at(self.floor.clock.monotonic_ns() + wait_ns, take_back)
        return [item]


def _happens(fault: Fault) -> bool:
    """True for a fault that is a happening, in the mode it is in."""
    mode = fault.parameters.get("mode")
    if fault.knob == "F24":
        return mode == "revoke"
    return fault.knob in happenings.HAPPENINGS and not (fault.knob == "F36" and mode == "text")


def _request_effect(fault: Fault, action: str) -> Any:
    found = REQUEST_EFFECTS.get(fault.knob)
    if found is None or (found[1] is not None and action not in found[1]):
        return None
    if fault.knob == "F1" and fault.parameters.get("direction") != "in":
        return None
    if fault.knob == "F7" and fault.parameters.get("mode") != "numbered":
        return None
    return found[0]
