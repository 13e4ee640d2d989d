"""A real server on loopback for the conformance tests of the network: it greets, echoes, and does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web


async def _websocket(request: web.Request) -> web.StreamResponse:
    if request.headers.get("x-api-key") == "bad":
        return web.Response(status=401)
    socket = web.WebSocketResponse(max_msg_size=1 << 20)
    await socket.prepare(request)
    await socket.send_str("hello")
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        if message.data == "close":
            await socket.close(code=4409)
        elif message.data == "abort":
            assert request.transport is not None
            request.transport.abort()
        else:
            await socket.send_str(message.data)
    return socket


async def _anything(request: web.Request) -> web.StreamResponse:
    if request.path == "/silent":
        await asyncio.sleep(30)
    status = 429 if request.path == "/busy" else 200
    body = f"{request.method} {request.path_qs} {request.headers.get('x-api-key', '')} ".encode()
    return web.Response(status=status, body=body + await request.read(), headers={"Retry-After": "3"})


@asynccontextmanager
async def loopback_server() -> AsyncIterator[tuple[str, str]]:
    """The server's WebSocket and HTTP origins, for as long as the block lasts."""
    application = web.Application()
    application.router.add_get("/ws", _websocket)
    application.router.add_route("*", "/{path:.*}", _anything)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
