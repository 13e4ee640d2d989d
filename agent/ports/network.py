"""WebSockets and HTTP as the venues see them: frames and answers, never sockets.

Callbacks instead of awaits on the WebSocket: what a frame causes is sent before the callback returns.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Protocol

import msgspec

from agent.errors import ProtocolError


class HandshakeRefused(ProtocolError):
    """The peer answered the opening of a WebSocket with an HTTP status other than 101."""

    def __init__(self, peer: str, status: int, retry_after_s: int | None = None) -> None:
        super().__init__(f"{peer} answers {status} instead of opening a WebSocket", peer=peer, code=f"E_HTTP_{status}")
        self.status = status
        self.retry_after_s = retry_after_s


class WebSocket(Protocol):
    """An open connection. None of the methods waits."""

    def send(self, data: bytes) -> bool:
        """Hand one text frame to the kernel. False is proof that no byte of it left; True is proof of nothing."""

    def close(self, code: int = 1000) -> None:
        """Say good-bye, then close."""

    def abort(self) -> None:
        """Close at once; what the kernel has not sent yet is thrown away."""


class WebSocketListener(Protocol):
    """Who is told. `on_close` is called once, and last; `code` is None where the connection just broke."""

    def on_frame(self, data: bytes) -> None: ...
    def on_close(self, code: int | None, reason: str) -> None: ...


class HttpAnswer(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Network(Protocol):
    """The way out to other machines."""

    async def open_websocket(
        self, url: str, *, headers: Mapping[str, str], listener: WebSocketListener, timeout_s: float
    ) -> WebSocket:
        """Raises HandshakeRefused (a ProtocolError with the HTTP status) or SetupError (unreachable, time-out)."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        """One request, never repeated. Raises OutcomeUnknown where it may have arrived, SetupError where it cannot."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, where plain text and a key may go together."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
