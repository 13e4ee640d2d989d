"""JSON-RPC over HTTP: one warm session per endpoint, whole batches, and errors that say what the peer did.

Whatever is not a JSON-RPC answer (HTML, nothing, too much, another id) is a ProtocolError; a request that may have
been carried out although no answer came is OutcomeUnknown, unless repeating it changes nothing: then it is repeated
once. The path and query of a URL often hold an access key, so errors name scheme, host and port alone.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec

from agent.chain.jsonrpc import (
    Request,
    RpcError,
    decode_batch,
    decode_one,
    decode_result,
    encode_request,
    is_read,
    join_batch,
)
from agent.errors import AgentError, OutcomeUnknown, ProtocolError, RateLimited, SetupError

__all__ = ["HttpRpc", "Request", "Rpc", "RpcError", "peer_name"]

MAX_RESPONSE_BYTES = 64 << 20
"""A block with full transactions and traces stays below 20 MB; more is a peer gone wrong."""
MAX_BATCH_BYTES = 1 << 20
"""Nodes refuse bodies from 2 MB (anvil) or 5 MB (geth) on."""
MAX_BATCH_MEMBERS = 100
"""Hosted nodes refuse batches beyond 100 (some 1,000) members."""
DEFAULT_RETRY_AFTER_MS = 1_000
TIMEOUT_S = 30.0
_NO_ANSWER = -32000


class Rpc(Protocol):
    """What the rest of the agent needs of a node; HTTP, WebSocket and IPC offer the same."""

    @property
    def peer(self) -> str: ...
    async def call(self, method: str, params: Sequence[Any] = ()) -> Any: ...
    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]: ...
    async def close(self) -> None: ...


def peer_name(url: str) -> str:
    """Scheme, host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    if not parts.hostname:
        return parts.scheme or "ipc"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class HttpRpc:
    """A node behind an HTTP(S) URL. Safe for concurrent use within one event loop."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        headers: dict[str, str] | None = None,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise SetupError(f"not an HTTP URL: {peer_name(url)}", hint="a node's URL begins with http:// or https://")
        self.peer = peer_name(url)
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._max_response_bytes = max_response_bytes
        self._max_batch_members = max_batch_members
        self._max_batch_bytes = max_batch_bytes
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"} | (headers or {})
        self._ids = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None
        self._closed_until_ns = 0

    async def call(
        self, method: str, params: Sequence[Any] = (), *, decoder: msgspec.json.Decoder[Any] | None = None
    ) -> Any:
        """The result of one request, typed by `decoder` where given; raises RpcError when the node says error."""
        request_id = next(self._ids)
        body = await self._post(encode_request(request_id, method, params), method=method, may_repeat=is_read(method))
        raw = decode_one(body, request_id, peer=self.peer, method=method)
        if decoder is None:
            return decode_result(raw, peer=self.peer, method=method)
        return decode_result(raw, peer=self.peer, method=method, decoder=decoder)

    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        """The results in the order asked; a member that failed is its RpcError. Split to what nodes accept."""
        results: list[Any | RpcError] = []
        for part in self._parts(requests):
            results += await self._batch(part)
        return results

    async def close(self) -> None:
        """Ends the session; safe to repeat."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> HttpRpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _parts(self, requests: Sequence[Request]) -> list[list[tuple[int, str, bytes]]]:
        parts: list[list[tuple[int, str, bytes]]] = []
        room = 0
        for method, params in requests:
            request_id = next(self._ids)
            encoded = encode_request(request_id, method, params)
            if not parts or len(parts[-1]) >= self._max_batch_members or room < len(encoded):
                parts.append([])
                room = self._max_batch_bytes
            parts[-1].append((request_id, method, encoded))
            room -= len(encoded) + 1
        return parts

    async def _batch(self, members: list[tuple[int, str, bytes]]) -> list[Any | RpcError]:
        methods = {request_id: method for request_id, method, _ in members}
        may_repeat = all(is_read(method) for method in methods.values())
        if len(members) == 1:
            return [await self._single(members[0])]
        body = await self._post(
            join_batch([encoded for _, _, encoded in members]), method=f"batch of {len(members)}", may_repeat=may_repeat
        )
        answers = decode_batch(body, methods, peer=self.peer)
        if isinstance(answers, RpcError):
            if not may_repeat:
                raise answers
            half = len(members) // 2
            return await self._batch(members[:half]) + await self._batch(members[half:])
        results: list[Any | RpcError] = []
        for member in members:
            request_id, method, _ = member
            answer = answers.get(request_id)
            if answer is None and may_repeat:
                results.append(await self._single(member))
            elif answer is None:
                results.append(RpcError("no answer in the batch", rpc_code=_NO_ANSWER, peer=self.peer, method=method))
            elif isinstance(answer, RpcError):
                results.append(answer)
            else:
                results.append(decode_result(answer, peer=self.peer, method=method))
        return results

    async def _single(self, member: tuple[int, str, bytes]) -> Any | RpcError:
        request_id, method, encoded = member
        body = await self._post(encoded, method=method, may_repeat=is_read(method))
        try:
            return decode_result(
                decode_one(body, request_id, peer=self.peer, method=method), peer=self.peer, method=method
            )
        except RpcError as error:
            return error

    async def _post(self, body: bytes, *, method: str, may_repeat: bool) -> bytes:
        wait_ns = self._closed_until_ns - time.monotonic_ns()
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
                    f"the node answered HTTP {response.status} with {kind.split(';')[0] or 'no content type'}, not JSON",
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
        self._closed_until_ns = time.monotonic_ns() + wait_ms * 1_000_000
        return RateLimited("the node refuses so many requests", retry_after_ms=wait_ms, peer=self.peer, method=method)

    def _failure(self, error: Exception, *, method: str, may_repeat: bool) -> AgentError:
        if isinstance(error, asyncio.TimeoutError):
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
