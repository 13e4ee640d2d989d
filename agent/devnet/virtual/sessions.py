"""What belongs to a session that is over, or to an epoch that a fence has ended, and must not count any more.

The world hears which epochs the agent is told, so it knows under which one a request has to go out, which frames may
still change anything, and which wishes were decided on prices of another session. Part of the oracles; the laws are
listed in oracles.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.effects import Effect
from agent.core.effects.control import DisarmTimer, Stop
from agent.core.effects.orders import Amend, CancelAll, Place, QueryAccount, QueryOpen, Reconnect, ReplayFrom
from agent.core.events import Event, Stamp
from agent.core.events import orders as events
from agent.core.events.control import RunStarted
from agent.core.instruments import OrderType

if TYPE_CHECKING:
    from agent.devnet.virtual.world import World

OF_AN_EPOCH = (
    events.OrderAck, events.Reject, events.Canceled, events.Amended, events.CancelReject, events.AmendReject,
    events.ReplayDone,
)  # fmt: skip
"""Frames that count in their own epoch alone. A fill is true whoever tells it."""
ANSWERED_NS = 1_000_000_000
"""A cancel-all that is no older is still under way."""
OF_A_REPLAY = (QueryOpen, QueryAccount, ReplayFrom, Reconnect)


class Sessions:
    """Kept by the world while it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._epoch = 0
        """The highest that the agent was told."""
        self._up_ns: int | None = None
        """Monotonic time of the present session's begin; None without one."""
        self._fences: dict[str, tuple[str, int]] = {}
        """Symbol and monotonic time of those that were asked for and not answered, since the last order."""
        self._cancelled_ns: int | None = None
        """Monotonic time at which everything was cancelled last, in this session."""
        self._cursor: int | None = None
        """Executions that the agent had applied behind the last step."""

    def on_event(self, event: Event, stamp: Stamp, effects: tuple[Effect, ...]) -> None:
        """Before what the step sends is judged."""
        match event:
            case events.SessionUp():
                self._epoch = max(self._epoch, event.epoch)
                self._up_ns = stamp.monotonic_ns
                self._fences.clear()
            case events.SessionDown() | RunStarted():
                self._up_ns = self._cancelled_ns = None
                self._fences.clear()
                self._cursor = None
            case events.FenceDone(scope="account"):
                self._epoch = max(self._epoch, event.epoch)
                self._fences.clear()  # another epoch has begun: what is asked for now proves more
            case _:
                pass
        if isinstance(event, OF_AN_EPOCH) and event.epoch != self._epoch:
            self._world.reach("frame of an epoch that is over")
            self._judge_ignored(event, effects)
        started = self._world.host.started
        self._cursor = None if started is None else started.exec_cursor

    def _judge_ignored(self, event: Event, effects: tuple[Effect, ...]) -> None:
        """Such a frame moves nothing."""
        started = self._world.host.started
        if started is not None and self._cursor is not None and started.exec_cursor != self._cursor:
            self._world.find("O12", f"applied, though epoch {self._epoch} has begun: {event}")
        is_replay = isinstance(event, events.ReplayDone)
        name = getattr(event, "client_order_id", None)
        for effect in effects:
            ends_replay = type(effect) in OF_A_REPLAY or effect == DisarmTimer("replay")
            is_about_it = ends_replay if is_replay else getattr(effect, "client_order_id", None) == name
            if is_about_it:
                self._world.find("O12", f"{effect} for a frame of a passed epoch, {self._epoch} has begun: {event}")

    def on_effects(self, effects: tuple[Effect, ...], stamp: Stamp) -> None:
        """Judge what the step sends."""
        for effect in effects:
            kind = type(effect)
            if isinstance(effect, CancelAll):
                self._judge_fence(effect, stamp)
                if not effect.symbol:
                    self._cancelled_ns = stamp.monotonic_ns
            if kind is Place:
                self._fences.clear()  # none that is under way binds it
            if kind is not Place and kind is not Amend:
                continue
            assert isinstance(effect, Place | Amend)
            if effect.epoch != self._epoch:
                self._world.find("O12", f"sent under epoch {effect.epoch}, {self._epoch} has begun: {effect}")
            if kind is Place:
                assert isinstance(effect, Place)
                self._judge_decision(effect)

        if self._up_ns is not None and any(type(effect) is Stop for effect in effects):
            cancelled_ns = self._cancelled_ns
            if cancelled_ns is None or stamp.monotonic_ns - cancelled_ns > ANSWERED_NS:
                self._world.find("O8", "halted with a session at hand, and nothing is cancelled")

    def _judge_fence(self, asked: CancelAll, stamp: Stamp) -> None:
        for symbol, at_ns in self._fences.values():
            if symbol in ("", asked.symbol) and stamp.monotonic_ns - at_ns < ANSWERED_NS:
                self._world.find("O12", f"asked for while one that proves as much is under way: {asked}")
        self._fences[asked.request_id] = asked.symbol, stamp.monotonic_ns

    def _judge_decision(self, place: Place) -> None:
        decided = self._world.ledger.decided((place.symbol, place.side, place.lots))
        is_shed = place.is_reduce_only and place.order_type is OrderType.IOC
        if decided is None or is_shed:  # what a limit makes the agent sell is no wish, whatever its quantity
            return
        run, at_ns = decided.run, decided.on_market_ns
        if run != self._world.host.incarnation or self._up_ns is None or at_ns is None or at_ns < self._up_ns:
            self._world.find("O7", f"decided at {at_ns} of run {run}, the session began at {self._up_ns}: {place}")
