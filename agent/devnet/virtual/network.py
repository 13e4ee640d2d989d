"""The network of a virtual world: servers by origin, connections of frames, questions and answers.

The simulated form of `agent.ports.network.Network`; tests/ports/ runs it and the real one through the same cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NoReturn, Protocol
from urllib.parse import urlsplit

from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.link import NS_PER_MS, End, Latency, Link, Listener
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.schedule import Schedule
from agent.errors import OutcomeUnknown, SetupError
from agent.ports.network import HandshakeRefused, HttpAnswer, WebSocketListener

NS_PER_S = 1_000_000_000


class Refused(Exception):
    """A server will not open a WebSocket; `status` is that of its HTTP answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Server(Protocol):
    """What stands behind an origin of the virtual network."""

    def accept(self, socket: End, path: str, headers: Mapping[str, str]) -> Listener:
        """Take a connection; frames go to the listener that is returned. Raises Refused."""


class HttpServer(Protocol):
    """What answers requests at an origin."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer: ...


class VirtualNetwork:
    """One machine's way to the servers of a world."""

    def __init__(self, schedule: Schedule, faults: Faults, streams: Streams, *, latency: Latency) -> None:
        self._schedule = schedule
        self._faults = faults
        self._stream = streams["latency"]
        self._latency = latency
        self._servers: dict[str, Server] = {}
        self._http_servers: dict[str, HttpServer] = {}
        self._cut_off: set[str] = set()
        self.links: list[Link] = []
        """Connections that may still be open, oldest first."""

    def serve(self, origin: str, server: Server) -> None:
        """Let `server` answer at an origin, such as `wss://venue.test`."""
        self._servers[origin] = server

    def serve_http(self, origin: str, server: HttpServer) -> None:
        """Let `server` answer requests at an origin, such as `https://venue.test`."""
        self._http_servers[origin] = server

    def cut_off(self, origin: str, *, is_cut: bool = True) -> None:
        """Nothing new reaches this origin, and the connections to it go silent; or it can be reached again."""
        if not is_cut:
            self._cut_off.discard(origin)
            return
        self._cut_off.add(origin)
        for link in self.links:
            link.go_silent()

    def kill_process(self) -> None:
        """The process is gone: the kernel resets its connections, and nobody is left to be told."""
        for link in self.links:
            link.client.listener = None
            link.client.abort()

    def calm(self) -> None:
        """End every disturbance that lasts."""
        self._cut_off.clear()
        for link in self.links:
            link.calm()

    def connect(self, url: str, headers: Mapping[str, str], listener: Listener) -> End:
        """Open a connection at once. Raises Refused or ConnectionError."""
        origin, path = _split(url)
        server = self._servers.get(origin)
        if server is None or origin in self._cut_off or self._faults.strikes("network.refuse"):
            raise ConnectionError(f"no way to {origin}")
        link = Link(self._schedule, self._faults, latency=self._latency, stream=self._stream)
        link.client.listener = listener
        link.server.listener = server.accept(link.server, path, headers)
        self.links = [other for other in self.links if not other.is_broken]
        self.links.append(link)
        return link.client

    async def open_websocket(
        self, url: str, *, headers: Mapping[str, str], listener: WebSocketListener, timeout_s: float
    ) -> End:
        await self._travel(timeout_s, url)
        try:
            return self.connect(url, headers, listener)
        except Refused as refused:
            raise HandshakeRefused(url, refused.status, None) from None
        except ConnectionError as error:
            raise SetupError(str(error), where=url) from None

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        origin, path = _split(url)
        server = self._http_servers.get(origin)
        if server is None or self._faults.strikes("network.refuse"):
            await self._travel(timeout_s, url)
            raise SetupError(f"no way to {origin}", where=url)
        started_ns = self._schedule.now_ns
        if origin in self._cut_off or self._faults.strikes("http.lose_request"):
            await self._time_out(started_ns, timeout_s, url)
        await asyncio.sleep(self._latency.draw(self._stream) / NS_PER_S)
        answer = server.answer(method, path, headers, body)
        if self._faults.strikes("http.lose_answer"):
            await self._time_out(started_ns, timeout_s, url)
        back_ns = self._latency.draw(self._stream)
        if self._schedule.now_ns + back_ns > started_ns + timeout_s * NS_PER_S:
            await self._time_out(started_ns, timeout_s, url)
        await asyncio.sleep(back_ns / NS_PER_S)
        return answer

    async def _travel(self, timeout_s: float, url: str) -> None:
        there_and_back_ns = 2 * self._latency.draw(self._stream)
        await asyncio.sleep(min(there_and_back_ns / NS_PER_S, timeout_s))
        if there_and_back_ns > timeout_s * NS_PER_S:
            raise SetupError("the server did not answer in time", where=url)

    async def _time_out(self, started_ns: int, timeout_s: float, url: str) -> NoReturn:
        left_ns = started_ns + timeout_s * NS_PER_S - self._schedule.now_ns
        await asyncio.sleep(max(0.0, left_ns / NS_PER_S))
        raise OutcomeUnknown("no answer in time; the request may have arrived", where=url)


def _split(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path


__all__ = ["NS_PER_MS", "Refused", "Server", "VirtualNetwork"]
