"""An asyncio event loop on virtual time: the same coroutines, no waiting, one order of events for each seed.

Theory of operation. The loop has no selector, so a real socket fails loudly, and no threads, so nothing outside the
seed can wake it. When nothing is ready it moves the timeline to the next timer. Ready callbacks run first in, first out
as asyncio promises nowhere but everybody relies on; with a `shuffle` stream each round runs in an order drawn from it,
and code has to bear both.

Two faults are found for nothing. Nothing ready and no timer is a wake-up that was lost: `Deadlock`. More callbacks than
the budget is a loop that spins: `LiveLock`.

It replaces `BaseEventLoop._run_once`, which is private: tests/simulation/test_loop.py holds what it relies on, so that
another Python version says so there.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import Future
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from agent.devnet.virtual.clock import Timeline

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
NS_PER_S = 1_000_000_000
CALLBACK_BUDGET = 5_000_000
_CANCELLED_KEPT = 100
"""So many cancelled timers may wait in the heap before it is built anew."""


class Deadlock(Exception):
    """Nothing is ready and no timer is armed, so what is waited for can never come."""


class LiveLock(Exception):
    """More callbacks ran than the budget allows."""


class OutsideWorld(Exception):
    """The code under simulation reached for a thread or a socket, which no seed governs."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs coroutines on a `Timeline`. What a callback raises and nobody took is kept in `failures`."""

    def __init__(
        self, timeline: Timeline, *, shuffle: random.Random | None = None, budget: int = CALLBACK_BUDGET
    ) -> None:
        super().__init__()
        self._timeline = timeline
        self._shuffle = shuffle
        self._callbacks_left = budget
        self._cancelled_timers = 0
        self._clock_resolution = 1 / NS_PER_S
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self._timeline.now_ns / NS_PER_S

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end, cancel what is left, and close. Raises the first failure that nobody took."""
        try:
            asyncio.set_event_loop(self)
            result = self.run_until_complete(main)
            self._cancel_rest()
        finally:
            asyncio.set_event_loop(None)
            self.close()
        for context in self.failures:
            raise context.get("exception") or RuntimeError(context["message"])
        return result

    def _cancel_rest(self) -> None:
        # In the order of their making: all_tasks() is a set, and its order is that of addresses.
        rest = sorted(asyncio.all_tasks(self), key=lambda task: _task_number(task.get_name()))
        for task in rest:
            task.cancel()
        if rest:
            self.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self.run_until_complete(self.shutdown_asyncgens())

    def _run_once(self) -> None:
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined] # private, see above
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # private
        self._drop_cancelled(scheduled)
        if not ready:
            if self._stopping:  # type: ignore[attr-defined] # private
                return
            if not scheduled:
                raise Deadlock("nothing is ready and no timer is armed")
            self._timeline.advance_to(_instant_ns(scheduled[0]))
        while scheduled and _instant_ns(scheduled[0]) <= self._timeline.now_ns:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined] # private
            ready.append(timer)
        if self._shuffle is not None and len(ready) > 1:
            in_order = list(ready)
            self._shuffle.shuffle(in_order)
            ready.clear()
            ready.extend(in_order)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled():
                continue
            self._callbacks_left -= 1
            if self._callbacks_left < 0:
                raise LiveLock(f"at {self._timeline.now_ns} ns of virtual time")
            handle._run()

    def _drop_cancelled(self, scheduled: list[asyncio.TimerHandle]) -> None:
        if self._cancelled_timers > _CANCELLED_KEPT and self._cancelled_timers * 2 > len(scheduled):
            for timer in scheduled:
                timer._scheduled = not timer.cancelled()  # type: ignore[attr-defined] # private
            scheduled[:] = [timer for timer in scheduled if not timer.cancelled()]
            heapq.heapify(scheduled)
            self._cancelled_timers = 0
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined] # private
            self._cancelled_timers = max(0, self._cancelled_timers - 1)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled_timers += 1

    def _process_events(self, event_list: object) -> None:
        raise OutsideWorld("there is no selector on virtual time")

    def _write_to_self(self) -> NoReturn:
        raise OutsideWorld("another thread woke the loop; no seed governs threads")

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        raise OutsideWorld("a thread wants to wake the loop; no seed governs threads")

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], Result], *args: *Arguments
    ) -> Future[Result]:
        raise OutsideWorld(f"{func!r} would run in a thread; no seed governs threads")


def _instant_ns(timer: asyncio.TimerHandle) -> int:
    return round(timer.when() * NS_PER_S)


def _task_number(name: str) -> tuple[int, str]:
    digits = name.rpartition("-")[2]
    return (int(digits), name) if digits.isdecimal() else (0, name)
