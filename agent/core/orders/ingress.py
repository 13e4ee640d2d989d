"""Puts private frames in order: each execution once, in the account's sequence, whatever the connection did.

Theory of operation. `exec_seq` counts the account's executions without gaps and is never reset, so a frame at or below
the cursor is a double and one beyond the next is a gap: it is held, and what is missing is asked for once. A replay that
ends without closing the gap is asked for once more; after that the connection is not worth keeping. Frames of another
epoch are read for fills only: a fill is true whoever delivers it, anything else of a dead session may be overtaken. The
cursor moves with applied frames alone, so whatever is dropped here comes back by replay.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import Reconnect
from agent.core.events import Stamp
from agent.core.events.orders import Amended, Canceled, Fill, OrderAck, Reject, ReplayDone, TradeBusted
from agent.core.orders.evidence import Evidence
from agent.core.orders.machine import Machine
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import ExecutionFrame
from agent.core.orders.trades import bust, knows_trade

MAX_HELD = 10_000
"""Frames held behind a gap; more, and the gap is not worth waiting for."""
MAX_REPLAY_FAILURES = 2
MAX_GIVEN_UP = 3
"""Connections in a row that could not close the same gap; then the venue has lost what we need."""


class Ingress:
    """The way in for frames that carry an `exec_seq`."""

    __slots__ = ("_apply", "_machine")

    def __init__(self, machine: Machine, evidence: Evidence) -> None:
        self._machine = machine

        def busted(event: TradeBusted, stamp: Stamp, out: Outcome) -> None:
            bust(machine, event, stamp, out)

        self._apply: dict[type, Callable[..., None]] = {
            OrderAck: evidence.ack,
            Fill: evidence.fill,
            Reject: evidence.reject,
            Canceled: evidence.canceled,
            Amended: evidence.amended,
            TradeBusted: busted,
        }

    def take(self, event: ExecutionFrame, stamp: Stamp, out: Outcome) -> None:
        """Apply it, hold it or drop it; then whatever was held behind it."""
        state = self._machine.state
        kind = type(event)
        if event.epoch != state.epoch and kind is not Fill:
            out.ignored += 1
            return
        exec_seq = event.exec_seq
        if exec_seq is None:
            self._apply[kind](event, stamp, out)
        elif exec_seq == state.cursor + 1:
            state.cursor = exec_seq
            self._apply[kind](event, stamp, out)
            if state.held:
                self._release_held(stamp, out)
        elif exec_seq <= state.cursor:
            self._take_old(event, exec_seq, stamp, out)
        else:
            self._hold(event, exec_seq, stamp, out)

    def replay_done(self, event: ReplayDone, stamp: Stamp, out: Outcome) -> None:
        """The venue has sent all it has, as far as it says."""
        state = self._machine.state
        if event.epoch != state.epoch:
            out.ignored += 1
            return
        if not state.is_replay_asked:
            return
        state.is_replay_asked = False
        out.effects.append(DisarmTimer("replay"))
        if max(event.to_exec_seq, state.hello_seq) > state.cursor or state.held:
            self._failed("a replay left a gap", stamp, out)
        else:
            state.replay_failures = 0
            if state.seen_seq > state.cursor:
                out.effects.append(ArmTimer("gap", stamp.monotonic_ns + self._machine.times.gap_ns))

    def replay_late(self, stamp: Stamp, out: Outcome) -> None:
        """The replay timer fired."""
        state = self._machine.state
        if not state.is_replay_asked:
            out.ignored += 1
            return
        state.is_replay_asked = False
        self._failed("a replay did not come", stamp, out)

    def gap_due(self, stamp: Stamp, out: Outcome) -> None:
        """An answer counted an execution some time ago; if it has not come, it is asked for."""
        state = self._machine.state
        if state.seen_seq > state.cursor:
            self._machine.ask_replay(stamp, out)

    def _take_old(self, event: ExecutionFrame, exec_seq: int, stamp: Stamp, out: Outcome) -> None:
        """A double; but a fill of a venue that counts nothing (sequence 0) is known by its trade alone."""
        if type(event) is Fill and exec_seq == 0 and not knows_trade(self._machine.state, event.trade_id):
            self._apply[Fill](event, stamp, out)
        else:
            out.ignored += 1

    def _hold(self, event: ExecutionFrame, exec_seq: int, stamp: Stamp, out: Outcome) -> None:
        state = self._machine.state
        if len(state.held) >= MAX_HELD:
            state.held.clear()
            self._give_up("too many frames wait behind a gap", out)
            return
        state.held[exec_seq] = event
        state.seen_seq = max(state.seen_seq, exec_seq)
        self._machine.ask_replay(stamp, out)

    def _release_held(self, stamp: Stamp, out: Outcome) -> None:
        state = self._machine.state
        while (event := state.held.pop(state.cursor + 1, None)) is not None:
            state.cursor += 1
            self._apply[type(event)](event, stamp, out)
        if state.held and min(state.held) <= state.cursor:
            state.held = {seq: event for seq, event in state.held.items() if seq > state.cursor}

    def _failed(self, what: str, stamp: Stamp, out: Outcome) -> None:
        state = self._machine.state
        state.replay_failures += 1
        if state.replay_failures < MAX_REPLAY_FAILURES:
            self._machine.ask_replay(stamp, out)
        else:
            self._give_up(what, out)

    def _give_up(self, what: str, out: Outcome) -> None:
        state = self._machine.state
        state.replay_failures = 0
        detail = f"{what}: executions are known up to {state.cursor}, told of up to {state.seen_seq}"
        out.effects.append(Alarm("critical", "EXECUTIONS_MISSING", "", detail))
        if state.given_up_at != state.cursor:
            state.given_up_at, state.given_up = state.cursor, 0
        state.given_up += 1
        if state.given_up >= MAX_GIVEN_UP:
            out.halts.append(("EXECUTIONS_MISSING", detail))
        out.effects.append(Reconnect(detail))
