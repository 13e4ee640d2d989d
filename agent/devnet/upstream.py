"""The user's node as a forked anvil reaches it: through a door of ours on loopback.

Anvil takes its fork's URL on the command line, where every user of the machine can read it, and repeats it in errors;
a provider's URL holds the access key. So anvil gets the door's address, and only this process knows the URL. The door
also waits when the node asks to slow down, because anvil answers a refusal by leaving transactions out. It lets
reads through and nothing else: whatever is sent to a fork, nothing of it can reach the node's mempool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web

from agent.chain.jsonrpc import is_read
from agent.devnet.loop_thread import LoopThread
from agent.devnet.ports import open_port

REQUEST_BYTES_MAX = 4 * 1024 * 1024
_ATTEMPTS = 6
_WAIT_S = 0.5
_WAIT_MAX_S = 20.0
_TIMEOUT_S = 40.0
_BUSY = (429, 502, 503, 504)
_GONE = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"the forked node does not answer"}}'
_REFUSED = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"a fork only reads"}}'


def holds_a_secret(url: str) -> bool:
    """Whether a URL may not be shown: all but a bare address of this machine."""
    parts = urlsplit(url)
    is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return not is_local or bool(parts.username or parts.query or parts.path.strip("/"))


class _Asked(msgspec.Struct, frozen=True):
    """The only part of a request that is looked at."""

    method: str


_asked = msgspec.json.Decoder(_Asked | list[_Asked])


def only_reads(body: bytes) -> bool:
    """Whether every request in the body asks for something and changes nothing; False for what is no request."""
    try:
        asked = _asked.decode(body)
    except msgspec.DecodeError:
        return False
    return all(is_read(one.method) for one in (asked if isinstance(asked, list) else [asked]))


class Upstream(LoopThread):
    """Passes JSON-RPC from a port of loopback on to `target`. `start`, then `url`; `stop` when anvil is gone.

    In a thread of its own, because anvil asks while the caller computes.
    """

    def __init__(self, target: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self._open, name="door to the forked node")
        self._target = target
        self._headers = {"content-type": "application/json"} | dict(headers or {})
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[str]:
        application = web.Application(client_max_size=REQUEST_BYTES_MAX)
        application.router.add_post("/", self._pass_on)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as self._session:
            try:
                yield f"http://127.0.0.1:{await open_port(runner)}"
            finally:
                await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not only_reads(body):
            return web.Response(body=_REFUSED, content_type="application/json")
        wait_s = _WAIT_S
        for _ in range(_ATTEMPTS):
            answer, asked_wait_s = await self._ask(body)
            if answer is not None:
                return web.Response(body=answer, content_type="application/json")
            await asyncio.sleep(min(asked_wait_s or wait_s, _WAIT_MAX_S))
            wait_s *= 2
        return web.Response(body=_GONE, content_type="application/json")

    async def _ask(self, body: bytes) -> tuple[bytes | None, float]:
        """The node's answer, or None and for how many seconds it asks us to stay away (0: it did not say)."""
        assert self._session is not None
        try:
            async with self._session.post(self._target, data=body) as response:
                if response.status in _BUSY:
                    after = response.headers.get("retry-after", "")
                    return None, float(after) if after.isdigit() else 0.0
                return await response.read(), 0.0
        except (aiohttp.ClientError, TimeoutError):  # forks only read: asking again changes nothing
            return None, 0.0
