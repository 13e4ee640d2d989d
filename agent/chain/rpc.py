"""JSON-RPC over HTTP: one warm session per endpoint, whole batches, and errors that say what the peer did.

Whatever is not a JSON-RPC answer (HTML, nothing, too much, another id) is a ProtocolError; a request that may have
been carried out although no answer came is OutcomeUnknown, unless repeating it changes nothing: then it is repeated
once. After HTTP 429 the client keeps the pause that was asked for, by refusing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from agent.chain.client import (
    MAX_BATCH_BYTES,
    MAX_BATCH_MEMBERS,
    MAX_RESPONSE_BYTES,
    JsonRpcClient,
    Rpc,
    peer_name,
)
from agent.chain.jsonrpc import Request, RpcError
from agent.errors import AgentError, OutcomeUnknown, ProtocolError, RateLimited, SetupError
from agent.ports.clock import SYSTEM_CLOCK, Clock

__all__ = ["HttpRpc", "Request", "Rpc", "RpcError", "peer_name"]

DEFAULT_RETRY_AFTER_MS = 1_000
TIMEOUT_S = 30.0


class HttpRpc(JsonRpcClient):
    """A node behind an HTTP(S) URL."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        headers: dict[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise SetupError(f"not an HTTP URL: {peer_name(url)}", hint="a node's URL begins with http:// or https://")
        super().__init__(peer_name(url), max_batch_members=max_batch_members, max_batch_bytes=max_batch_bytes)
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._max_response_bytes = max_response_bytes
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"} | (headers or {})
        self._session: aiohttp.ClientSession | None = None
        self._clock = clock
        self._closed_until_ns = 0

    async def close(self) -> None:
        """Ends the session; safe to repeat."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, body: bytes, *, ids: Sequence[int], method: str, may_repeat: bool) -> bytes:
        wait_ns = self._closed_until_ns - self._clock.monotonic_ns()
        if wait_ns > 0:
            raise RateLimited(
                "the node asked for a pause that is not over",
                retry_after_ms=-(-wait_ns // 1_000_000),
                peer=self.peer,
                method=method,
            )
        try:
            return await self._post_once(body, method=method)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            # A kept-alive connection that the peer closed in the meantime fails like this on its next use.
            if isinstance(error, aiohttp.ClientConnectorError) or not may_repeat:
                raise self._failure(error, method=method, may_repeat=may_repeat) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._failure(error, method=method, may_repeat=may_repeat) from error
        try:
            return await self._post_once(body, method=method)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._failure(error, method=method, may_repeat=may_repeat) from error

    async def _post_once(self, body: bytes, *, method: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=60),
            )
        async with self._session.post(self._url, data=body, allow_redirects=False) as response:
            if response.status == 429:
                raise self._rate_limited(response.headers.get("Retry-After"), method=method)
            kind = response.headers.get("Content-Type", "")
            if "json" not in kind.lower():
                raise ProtocolError(
                    f"the node answered HTTP {response.status} with {kind or 'no content type'}, not JSON",
                    peer=self.peer,
                    method=method,
                    hint="is this URL a JSON-RPC endpoint, and is its key right?",
                )
            answer = await self._read(response, method=method)
            if response.status >= 400 and answer.lstrip()[:1] not in (b"{", b"["):
                raise ProtocolError(f"the node answered HTTP {response.status}", peer=self.peer, method=method)
            return answer

    async def _read(self, response: aiohttp.ClientResponse, *, method: str) -> bytes:
        chunks: list[bytes] = []
        size = response.content_length or 0
        total = 0
        while size <= self._max_response_bytes and total <= self._max_response_bytes:
            chunk = await response.content.readany()
            if not chunk:
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
            total += len(chunk)
            chunks.append(chunk)
        response.close()
        raise ProtocolError(
            f"the answer is larger than {self._max_response_bytes} bytes",
            peer=self.peer,
            method=method,
            hint="ask for less at a time, or use another node",
        )

    def _rate_limited(self, retry_after: str | None, *, method: str) -> RateLimited:
        seconds = retry_after.strip() if retry_after else ""
        wait_ms = (
            min(int(seconds), 3_600) * 1_000 if seconds.isascii() and seconds.isdigit() else DEFAULT_RETRY_AFTER_MS
        )
        self._closed_until_ns = self._clock.monotonic_ns() + wait_ms * 1_000_000
        return RateLimited("the node refuses so many requests", retry_after_ms=wait_ms, peer=self.peer, method=method)

    def _failure(self, error: Exception, *, method: str, may_repeat: bool) -> AgentError:
        if isinstance(error, TimeoutError):
            what = f"no answer within {self._timeout.total:g} s"
        elif isinstance(error, aiohttp.ClientConnectorError):
            return SetupError(
                f"cannot reach the node at {self.peer}: {error.os_error.strerror or error.os_error}",
                hint="check that the node runs and the URL is right",
            )
        else:
            what = f"the connection broke ({type(error).__name__})"
        if may_repeat:
            return ProtocolError(what, peer=self.peer, method=method, hint="check the node's load and the network")
        return OutcomeUnknown(f"{what}; the node may have carried out the request", where=f"{self.peer} {method}")
