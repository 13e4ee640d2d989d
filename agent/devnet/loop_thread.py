"""A server with an event loop in a thread of its own: it answers while the caller's loop computes or is blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.errors import SetupError

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0


class LoopThread:
    """Enters `serving`, which gives the URL once the port is open, and leaves it on `stop`."""

    def __init__(self, serving: Callable[[], AbstractAsyncContextManager[str]], *, name: str) -> None:
        self._serving = serving
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self.url = ""

    def start(self) -> None:
        """Open the port and return when `url` says which."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=self._name, daemon=True)
        self._thread.start()
        if not ready.wait(_START_TIMEOUT_S) or not self.url:
            raise SetupError(f"the {self._name} could not open a port on 127.0.0.1", code="E_PORT")

    def stop(self) -> None:
        """Close the port and end the thread; safe to call again."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stopped is None:
            return
        self._loop.call_soon_threadsafe(self._stopped.set)
        thread.join(_STOP_TIMEOUT_S)

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with self._serving() as self.url:
            ready.set()
            await self._stopped.wait()
