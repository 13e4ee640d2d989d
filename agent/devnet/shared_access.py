"""Many readers or one mover: reads of a node while a builder tries blocks on it.

The mover holds a plain asyncio.Lock; all readers together hold it once. After a while of uninterrupted reading new
readers queue behind the mover, so that a busy port cannot stop the chain.
"""

from __future__ import annotations

import asyncio

READERS_TURN_S = 0.05


class SharedAccess:
    """`async with access:` for a reader. May be entered many times at once, not twice by the same task."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._door = asyncio.Lock()
        self._readers = 0
        self._turn_ends_at = 0.0
        self._is_empty = asyncio.Event()

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._door:
            if self._readers and loop.time() > self._turn_ends_at:
                await self._is_empty.wait()
            if not self._readers:
                await self._lock.acquire()
                self._is_empty.clear()
                self._turn_ends_at = loop.time() + READERS_TURN_S
            self._readers += 1

    async def __aexit__(self, *_: object) -> None:
        self._readers -= 1
        if not self._readers:
            self._lock.release()
            self._is_empty.set()
