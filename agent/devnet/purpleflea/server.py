"""The venue on loopback: WebSocket and REST on one port, and the venue's own books for whoever has the admin token.

    async with PurpleFleaVenue(port=0, seed=1) as venue:
        keys = venue.create_account()
        ...  # connect to venue.ws_url with keys.trade.secret as X-API-Key

Admin, by the header `X-Admin-Token`: GET /books, POST /faults (a list of faults, which start now), POST /accounts.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from agent.devnet.ports import open_port
from agent.devnet.purpleflea.door import PROTOCOL, TurnedAway
from agent.devnet.purpleflea.faults import Fault, read_faults
from agent.devnet.purpleflea.flow import BASE_EVENTS_PER_S
from agent.devnet.purpleflea.rest import HttpRequest
from agent.devnet.purpleflea.sockets import Socket
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.venue import Venue
from agent.errors import ConfigError
from agent.ports.clock import SYSTEM_CLOCK, Clock

SOCKET_PATHS = ("/ws", "/trading-api/ws")
"""The second is the path of the public text."""


class PurpleFleaVenue(Venue):
    """One simulated venue on a port of 127.0.0.1."""

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        terms: Terms | None = None,
        events_per_s: float = BASE_EVENTS_PER_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(self, clock, seed=seed, terms=terms, faults=faults, events_per_s=events_per_s)
        self.port = port
        self._clock = clock
        self._sockets: dict[int, Socket] = {}
        self._connections = 0
        self._runner: web.AppRunner | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def start(self) -> None:
        """Listen on loopback, and let the flow begin. SetupError if the port is taken."""
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=self.terms.max_frame)
        for path in SOCKET_PATHS:
            app.router.add_get(path, self._serve_socket)
        app.router.add_get("/books", self._admin(lambda _: self.books()))
        app.router.add_post("/faults", self._admin(self._add_faults))
        app.router.add_post("/accounts", self._admin(lambda _: msgspec.to_builtins(self.create_account())))
        app.router.add_route("*", "/{path:.*}", self._serve_http)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.port = await open_port(self._runner, self.port, option="--port")
        self.timers.on_earlier = self._arm
        self.open()
        self._arm()

    async def stop(self) -> None:
        """Cut every connection and close the port."""
        if self.flow is not None:
            self.flow.stop()
        self.timers.on_earlier = lambda: None
        if self._alarm is not None:
            self._alarm.cancel()
        for socket in tuple(self._sockets.values()):
            socket.abort()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> PurpleFleaVenue:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def send(self, conn_id: int, data: bytes) -> None:
        if (socket := self._sockets.get(conn_id)) is not None:
            socket.send(data)

    def close(self, conn_id: int, code: int, reason: str) -> None:
        if (socket := self._sockets.get(conn_id)) is not None:
            socket.close(code, reason)

    def abort(self, conn_id: int) -> None:
        if (socket := self._sockets.get(conn_id)) is not None:
            socket.abort()

    def cut(self) -> int:
        """Cut every connection without a word; how many there were."""
        sockets = tuple(self._sockets.values())
        for socket in sockets:
            socket.abort()
        return len(sockets)

    def stall(self, conn_id: int, *, is_reading_too: bool) -> None:
        if (socket := self._sockets.get(conn_id)) is not None:
            socket.stall(is_reading_too=is_reading_too)

    def resume(self, conn_id: int) -> None:
        if (socket := self._sockets.get(conn_id)) is not None:
            socket.resume()

    def _arm(self) -> None:
        """Wake up when the next appointment is due."""
        assert self._loop is not None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_ns = self.timers.next_ns()
        if due_ns is not None:
            wait_s = max(0, due_ns - self._clock.monotonic_ns()) / 1e9
            self._alarm = self._loop.call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self.timers.run(self._clock.monotonic_ns())
        self._arm()

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            key = self.exchange.admit(headers, request.remote or "")
        except TurnedAway as turned:
            return web.json_response({"error": turned.code, "message": turned.text}, status=turned.status)
        response = web.WebSocketResponse(
            protocols=() if self.terms.is_article else (PROTOCOL,),
            compress=False,
            max_msg_size=2 * self.terms.max_frame,
            timeout=1.0,
        )
        await response.prepare(request)
        self._connections += 1
        conn_id = self._connections
        socket = Socket(response, request.transport, max_bytes=self.terms.outgoing_max_bytes)
        self._sockets[conn_id] = socket
        try:
            self.exchange.open(conn_id, key, headers)
            async for message in response:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self.exchange.receive(conn_id, message.data)
        finally:
            self.exchange.gone(conn_id)
            del self._sockets[conn_id]
            await socket.end()
        return response

    async def _serve_http(self, request: web.Request) -> web.Response:
        asked = HttpRequest(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            ip=request.remote or "",
        )
        answer = self.rest.respond(asked)
        wait_ns = self.faults.take_http_wait_ns()
        if wait_ns:
            await asyncio.sleep(wait_ns / 1e9)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _admin(self, answer: Callable[[bytes], Any]) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.Response:
            given = request.headers.get("X-Admin-Token", request.query.get("token", ""))
            if not hmac.compare_digest(given.encode(), self.admin_token.encode()):
                return web.json_response({"error": "unauthorized", "message": "X-Admin-Token"}, status=401)
            try:
                found = answer(await request.read())
            except (ConfigError, msgspec.DecodeError) as error:
                return web.json_response({"error": "bad_request", "message": str(error)}, status=400)
            return web.Response(body=msgspec.json.encode(found), content_type="application/json")

        return serve

    def _add_faults(self, body: bytes) -> dict[str, int]:
        faults = read_faults(msgspec.json.decode(body, type=list[dict[str, Any]]))
        for fault in faults:
            self.faults.add(fault)
        return {"added": len(faults)}
