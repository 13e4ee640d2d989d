"""Plays a scripted life cycle through the real classes and tells, after each entry, what a script can expect."""

from __future__ import annotations

from typing import Any

from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import Amend, CancelOrder, Notify, Place, QueryStatus, Refuse, ReplayFrom
from agent.core.events import Stamp
from agent.core.events.orders import Asked, ReplayDone, SendResult, SessionDown, SessionUp
from agent.core.instruments import OrderType, Side
from agent.core.orders.order import NewOrder
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import MILLISECOND_NS, SECOND_NS, OrdersState
from tests.core.orders.frames import SYMBOL, event_of, ticks
from tests.core.orders.kept import in_order

LATER = 100_000
"""Sequence of the script's first entry, so that what came before it has a place."""


class Player:
    """One account in its first session, live, with nothing on it."""

    def __init__(self) -> None:
        self.orders = OwnOrders(OrdersState(run_epoch=1))
        self.ids: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.position = 0
        self.is_halted = False
        self.now_ns = SECOND_NS
        self.index = -1
        self._outcome = self.orders.apply(SessionUp(epoch=1, last_exec_seq=0, **LIMITS), self._stamp())
        self.orders.apply(ReplayDone(0, 1), self._stamp())
        self.orders.session_live(self._stamp())

    def play(self, index: int, entry: dict[str, Any]) -> dict[str, Any]:
        """Do one entry; gives effects, position and the halt latch as a script writes them."""
        self.index = index
        self.now_ns += MILLISECOND_NS
        out = self._frame(entry) if "frame" in entry else self._local(entry)
        in_order(self.orders, out)
        for applied in out.fills:
            self.position += applied.fill.side.sign * applied.fill.lots
        for bust in out.busts:
            self.position += bust.side.sign * (bust.lots - bust.lots_before)
        self.is_halted = self.is_halted or bool(out.halts)
        return {"effects": self._effects(out), "counts": (out.ignored, out.stale, out.impossible)}

    def _stamp(self) -> Stamp:
        return Stamp(LATER + self.index, self.now_ns, self.now_ns)

    def _frame(self, entry: dict[str, Any]) -> Outcome:
        orders = self.orders
        frame = self._with_our_ids(entry["frame"])
        asked = entry.get("asked")
        if asked is not None:
            asked = Asked(LATER + asked["at"], asked["socket"], asked["epoch"])
        if frame["type"] == "cancel_all_done":
            # The script leaves out the request; it went out at the step before, at the latest.
            request = Outcome()
            orders.fence("account", Stamp(LATER + self.index - 1, self.now_ns, self.now_ns), request)
            frame = {**frame, "req_id": request.effects[0].request_id}
        epoch = entry.get("epoch", orders.state.epoch)
        return orders.apply(event_of(frame, asked, epoch), self._stamp())

    def _local(self, entry: dict[str, Any]) -> Outcome:
        orders, stamp = self.orders, self._stamp()
        name = self.ids.get(entry.get("id", ""), "")
        match entry["local"]:
            case "place" | "queue" as how:
                return self._place(entry["order"], release=how == "place")
            case "release":
                return orders.release(name, stamp)
            case "queue_ttl":
                return orders.deny_queued(name, "QUEUE_TTL", stamp)
            case "cancel":
                return orders.cancel(name, stamp)
            case "amend":
                order = orders.get(name)
                assert order is not None
                return orders.amend(name, entry["qty"], order.price_ticks, stamp)
            case "send_result":
                return orders.apply(SendResult(name, "place", entry["result"]), stamp)
            case "timer":
                return self._timer(name, entry["timer"])
            case "disconnect":
                return orders.apply(SessionDown(reason="closed"), stamp)
            case "session_up":
                up = SessionUp(epoch=entry["epoch"], last_exec_seq=orders.state.cursor, **LIMITS)
                return orders.apply(up, stamp)
            case "session_live":
                return orders.session_live(stamp)
        raise AssertionError(entry)

    def _place(self, wanted: dict[str, Any], *, release: bool) -> Outcome:
        new = NewOrder(
            strategy="script",
            symbol=SYMBOL,
            side=Side(wanted["side"]),
            order_type=OrderType(wanted["type"]),
            lots=wanted["qty"],
            price_ticks=ticks(wanted["px"]),
        )
        out = self.orders.place(new, release=release, stamp=self._stamp())
        self.ids[wanted["id"]] = out.placed
        self.names[out.placed] = wanted["id"]
        return out

    def _timer(self, client_order_id: str, kind: str) -> Outcome:
        """The moment it was armed for, so that nothing else comes due."""
        order = self.orders.get(client_order_id)
        assert order is not None
        if kind == "query":
            self.now_ns = order.query_at_ns
            return self.orders.timer(f"query:{client_order_id}", self._stamp())
        assert order.timer == kind, f"the script fires {kind}, armed is {order.timer or 'nothing'}"
        self.now_ns = order.timer_at_ns
        return self.orders.timer(f"request:{client_order_id}", self._stamp())

    def _with_our_ids(self, frame: dict[str, Any]) -> dict[str, Any]:
        changed = dict(frame)
        if "client_order_id" in frame:
            changed["client_order_id"] = self.ids.get(frame["client_order_id"], frame["client_order_id"])
        if "orders" in frame:
            changed["orders"] = [self._with_our_ids(row) for row in frame["orders"]]
        if "canceled" in frame:
            changed["canceled"] = [self.ids.get(name, name) for name in frame["canceled"]]
        return changed

    def _effects(self, out: Outcome) -> list[list[Any]]:
        said = [self._said(effect) for effect in out.effects]
        halts = [["Halt"]] if out.halts else []
        return [one for one in said if one is not None] + halts

    def _said(self, effect: Effect) -> list[Any] | None:
        """In a script's words; None for timers that scripts do not speak of."""
        match effect:
            case Place(client_order_id=name):
                return ["Place", self._name(name)]
            case CancelOrder(client_order_id=name):
                return ["Cancel", self._name(name)]
            case Amend(client_order_id=name, total_lots=total_lots):
                return ["Amend", self._name(name), total_lots]
            case QueryStatus(client_order_id=name):
                return ["QueryStatus", self._name(name)]
            case ReplayFrom(exec_seq=exec_seq):
                return ["ReplayFrom", exec_seq]
            case Notify(client_order_id=name):
                return ["Notify", self._name(name)]
            case Alarm(subject=name):
                return ["Alarm", self._name(name)]
            case Refuse(subject=name, code=code):
                return ["Refuse", self._name(name), code]
            case ArmTimer(name=timer, at_monotonic_ns=at_ns) if timer.startswith("request:"):
                name = timer.removeprefix("request:")
                order = self.orders.get(name)
                assert order is not None and order.timer_at_ns == at_ns
                return ["Arm", self._name(name), order.timer, (at_ns - self.now_ns) // MILLISECOND_NS]
            case DisarmTimer(name=timer) if timer.startswith("request:"):
                return ["Disarm", self._name(timer.removeprefix("request:"))]
            case ArmTimer() | DisarmTimer():
                return None
        raise AssertionError(effect)

    def _name(self, client_order_id: str) -> str:
        return self.names.get(client_order_id, client_order_id)


LIMITS = {"orders_per_s": 100, "cancels_per_s": 100, "max_open": 100}
