"""What every JSON-RPC client does the same, whatever carries the bytes: ids, batches, splitting, typed answers.

A transport implements `_exchange`: bytes of one request (or one batch) out, bytes of its answer back.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

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

MAX_RESPONSE_BYTES = 64 << 20
"""A block with full transactions and traces stays below 20 MB; more is a peer gone wrong."""
MAX_BATCH_BYTES = 1 << 20
"""Nodes refuse bodies from 2 MB (anvil) or 5 MB (geth) on."""
MAX_BATCH_MEMBERS = 100
"""Hosted nodes refuse batches beyond 100 (some 1,000) members."""
_NO_ANSWER = -32000


class Rpc(Protocol):
    """What the rest of the agent needs of a node; HTTP, WebSocket and IPC offer the same."""

    @property
    def peer(self) -> str:
        """The node's name in messages: never more of a URL than scheme, host and port."""
        ...

    async def call(
        self, method: str, params: Sequence[Any] = (), *, decoder: msgspec.json.Decoder[Any] | None = None
    ) -> Any: ...
    async def batch(self, calls: Sequence[Request]) -> list[Any | RpcError]: ...
    async def close(self) -> None: ...


class Member(NamedTuple):
    """One request, encoded."""

    id: int
    method: str
    encoded: bytes


def peer_name(url: str) -> str:
    """Scheme, host and port of a URL: all of it that may be shown, as path and query often hold an access key."""
    parts = urlsplit(url)
    if not parts.hostname:
        return parts.scheme or "ipc"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class JsonRpcClient(abc.ABC):
    """The common half of the clients. Safe for concurrent use within one event loop."""

    def __init__(
        self,
        peer: str,
        *,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> None:
        self.peer = peer
        self._max_batch_members = max_batch_members
        self._max_batch_bytes = max_batch_bytes
        self._ids = itertools.count(1)

    async def call(
        self, method: str, params: Sequence[Any] = (), *, decoder: msgspec.json.Decoder[Any] | None = None
    ) -> Any:
        """The result of one request, typed by `decoder` where given; raises RpcError when the node says error."""
        request_id = next(self._ids)
        encoded = encode_request(request_id, method, params)
        body = await self._exchange(encoded, ids=(request_id,), method=method, may_repeat=is_read(method))
        raw = decode_one(body, request_id, peer=self.peer, method=method)
        if decoder is None:
            return decode_result(raw, peer=self.peer, method=method)
        return decode_result(raw, peer=self.peer, method=method, decoder=decoder)

    async def batch(self, calls: Sequence[Request]) -> list[Any | RpcError]:
        """The results in the order asked; a member that failed is its RpcError. Split to what nodes accept."""
        answers: list[msgspec.Raw | RpcError] = []
        for part in self._parts(calls):
            answers += await self._batch(part)
        return [
            answer if isinstance(answer, RpcError) else decode_result(answer, peer=self.peer, method=method)
            for answer, (method, _) in zip(answers, calls, strict=True)
        ]

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends the connection; safe to repeat."""

    @abc.abstractmethod
    async def _exchange(self, body: bytes, *, ids: Sequence[int], method: str, may_repeat: bool) -> bytes: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _parts(self, calls: Sequence[Request]) -> list[list[Member]]:
        parts: list[list[Member]] = []
        room = 0
        for method, params in calls:
            request_id = next(self._ids)
            encoded = encode_request(request_id, method, params)
            if not parts or len(parts[-1]) >= self._max_batch_members or room < len(encoded):
                parts.append([])
                room = self._max_batch_bytes
            parts[-1].append(Member(request_id, method, encoded))
            room -= len(encoded) + 1
        return parts

    async def _batch(self, members: list[Member]) -> list[msgspec.Raw | RpcError]:
        if len(members) == 1:
            return [await self._single(members[0])]
        methods = {member.id: member.method for member in members}
        may_repeat = all(is_read(member.method) for member in members)
        body = await self._exchange(
            join_batch([member.encoded for member in members]),
            ids=tuple(methods),
            method=f"batch of {len(members)}",
            may_repeat=may_repeat,
        )
        answers = decode_batch(body, methods, peer=self.peer)
        if isinstance(answers, RpcError):
            if not may_repeat:
                raise answers
            half = len(members) // 2
            return await self._batch(members[:half]) + await self._batch(members[half:])
        results: list[msgspec.Raw | RpcError] = []
        for member in members:
            answer = answers.get(member.id)
            if answer is None and may_repeat:
                answer = await self._single(member)
            elif answer is None:
                answer = RpcError("no answer in the batch", rpc_code=_NO_ANSWER, peer=self.peer, method=member.method)
            results.append(answer)
        return results

    async def _single(self, member: Member) -> msgspec.Raw | RpcError:
        body = await self._exchange(
            member.encoded, ids=(member.id,), method=member.method, may_repeat=is_read(member.method)
        )
        try:
            return decode_one(body, member.id, peer=self.peer, method=member.method)
        except RpcError as error:
            return error
