"""JSON-RPC over a Unix socket: a third of the cost of HTTP, and nobody else can reach it.

Requests are pipelined and answers matched by id; the wire is one JSON text a line. Anvil carries out pipelined
requests *in any order*, and members of a batch in order only up to 30 of them (it joins more by another route):
where order matters, wait for the answer, or use `ordered`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from agent.chain.jsonrpc import Request, RpcError, encode_request, join_batch
from agent.errors import ProtocolError

ORDERED_BATCH_MAX = 30

_NO_CODE = -32603


class _ErrorObject(msgspec.Struct):
    code: int = _NO_CODE
    message: str = ""
    data: Any = None


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _ErrorObject | None = None


_decode_one = msgspec.json.Decoder(_Answer).decode
_decode_many = msgspec.json.Decoder(list[_Answer]).decode
_decode_result = msgspec.json.Decoder().decode


class IpcRpc(asyncio.Protocol):
    """A connection that offers what `agent.chain.rpc.Rpc` asks for. One event loop only."""

    def __init__(self, *, peer: str = "anvil") -> None:
        self.peer = peer
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, tuple[str, asyncio.Future[msgspec.Raw]]] = {}
        self._parts: list[bytes] = []
        self._last_id = 0

    @classmethod
    async def open(cls, path: str, *, peer: str = "anvil") -> IpcRpc:
        """Connect; OSError when nobody listens there."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(lambda: cls(peer=peer), path)
        return connection

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Result of one request; RpcError when the node says no, ProtocolError when it has gone."""
        return _decode_result(await self.call_raw(method, params))

    async def call_raw(self, method: str, params: Sequence[Any] = ()) -> msgspec.Raw:
        """Like `call`, the result as the node's own JSON text."""
        request_id, future = self._expect(method)
        self._write(encode_request(request_id, method, params))
        return await future

    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        """The results in the order asked; a member that failed is its RpcError. Execution order is the node's."""
        if not requests:
            return []
        expected = [self._expect(method) for method, _ in requests]
        members = [encode_request(number, *request) for (number, _), request in zip(expected, requests, strict=True)]
        self._write(join_batch(members))
        outcomes = await asyncio.gather(*(future for _, future in expected), return_exceptions=True)
        results: list[Any | RpcError] = []
        for outcome in outcomes:
            if isinstance(outcome, RpcError):
                results.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                results.append(_decode_result(outcome))
        return results

    async def ordered(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        """Like `batch`, carried out one after the other."""
        results: list[Any | RpcError] = []
        for start in range(0, len(requests), ORDERED_BATCH_MAX):
            results += await self.batch(requests[start : start + ORDERED_BATCH_MAX])
        return results

    async def close(self) -> None:
        self.close_now()

    def close_now(self) -> None:
        """Drop the connection; whoever still waits gets a ProtocolError."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's is one without being an asyncio.Transport

    def data_received(self, data: bytes) -> None:
        if b"\n" not in data:
            self._parts.append(data)
            return
        *lines, rest = (b"".join(self._parts) + data).split(b"\n")
        self._parts = [rest] if rest else []
        for line in lines:
            if line.startswith(b"["):
                for answer in _decode_many(line):
                    self._settle(answer)
            elif line:
                self._settle(_decode_one(line))

    def connection_lost(self, exc: Exception | None) -> None:
        pending, self._pending = self._pending, {}
        for method, future in pending.values():
            if not future.done():
                future.set_exception(ProtocolError(f"{self.peer} closed the connection", peer=self.peer, method=method))

    def _expect(self, method: str) -> tuple[int, asyncio.Future[msgspec.Raw]]:
        if self._transport is None or self._transport.is_closing():
            raise ProtocolError(f"the connection to {self.peer} is closed", peer=self.peer, method=method)
        self._last_id += 1
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._pending[self._last_id] = (method, future)
        return self._last_id, future

    def _write(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(body + b"\n")

    def _settle(self, answer: _Answer) -> None:
        if answer.id is None or (waiting := self._pending.pop(answer.id, None)) is None:
            return
        method, future = waiting
        if future.done():  # its caller was cancelled
            return
        if (error := answer.error) is None:
            future.set_result(answer.result)
        else:
            future.set_exception(
                RpcError(error.message, rpc_code=error.code, data=error.data, peer=self.peer, method=method)
            )
