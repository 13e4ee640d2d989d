"""The wire with faults: what the venue says goes through every fault that concerns it, in the order of the script.

Delays keep the order of frames of the same kind on the same connection, as one queue per kind would. What is held
back to be overtaken goes out after a while though nothing came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.devnet.purpleflea.faults.outbound import FOREVER_HELD, FRAME_EFFECTS, Effect, Outgoing
from agent.devnet.purpleflea.faults.trigger import Subject, Trigger
from agent.devnet.purpleflea.timers import Timers
from agent.devnet.purpleflea.wire import Transport, Wire
from agent.ports.clock import Clock

ONLY_ON_SOCKETS = frozenset({"F1", "F2", "F7"})
"""What has no meaning for an HTTP answer."""


class FaultyWire(Wire):
    """Sends, changes, delays, repeats and drops frames as told."""

    def __init__(self, transport: Transport, clock: Clock, timers: Timers) -> None:
        super().__init__(transport)
        self._clock = clock
        self._timers = timers
        self._rules: list[tuple[Trigger, Effect, frozenset[str] | None]] = []
        self._held: dict[int, list[Outgoing]] = {}
        self._due: dict[tuple[int, str], int] = {}
        self.muted: set[int] = set()
        """Connections that get nothing more."""
        self.account_of: Callable[[int], str] = lambda conn_id: ""

    def add(self, trigger: Trigger) -> None:
        """Put a fault in, where it concerns frames."""
        knob, parameters = trigger.fault.knob, trigger.fault.parameters
        if knob not in FRAME_EFFECTS or (knob == "F1" and parameters.get("direction") == "in"):
            return
        if (knob == "F36" and parameters.get("mode") != "text") or (
            knob == "F7" and parameters.get("mode") == "numbered"
        ):
            return
        self.add_rule(trigger, *FRAME_EFFECTS[knob])

    def add_rule(self, trigger: Trigger, effect: Effect, kinds: frozenset[str] | None) -> None:
        """One more effect on frames of these kinds, or all."""
        self._rules.append((trigger, effect, kinds))

    def send(self, conn_id: int, frame: dict[str, Any]) -> None:
        if conn_id in self.muted:
            return
        if not self._rules:
            super().send(conn_id, frame)
            return
        items = self._apply(self.account_of(conn_id), frame)
        for item in items:
            self._dispatch(conn_id, item)

    def alter(self, account: str, frame: dict[str, Any]) -> dict[str, Any] | None:
        items = self._apply(account, frame, leave_out=ONLY_ON_SOCKETS)
        return items[0].frame if items and not items[0].is_cut else None

    def close(self, conn_id: int, code: int, reason: str) -> None:
        """Behind whatever of this connection is still delayed."""
        due_ns = max((due for (conn, _), due in self._due.items() if conn == conn_id), default=0)
        if due_ns > self._clock.monotonic_ns():
            self._timers.at(due_ns, lambda: Wire.close(self, conn_id, code, reason))
        else:
            super().close(conn_id, code, reason)

    def _apply(self, account: str, frame: dict[str, Any], *, leave_out: frozenset[str] = frozenset()) -> list[Outgoing]:
        kind = frame["type"]
        items = [Outgoing(frame=frame)]
        for trigger, effect, kinds in self._rules:
            if trigger.fault.knob in leave_out or (kinds is not None and kind not in kinds):
                continue
            subject = Subject(kind, account, frame.get("symbol"), frame.get("client_order_id"))
            if trigger.fires(subject):
                items = [changed for item in items for changed in effect(trigger, item)]
        return items

    def _dispatch(self, conn_id: int, item: Outgoing) -> None:
        if item.is_cut:
            self.muted.add(conn_id)
            self.abort(conn_id)
        elif item.overtaken_by or item.waits_for_fill_of is not None:
            self._held.setdefault(conn_id, []).append(item)
            self._timers.at(self._clock.monotonic_ns() + FOREVER_HELD, lambda: self._release(conn_id, item))
        else:
            key = (conn_id, item.frame["type"])
            now_ns = self._clock.monotonic_ns()
            due_ns = max(now_ns + item.delay_ns, self._due.get(key, 0) if item.delay_ns or key in self._due else 0)
            if due_ns > now_ns:
                self._due[key] = due_ns
                self._timers.at(due_ns, lambda: self._put(conn_id, item))
            else:
                self._put(conn_id, item)

    def _put(self, conn_id: int, item: Outgoing) -> None:
        if conn_id in self.muted:
            return
        if item.raw is not None:
            self.put(conn_id, item.raw)
        else:
            super().send(conn_id, item.frame)
        for held in tuple(self._held.get(conn_id, ())):
            if held.waits_for_fill_of is not None:
                if item.frame["type"] == "fill" and item.frame["client_order_id"] == held.waits_for_fill_of:
                    self._release(conn_id, held)
            else:
                held.overtaken_by -= 1
                if held.overtaken_by <= 0:
                    self._release(conn_id, held)

    def _release(self, conn_id: int, item: Outgoing) -> None:
        waiting = self._held.get(conn_id, [])
        if any(item is each for each in waiting):
            self._held[conn_id] = [each for each in waiting if each is not item]
            item.overtaken_by, item.waits_for_fill_of = 0, None
            self._put(conn_id, item)
