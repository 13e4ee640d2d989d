"""A JSON-RPC server on loopback in a thread of its own: it answers while the caller's loop computes.

It speaks just enough HTTP/1.1 for JSON-RPC clients (POST, Content-Length, keep-alive): a general server costs several
times the look-up that it is for. The answers come from one function, called in the server's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.devnet.loop_thread import LoopThread

REQUEST_BYTES_MAX = 16 * 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LoopbackServer(LoopThread):
    """Serves `answer` (request body to response body) on a free port of 127.0.0.1."""

    def __init__(self, answer: Callable[[bytes], bytes], *, name: str) -> None:
        super().__init__(self._open, name=name)
        self._answer = answer

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[str]:
        connections: set[asyncio.Transport] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self._answer, connections), "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for transport in tuple(connections):
                transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Callable[[bytes], bytes], connections: set[asyncio.Transport]) -> None:
        self._answer = answer
        self._connections = connections
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = _content_length(head)
            if not head.startswith(b"post ") or length is None or length > REQUEST_BYTES_MAX:
                self._refuse()
                return
            total = end + 4 + length
            if len(self._buffer) < total:
                return
            body = self._buffer[end + 4 : total]
            self._buffer = self._buffer[total:]
            answer = self._answer(body)
            self._transport.write(_HEAD % len(answer) + answer)
        if len(self._buffer) > HEAD_BYTES_MAX:
            self._refuse()

    def _refuse(self) -> None:
        self._buffer = b""
        self._transport.write(_REFUSAL)
        self._transport.close()


def _content_length(head: bytes) -> int | None:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return None
    text = head[at + 17 :].partition(b"\r\n")[0].strip()
    return int(text) if text.isdigit() else None
