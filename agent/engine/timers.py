"""The core's deadlines on an event loop: a name, an instant, and one event when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.core.effects.control import ArmTimer, DisarmTimer
from agent.ports.clock import Clock


class Timers:
    """At most one timer of each name; a new one replaces the old."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, fire: Callable[[str], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._fire = fire
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._handles)

    def arm(self, timer: ArmTimer) -> None:
        self.disarm(DisarmTimer(timer.name))
        self._schedule(timer.name, timer.at_monotonic_ns)

    def disarm(self, timer: DisarmTimer) -> None:
        handle = self._handles.pop(timer.name, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _schedule(self, name: str, at_monotonic_ns: int) -> None:
        wait_s = max(0, at_monotonic_ns - self._clock.monotonic_ns()) / 1_000_000_000
        self._handles[name] = self._loop.call_later(wait_s, self._due, name, at_monotonic_ns)

    def _due(self, name: str, at_monotonic_ns: int) -> None:
        # The loop's clock may be coarser than ours: a deadline that the core would not yet accept is waited out.
        if self._clock.monotonic_ns() < at_monotonic_ns:
            self._schedule(name, at_monotonic_ns)
            return
        del self._handles[name]
        self._fire(name)
