"""What the timers of an order mean. A timer fires for what is armed now, or it is counted and nothing else.

`request:<id>` waits for the answer to the one request under way, `query:<id>` for the next question, `unknown:<id>` for
help with an order whose fate stays unknown, `owed:<id>` for promised fills; `replay` and `gap` belong to the sequence of
executions. Time never decides what became of an order: it only asks, escalates and halts.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.core.effects.control import Alarm, ArmTimer
from agent.core.events import Stamp
from agent.core.orders.actions import ROWS
from agent.core.orders.ingress import Ingress
from agent.core.orders.machine import Machine
from agent.core.orders.order import Order
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import SECOND_NS
from agent.core.orders.table import OrderState

REQUEST_ROWS = {"ack": ROWS["ack_timeout"], "cancel": ROWS["cancel_timeout"], "amend": ROWS["amend_timeout"]}
QUERY_DUE = ROWS["query_due"]
STAYS_UNKNOWN = "ORDER_STAYS_UNKNOWN"


class Timers:
    __slots__ = ("_fence", "_ingress", "_kinds", "_machine")

    def __init__(self, machine: Machine, ingress: Ingress, fence: Callable[..., object]) -> None:
        self._machine = machine
        self._ingress = ingress
        self._fence = fence
        self._kinds: dict[str, Callable[[Order, Stamp, Outcome], None]] = {
            "request": self._request,
            "query": self._query,
            "unknown": self._unknown,
            "owed": self._owed,
        }

    def fire(self, name: str, stamp: Stamp, out: Outcome) -> None:
        if name == "replay":
            self._ingress.replay_late(stamp, out)
            return
        if name == "gap":
            self._ingress.gap_due(stamp, out)
            return
        kind, _, client_order_id = name.partition(":")
        handler = self._kinds.get(kind)
        order = self._machine.state.live.get(client_order_id)
        if handler is None or order is None:
            out.ignored += 1
        else:
            handler(order, stamp, out)

    def _request(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        kind = order.timer
        if not kind or stamp.monotonic_ns < order.timer_at_ns:
            out.ignored += 1
            return
        order.timer = ""
        if kind == "cancel":
            order.is_cancel_in_flight = False
        self._machine.react(order, REQUEST_ROWS[kind], stamp, out)

    def _query(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        if not order.query_at_ns or stamp.monotonic_ns < order.query_at_ns:
            out.ignored += 1
            return
        order.query_at_ns = 0
        if stamp.monotonic_ns >= order.cancel_sent_ns + self._machine.times.cancel_ns:
            order.is_cancel_in_flight = False  # sent while unknown it has no timer of its own: this is its time-out
        self._machine.react(order, QUERY_DUE, stamp, out)

    def _unknown(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        """First the symbol is halted and cancelled behind a fence, then everything is halted. Seconds are rounded down.

        One fence is enough for all orders that wait for one, and the account has one at a time: each raises the epoch.
        """
        times, since_ns = self._machine.times, order.unknown_since_ns
        is_to_halt = stamp.monotonic_ns >= since_ns + times.unknown_kill_ns
        if order.state is not OrderState.UNKNOWN or stamp.monotonic_ns < since_ns + times.unknown_fence_ns:
            out.ignored += 1
            return
        name = order.client_order_id
        detail = f"its fate is unknown for {(stamp.monotonic_ns - since_ns) // SECOND_NS} s"
        if order.unknown_stage == 0:
            order.unknown_stage = 1
            out.effects.append(Alarm("critical", STAYS_UNKNOWN, name, detail))
            out.symbol_halts.append((order.symbol, STAYS_UNKNOWN, f"order {name}: {detail}"))
            self._fence_in(order, stamp, out)
        elif is_to_halt:
            order.unknown_stage += 1
            out.effects.append(Alarm("critical", STAYS_UNKNOWN, name, detail))
            out.halts.append((STAYS_UNKNOWN, f"order {name}: {detail}"))
        else:
            self._fence_in(order, stamp, out)

    def _fence_in(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        """Ask for a fence over the order, unless one has passed or is under way; look again when it is overdue."""
        machine = self._machine
        look_ns = order.unknown_since_ns + machine.times.unknown_kill_ns
        if machine.fence_over(order) is None:
            asked = machine.state.fences_asked.values()
            overdue_ns = max(
                (machine.fence_overdue_ns(one, stamp) for one in asked if one.scope == "account"), default=0
            )
            if not overdue_ns and machine.state.is_up:
                self._fence("account", stamp, out, order.symbol)
            look_ns = min(look_ns, overdue_ns or stamp.monotonic_ns + machine.times.fence_ns)
        out.effects.append(ArmTimer("unknown:" + order.client_order_id, look_ns))

    def _owed(self, order: Order, stamp: Stamp, out: Outcome) -> None:
        detail = f"{order.owed_lots} lots that the venue counts as filled did not come as fills"
        out.effects.append(Alarm("critical", "FILLS_OWED", order.client_order_id, detail))
        out.halts.append(("FILLS_OWED", f"order {order.client_order_id}: {detail}"))
