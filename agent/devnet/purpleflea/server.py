"""The venue on loopback: WebSocket and REST on one port, and the venue's own books for whoever has the admin token.

async with PurpleFleaVenue(port=0, seed=1) as venue:
    keys = venue.create_account()
    ...  # connect to venue.ws_url with keys.trade.secret as X-API-Key
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from types import TracebackType
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from agent.devnet.ports import open_port
from agent.devnet.purpleflea import books
from agent.devnet.purpleflea.door import PROTOCOL, TurnedAway
from agent.devnet.purpleflea.exchange import Exchange
from agent.devnet.purpleflea.flow import BASE_EVENTS_PER_S, Flow
from agent.devnet.purpleflea.rest import HttpRequest, Rest
from agent.devnet.purpleflea.sockets import Socket
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.timers import Timers
from agent.devnet.purpleflea.wire import Wire
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.ports.network import HttpAnswer

SOCKET_PATHS = ("/ws", "/trading-api/ws")
"""The second is the path of the public text."""
AGENT_SCOPES = ("trade", "read", "cancel")
GUARD_SCOPES = ("read", "cancel", "revoke", "reduce")


class KeyPair(msgspec.Struct, frozen=True):
    """A key and its secret."""

    key_id: str
    secret: str


class AccountKeys(msgspec.Struct, frozen=True):
    """A new account: its owner's login, the agent's key and the guard's."""

    agent_id: str
    owner: KeyPair
    trade: KeyPair
    guard: KeyPair


class PurpleFleaVenue:
    """One simulated venue. `events_per_s=0` leaves out the seeded flow, and with it every other trader."""

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        faults: Any = (),
        terms: Terms | None = None,
        events_per_s: float = BASE_EVENTS_PER_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.terms = terms or Terms()
        self.seed = seed
        self.timers = Timers()
        self.wire = Wire(self)
        self.exchange = Exchange(self.terms, clock, self.timers, self.wire, seed=seed)
        self.rest = Rest(self.exchange)
        self.flow = Flow(self.exchange.floor, seed=seed, events_per_s=events_per_s) if events_per_s > 0 else None
        self.admin_token = "pf_admin_" + hashlib.sha256(f"purpleflea admin {seed}".encode()).hexdigest()[:32]
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

    @property
    def floor(self) -> Any:
        return self.exchange.floor

    def create_account(self, *, funds: str | None = None) -> AccountKeys:
        """An account with `funds` of quote currency (the terms' own where left out) and its three keys."""
        member, owner, secret = self.exchange.register(funds=self.terms.funds if funds is None else funds)
        trade = KeyPair(*_pair(self.exchange.create_key(member, "agent", AGENT_SCOPES)))
        guard = KeyPair(*_pair(self.exchange.create_key(member, "guard", GUARD_SCOPES)))
        return AccountKeys(member.account.account_id, KeyPair(owner.key_id, secret), trade, guard)

    def books(self) -> dict[str, Any]:
        """The venue's own books; see agent.devnet.purpleflea.books."""
        return books.books(self.exchange.floor)

    async def start(self) -> None:
        """Listen on loopback, and let the flow begin. SetupError if the port is taken."""
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=self.terms.max_frame)
        for path in SOCKET_PATHS:
            app.router.add_get(path, self._serve_socket)
        app.router.add_get("/books", self._serve_books)
        app.router.add_route("*", "/{path:.*}", self._serve_http)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.port = await open_port(self._runner, self.port, option="--port")
        self.timers.on_earlier = self._arm
        if self.flow is not None:
            self.flow.open_books()
            self.flow.start()
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
        socket = self._sockets.get(conn_id)
        if socket is not None:
            socket.send(data)

    def close(self, conn_id: int, code: int, reason: str) -> None:
        socket = self._sockets.get(conn_id)
        if socket is not None:
            socket.close(code, reason)

    def abort(self, conn_id: int) -> None:
        socket = self._sockets.get(conn_id)
        if socket is not None:
            socket.abort()

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
        protocols = (PROTOCOL,) if not self.terms.is_article else ()
        response = web.WebSocketResponse(
            protocols=protocols, compress=False, max_msg_size=2 * self.terms.max_frame, timeout=1.0
        )
        await response.prepare(request)
        self._connections += 1
        conn_id = self._connections
        transport = request.transport
        socket = Socket(response, transport, max_bytes=self.terms.outgoing_max_bytes)  # type: ignore[arg-type] # on TCP
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
        return _response(self.rest.respond(asked))

    async def _serve_books(self, request: web.Request) -> web.Response:
        given = request.headers.get("X-Admin-Token", request.query.get("token", ""))
        if not hmac.compare_digest(given.encode(), self.admin_token.encode()):
            return web.json_response({"error": "unauthorized", "message": "X-Admin-Token"}, status=401)
        return web.Response(body=msgspec.json.encode(self.books()), content_type="application/json")


def _pair(made: tuple[Any, str]) -> tuple[str, str]:
    return made[0].key_id, made[1]


def _response(answer: HttpAnswer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
