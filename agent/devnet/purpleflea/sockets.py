"""One client's socket on the server's side: what is sent waits in a queue that a task empties, in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web


class Socket:
    """Outgoing frames of one WebSocket; `send`, `close` and `abort` return at once."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, *, max_bytes: int) -> None:
        self._socket = socket
        self._transport = transport
        self._max_bytes = max_bytes
        self._queue: deque[bytes | tuple[int, str]] = deque()
        self._waiting_bytes = 0
        self._is_filled = asyncio.Event()
        self._is_flowing = asyncio.Event()
        self._is_flowing.set()
        self._is_closing = False
        self._task = asyncio.create_task(self._write())

    def send(self, data: bytes) -> None:
        """Queue a frame. A client that reads too slowly is closed with 1011."""
        if self._is_closing:
            return
        self._queue.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > self._max_bytes:
            self._queue.clear()
            self.close(WSCloseCode.INTERNAL_ERROR, "slow consumer")
        self._is_filled.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued."""
        if not self._is_closing:
            self._is_closing = True
            self._queue.append((code, reason))
            self._is_filled.set()

    def abort(self) -> None:
        """Cut the connection: no close frame, and what is queued is gone."""
        self._is_closing = True
        self._queue.clear()
        if self._transport is not None:
            self._transport.abort()

    def stall(self, *, is_reading_too: bool) -> None:
        """Send nothing more, and read nothing more where told, without closing."""
        self._is_flowing.clear()
        if is_reading_too and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """The end of a stall."""
        self._is_flowing.set()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    async def end(self) -> None:
        """The connection is over; stop the task."""
        self._is_closing = True
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _write(self) -> None:
        with contextlib.suppress(ClientConnectionResetError, ConnectionError):
            while True:
                await self._is_flowing.wait()
                if not self._queue:
                    self._is_filled.clear()
                    await self._is_filled.wait()
                    continue
                item = self._queue.popleft()
                if isinstance(item, tuple):
                    await self._socket.close(code=item[0], message=item[1].encode())
                    return
                await self._socket.send_frame(item, WSMsgType.TEXT)
                self._waiting_bytes -= len(item)
