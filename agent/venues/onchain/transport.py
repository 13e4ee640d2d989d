"""Carries exact bytes to one endpoint and brings back what it answered, or that nothing came.

`AiohttpTransport` is the plain implementation, for everything but the hot path, and the reference for `wire`.
Neither follows a redirect, retries, decompresses, uses a proxy of the environment or reads past its cap.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import aiohttp

from agent.venues.onchain.endpoints import endpoint_address
from agent.venues.onchain.replies import Lost, RawReply
from agent.venues.onchain.signer import SIGNATURE_HEADER, SignedBody

MAX_REPLY_BYTES = 1 << 20
"""The largest honest answer is a `eth_callBundle` result of 100 transactions, some tens of kilobytes."""
MAX_CONNECTIONS = 4
"""To one endpoint; BuilderNet allows 10."""


class Transport(Protocol):
    """A warm way to one endpoint."""

    async def open(self) -> None:
        """Connect ahead of need; called again, it mends what was lost. A failure is silent: `post` will say."""
        ...

    def post(self, request: SignedBody, *, timeout_ms: int) -> Awaitable[RawReply | Lost]:
        """Send these bytes once. Never raises for what the network or the peer do."""
        ...

    async def close(self) -> None: ...


class AiohttpTransport:
    """One aiohttp session to one endpoint."""

    def __init__(self, url: str) -> None:
        endpoint_address(url)
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session; aiohttp connects with the first request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=75),
                auto_decompress=False,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
            )

    async def post(self, request: SignedBody, *, timeout_ms: int) -> RawReply | Lost:
        await self.open()
        assert self._session is not None
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            SIGNATURE_HEADER: request.header,
        }
        timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        try:
            async with self._session.post(
                self._url, data=request.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_REPLY_BYTES:
                        return Lost(f"an answer of more than {MAX_REPLY_BYTES} bytes", was_written=True)
                return RawReply(response.status, response.headers.get("Content-Type", ""), bytes(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Lost(f"no connection: {type(error).__name__}", was_written=False)
        except TimeoutError:
            return Lost(f"no answer within {timeout_ms} ms", was_written=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Lost(f"the answer broke off: {type(error).__name__}", was_written=True)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
