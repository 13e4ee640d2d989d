"""A wire on loopback that can be cut: bytes go through until then, and after it nothing comes, nor is anything closed.

So a cut network looks: no reset, no end of the stream, only silence.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

_CHUNK_BYTES = 65_536


class CutWire:
    """Forwards every connection to one address. An async context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._is_cut = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def cut(self) -> None:
        """From here on nothing goes through, in either direction."""
        self._is_cut = True

    async def __aenter__(self) -> CutWire:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._is_cut:
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._is_cut:
                    return
                writer.write(data)
                await writer.drain()
        if not self._is_cut:
            writer.close()
