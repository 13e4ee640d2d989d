"""JSON-RPC over a node's Unix socket: the same machine, the fewest microseconds.

Nodes end each message with a newline (geth, reth, anvil: executed or read), and JSON text of theirs holds none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.chain.client import MAX_BATCH_BYTES, MAX_BATCH_MEMBERS, MAX_RESPONSE_BYTES
from agent.chain.stream import StreamRpc
from agent.errors import SetupError

TIMEOUT_S = 30.0


class IpcRpc(StreamRpc):
    """A node behind a Unix socket. Open with `IpcRpc.connect`."""

    def __init__(
        self, path: str, *, timeout_s: float, max_message_bytes: int, max_members: int, max_bytes: int
    ) -> None:
        super().__init__(
            f"ipc:{Path(path).name}", timeout_s=timeout_s, max_batch_members=max_members, max_batch_bytes=max_bytes
        )
        self._max_message_bytes = max_message_bytes
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(
        cls,
        path: str,
        *,
        timeout_s: float = TIMEOUT_S,
        max_message_bytes: int = MAX_RESPONSE_BYTES,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> IpcRpc:
        """An open connection; SetupError where nobody listens."""
        rpc = cls(
            path,
            timeout_s=timeout_s,
            max_message_bytes=max_message_bytes,
            max_members=max_batch_members,
            max_bytes=max_batch_bytes,
        )
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _Lines(rpc), path)
        except OSError as error:
            raise SetupError(
                f"cannot open the node's socket {path}: {error.strerror or error}",
                hint="check that the node runs with IPC on, and that this user may read the socket",
            ) from error
        return rpc

    def _write(self, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("not open")
        self._transport.write(body + b"\n")

    async def _shut(self) -> None:
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


class _Lines(asyncio.Protocol):
    def __init__(self, rpc: IpcRpc) -> None:
        self._rpc = rpc
        self._parts: list[bytes] = []
        self._held_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._rpc._transport = transport  # type: ignore[assignment] # a stream's transport is one

    def data_received(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._parts:
                line = b"".join((*self._parts, line))
                self._parts.clear()
                self._held_bytes = 0
            if line:
                self._rpc._message_arrived(line)
        if rest:
            self._parts.append(rest)
            self._held_bytes += len(rest)
            if self._held_bytes > self._rpc._max_message_bytes:
                self._rpc._connection_ended(f"a message of more than {self._rpc._max_message_bytes} bytes")
                self._rpc._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rpc._connection_ended("the socket was closed")
