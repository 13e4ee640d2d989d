"""Running work on an event loop, so that Ctrl-C and SIGTERM end it between two callbacks, never within one.

Python raises in whatever line is being executed. In a protocol's callback that leaves a half-read frame and a traceback
of the loop; asyncio's own handler cancels right there, and a future can be cancelled between being looked at and being
set. Here a signal only asks the loop to cancel the task. A second one, for work that does not end, raises at once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
Handler = Callable[[int, FrameType | None], Any]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_loop(work: Coroutine[Any, Any, T], runner: asyncio.Runner | None = None) -> T:
    """The work's result. Cancelled by a signal it raises what the signal's handler raises outside of a loop.

    Work that answers being cancelled with a result ends with that after SIGINT; SIGTERM has no use for it.
    """
    listened = _interruptible(work, _handlers())
    return asyncio.run(listened) if runner is None else runner.run(listened)


def run_fast_loop(work: Coroutine[Any, Any, T]) -> T:
    """The same on the loop of libuv: for work whose latency counts, and whose libraries were tried on it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return run_loop(work, runner)


def _handlers() -> dict[int, Handler]:
    """Those in force that are Python's; none in a thread that may not change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in found.items() if callable(handler)}


async def _interruptible(work: Coroutine[Any, Any, T], handlers: dict[int, Handler]) -> T:
    asked: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            handlers[number](number, frame)
        loop.call_soon_threadsafe(task.cancel)

    for number in handlers:
        signal.signal(number, ask)
    try:
        result = await work
    except asyncio.CancelledError:
        if asked:
            handlers[asked[0]](asked[0], None)
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if signal.SIGTERM in asked:
        handlers[signal.SIGTERM](signal.SIGTERM, None)
    return result
