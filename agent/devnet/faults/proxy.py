"""A JSON-RPC proxy, HTTP and WebSocket on one loopback port, that misbehaves by a script.

It stands between a client under test and a node that is right. Each WebSocket client gets an upstream connection of
its own. Whatever was spoiled is recorded in `injected`, so that a test can require that its faults really happened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec
from aiohttp import web

from agent.devnet.faults.heads import HeadLine
from agent.devnet.faults.lag import Unforwarded, lagging_answer, lagging_request
from agent.devnet.faults.script import Fault, FaultKind, exchange_fault, head_fault
from agent.eth.hexes import from_quantity, to_quantity

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_CUT_SHORT = b'{"jsonrpc":"2.0","id":1,"resu'
_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Injected(NamedTuple):
    """A fault that happened: which, at which count of exchanges or heads, to which methods."""

    kind: FaultKind
    moment: int
    methods: tuple[str, ...]


class FaultProxy:
    """Start with `start` or as an async context manager; the script may be changed while it runs."""

    def __init__(self, *, http_url: str, ws_url: str, script: Sequence[Fault] = ()) -> None:
        self.script: tuple[Fault, ...] = tuple(script)
        self.injected: list[Injected] = []
        self.exchange_count = 0
        self.head_count = 0
        self._upstream_http = http_url
        self._upstream_ws = ws_url
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._open: set[asyncio.Transport] = set()
        self._counted = asyncio.Event()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._session = aiohttp.ClientSession()
        application = web.Application(client_max_size=2**30)
        application.router.add_post("/", self._on_post)
        application.router.add_get("/", self._on_websocket)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Break every connection and stop listening; safe to call again."""
        self.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def drop_connections(self) -> None:
        """Break every open WebSocket now, without a closing handshake."""
        for transport in tuple(self._open):
            transport.abort()

    def spoil_next(self, kind: FaultKind, *, amount: int = 0, count: int = 1) -> None:
        """Add a fault for the exchanges, or heads, that come next."""
        now = self.head_count if kind.value.startswith("head") else self.exchange_count
        self.script = (*self.script, Fault(kind=kind, at=now, count=count, amount=amount))

    async def until(self, *, exchanges: int = 0, heads: int = 0) -> None:
        """Wait until so many exchanges and heads have been counted."""
        while self.exchange_count < exchanges or self.head_count < heads:
            self._counted.clear()
            await self._counted.wait()

    async def _on_post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        calls = _calls(body)
        fault = self._next_exchange_fault(calls)
        match fault.kind if fault else None:
            case FaultKind.DROP:
                _abort(request)
                return web.Response()
            case FaultKind.SILENCE:
                await asyncio.Event().wait()
            case FaultKind.HTML:
                return web.Response(status=502, text=_HTML, content_type="text/html")
            case FaultKind.TOO_MANY if fault:
                return web.json_response(_limit_error(calls), status=429, headers={"Retry-After": str(fault.amount)})
            case FaultKind.MALFORMED:
                return web.Response(body=_CUT_SHORT, content_type="application/json")
            case FaultKind.WRONG_CHAIN | FaultKind.LAG if fault:
                answers = [await self._bent(fault, call) for call in calls]
                is_batch = body.lstrip().startswith(b"[")
                return web.Response(body=_encode(answers if is_batch else answers[0]), content_type="application/json")
        return web.Response(body=await self._forward(body), content_type="application/json")

    async def _on_websocket(self, request: web.Request) -> web.StreamResponse:
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        transport = request.transport
        assert self._session is not None
        if not isinstance(transport, asyncio.Transport):
            return client
        self._open.add(transport)
        try:
            async with self._session.ws_connect(self._upstream_ws, max_msg_size=0) as node:
                down = asyncio.create_task(self._pump_down(node, client))
                try:
                    await self._pump_up(client, node, request)
                finally:
                    down.cancel()
                    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                        await down
        finally:
            self._open.discard(transport)
        return client

    async def _pump_up(
        self, client: web.WebSocketResponse, node: aiohttp.ClientWebSocketResponse, request: web.Request
    ) -> None:
        async for message in client:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                continue
            body = message.data.encode() if isinstance(message.data, str) else message.data
            calls = _calls(body)
            fault = self._next_exchange_fault(calls)
            match fault.kind if fault else None:
                case FaultKind.DROP:
                    _abort(request)
                    return
                case FaultKind.SILENCE:
                    pass
                case FaultKind.HTML:
                    await client.send_str(_HTML)
                case FaultKind.TOO_MANY:
                    await client.send_str(_encode(_limit_error(calls)).decode())
                case FaultKind.MALFORMED:
                    await client.send_str(_CUT_SHORT.decode())
                case FaultKind.WRONG_CHAIN | FaultKind.LAG if fault:
                    for call in calls:
                        if call.get("method") in ("eth_subscribe", "eth_unsubscribe"):
                            await node.send_bytes(_encode(call))
                        else:
                            await client.send_str(_encode(await self._bent(fault, call)).decode())
                case _:
                    await node.send_str(body.decode())

    async def _pump_down(self, node: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> None:
        line = HeadLine()
        async for message in node:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            for text in self._announced(message.data, line):
                await client.send_str(text)
        await client.close()

    def _announced(self, text: str, line: HeadLine) -> list[str]:
        if '"eth_subscription"' not in text or '"parentHash"' not in text:
            return [text]
        moment = self.head_count
        self.head_count += 1
        self._counted.set()
        fault = head_fault(self.script, moment)
        if fault is not None:
            self.injected.append(Injected(fault.kind, moment, ()))
        is_late = fault is not None and fault.kind is FaultKind.HEAD_LAG
        return line.pass_on(text, kind=fault.kind if fault else None, lag=fault.amount if fault and is_late else 0)

    def _next_exchange_fault(self, calls: list[dict[str, Any]]) -> Fault | None:
        moment = self.exchange_count
        self.exchange_count += 1
        self._counted.set()
        methods = tuple(str(call.get("method")) for call in calls)
        fault = exchange_fault(self.script, moment, methods)
        if fault is not None:
            self.injected.append(Injected(fault.kind, moment, methods))
        return fault

    async def _bent(self, fault: Fault, call: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call of a node on another chain, or some blocks behind."""
        method, name = str(call.get("method")), call.get("id")
        if fault.kind is FaultKind.WRONG_CHAIN:
            if method == "eth_chainId":
                return {"jsonrpc": "2.0", "id": name, "result": to_quantity(fault.amount)}
            return await self._ask(call)
        head = await self._ask({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []})
        shown = max(0, from_quantity(head["result"]) - fault.amount)
        params = lagging_request(method, list(call.get("params") or []), shown)
        if isinstance(params, Unforwarded):
            return {"jsonrpc": "2.0", "id": name, "result": params.result}
        return lagging_answer(method, await self._ask({**call, "params": params}), shown)

    async def _ask(self, call: dict[str, Any]) -> dict[str, Any]:
        return _decode(await self._forward(_encode(call)), type=dict[str, Any])

    async def _forward(self, body: bytes) -> bytes:
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._upstream_http, data=body, headers=headers) as response:
            return await response.read()


def _calls(body: bytes) -> list[dict[str, Any]]:
    try:
        decoded = _decode(body)
    except msgspec.DecodeError:
        return []
    return [call for call in (decoded if isinstance(decoded, list) else [decoded]) if isinstance(call, dict)]


def _limit_error(calls: list[dict[str, Any]]) -> dict[str, Any]:
    name = calls[0].get("id") if calls else None
    return {"jsonrpc": "2.0", "id": name, "error": {"code": -32005, "message": "rate limit exceeded"}}


def _abort(request: web.Request) -> None:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()
