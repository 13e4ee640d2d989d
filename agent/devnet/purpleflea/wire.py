"""The seam between what the venue says and what the clients get: here faults are put in."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

_encode = msgspec.json.Encoder().encode


class Transport(Protocol):
    """Sockets, real or not. None of the methods waits, and a connection that is gone is no error."""

    def send(self, conn_id: int, data: bytes) -> None: ...
    def close(self, conn_id: int, code: int, reason: str) -> None: ...
    def abort(self, conn_id: int) -> None: ...
    def stall(self, conn_id: int, *, is_reading_too: bool) -> None: ...
    def resume(self, conn_id: int) -> None: ...


class Wire:
    """The honest wire: everything arrives as it was said."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(self, conn_id: int, frame: dict[str, Any]) -> None:
        """Encode a frame and hand it over."""
        self.transport.send(conn_id, _encode(frame))

    def put(self, conn_id: int, data: bytes) -> None:
        """Hand over bytes as they are."""
        self.transport.send(conn_id, data)

    def alter(self, account: str, frame: dict[str, Any]) -> dict[str, Any] | None:
        """The frame as an HTTP answer tells it; None where no answer comes."""
        return frame

    def close(self, conn_id: int, code: int, reason: str) -> None:
        self.transport.close(conn_id, code, reason)

    def abort(self, conn_id: int) -> None:
        self.transport.abort(conn_id)
