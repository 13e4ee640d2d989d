"""The hot way to an endpoint: an own HTTP/1.1 client that writes a request the moment it is asked to.

A general client spends more on objects than on bytes. This one keeps warm connections, joins one prepared
head with header and body, hands it to the socket before `post` returns, and reads one answer per connection
at a time. It never repeats a request: a connection that breaks after the write leaves the outcome unknown.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from agent.venues.onchain.endpoints import endpoint_address
from agent.venues.onchain.http_response import ResponseError, ResponseParser
from agent.venues.onchain.replies import Lost, RawReply
from agent.venues.onchain.signer import SIGNATURE_HEADER, SignedBody
from agent.venues.onchain.transport import MAX_CONNECTIONS, MAX_REPLY_BYTES

CONNECT_TIMEOUT_S = 5.0


class _Connection(asyncio.Protocol):
    """One socket: idle, or waiting for one answer."""

    __slots__ = ("_answer", "_parser", "_timer", "_transport", "is_idle")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[RawReply | Lost] | None = None
        self._parser = ResponseParser(max_body_bytes=MAX_REPLY_BYTES)
        self._timer: asyncio.TimerHandle | None = None
        self.is_idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, as uvloop's encrypted transports are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.is_idle = True

    def send(self, parts: bytes, timeout_s: float) -> asyncio.Future[RawReply | Lost]:
        """Write now; the future gets the answer, or the news that none comes."""
        assert self._transport is not None and self.is_idle
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._parser = ResponseParser(max_body_bytes=MAX_REPLY_BYTES)
        self.is_idle = False
        self._transport.write(parts)
        self._timer = loop.call_later(timeout_s, self._expire, timeout_s)
        return self._answer

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        self.is_idle = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, chunk: bytes) -> None:
        if self._answer is None:
            self.close()  # unasked bytes: the next answer could be forged
            return
        try:
            self._parser.feed(chunk)
        except ResponseError as error:
            self._settle(Lost(f"the answer is no HTTP: {error}", was_written=True))
            return
        if self._parser.response is not None:
            self._settle(self._parser.response)

    def eof_received(self) -> None:
        self.is_idle = False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_idle = False
        self._transport = None
        if self._answer is None:
            return
        try:
            self._parser.feed_eof()
        except ResponseError as broken:
            self._settle(Lost(f"the answer broke off: {broken}", was_written=True))
        else:
            assert self._parser.response is not None
            self._settle(self._parser.response)

    def _expire(self, timeout_s: float) -> None:
        self._settle(Lost(f"no answer within {round(timeout_s * 1000)} ms", was_written=True))

    def _settle(self, delivery: RawReply | Lost) -> None:
        """Hand over the delivery; the connection lives on only after a clean, complete answer."""
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if isinstance(delivery, RawReply) and self._parser.is_reusable and not self.is_closing:
            self.is_idle = True
        else:
            self.close()
        if answer is not None and not answer.done():
            answer.set_result(delivery)


class WireTransport:
    """Warm connections to one endpoint."""

    def __init__(self, url: str, *, warm_connections: int = 1, tls: ssl.SSLContext | None = None) -> None:
        parts = endpoint_address(url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nAccept-Encoding: identity\r\n{SIGNATURE_HEADER}: "
        ).encode()
        self._warm = warm_connections
        self._connections: list[_Connection] = []
        self._connecting = 0
        self._is_closed = False

    async def open(self) -> None:
        """Have as many idle connections as are kept warm; silent about what fails."""
        self._is_closed = False
        self._drop_closed()
        wanted = self._warm - sum(connection.is_idle for connection in self._connections)
        room = MAX_CONNECTIONS - len(self._connections) - self._connecting
        await asyncio.gather(*(self._connect() for _ in range(min(wanted, room))))

    def post(self, request: SignedBody, *, timeout_ms: int) -> asyncio.Future[RawReply | Lost]:
        """Write the request on a warm connection before returning; without one, connect first.

        With every connection busy nothing is written: a bundle that waits in a queue is a late one.
        """
        written = b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head,
            request.header.encode(),
            len(request.body),
            request.body,
        )
        for connection in self._connections:
            if connection.is_idle and not connection.is_closing:
                return connection.send(written, timeout_ms / 1000)
        return asyncio.ensure_future(self._connect_and_send(written, timeout_ms / 1000))

    async def close(self) -> None:
        """Cut every connection; what waits for an answer learns that none comes, and nothing is sent any more."""
        self._is_closed = True
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def _connect_and_send(self, written: bytes, timeout_s: float) -> RawReply | Lost:
        if self._is_closed:
            return Lost("the transport is closed", was_written=False)
        self._drop_closed()
        if len(self._connections) + self._connecting >= MAX_CONNECTIONS:
            return Lost(f"all {MAX_CONNECTIONS} connections are busy", was_written=False)
        loop = asyncio.get_running_loop()
        started = loop.time()
        connection = await self._connect(min(timeout_s, CONNECT_TIMEOUT_S))
        if connection is None:
            return Lost("no connection", was_written=False)
        left_s = timeout_s - (loop.time() - started)
        if left_s <= 0 or not connection.is_idle:
            return Lost("no connection in time", was_written=False)
        return await connection.send(written, left_s)

    async def _connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> _Connection | None:
        self._connecting += 1
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError, ssl.SSLError):
            return None
        finally:
            self._connecting -= 1
        if self._is_closed:  # closed while this one was on its way
            connection.close()
            return None
        self._connections.append(connection)
        return connection

    def _drop_closed(self) -> None:
        self._connections = [connection for connection in self._connections if not connection.is_closing]
