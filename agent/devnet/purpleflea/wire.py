"""The seam between what the venue says and what the clients get: here faults are put in."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

_encode = msgspec.json.Encoder().encode


class Transport(Protocol):
    """Sockets, real or not. None of the methods waits."""

    def send(self, conn_id: int, data: bytes) -> None: ...
    def close(self, conn_id: int, code: int, reason: str) -> None: ...
    def abort(self, conn_id: int) -> None: ...


class Wire:
    """The honest wire: everything arrives as it was said."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(self, conn_id: int, frame: dict[str, Any]) -> None:
        self._transport.send(conn_id, _encode(frame))

    def close(self, conn_id: int, code: int, reason: str) -> None:
        self._transport.close(conn_id, code, reason)

    def abort(self, conn_id: int) -> None:
        self._transport.abort(conn_id)
