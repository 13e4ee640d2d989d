"""The network of this machine: picows for WebSockets, aiohttp for HTTP.

Theory of operation
-------------------
A killed process does not stop the bytes that the kernel has taken from it: thousands of orders have been seen to arrive
after their sender was gone. So a trading socket is set up to forget. `SO_LINGER` (1, 0) makes the kernel throw away
what is unsent when the process ends; `TCP_NOTSENT_LOWAT` keeps little there in the first place; `TCP_USER_TIMEOUT` gives
up a peer that acknowledges nothing. A good-bye on purpose lifts the first of them, or it would not be heard.

Proxies of the environment are not used and redirects are not followed: either would hand the key to another host.
Plain text is for this machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSHandshakeError

from agent.errors import OutcomeUnknown, SetupError
from agent.ports.network import HandshakeRefused, HttpAnswer, WebSocket, WebSocketListener, is_loopback

MESSAGE_BYTES_MAX = 1 << 20
ANSWER_BYTES_MAX = 8 << 20
WAITING_BYTES_MAX = 1 << 16
"""With more than this unsent in front of the kernel, nothing more is taken: it would arrive when it is worth nothing."""
_PING_AFTER_S = 10.0
_PONG_WITHIN_S = 5.0
_UNACKNOWLEDGED_MS = 5_000
_NOT_SENT_BYTES = 16_384
_LINGER_NOT = struct.pack("ii", 1, 0)
_LINGER_USUAL = struct.pack("ii", 0, 0)
_CONTROL_BYTES_MAX = 125
_TEXT = WSMsgType.TEXT

# What picows would log reaches the listener as its reason.
_silent = logging.getLogger("agent.ports.picows")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class RealNetwork:
    """The `Network` of this machine. `close` when done with it."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None

    async def open_websocket(
        self, url: str, *, headers: Mapping[str, str], listener: WebSocketListener, timeout_s: float
    ) -> WebSocket:
        host = safe_host(url, ("ws", "wss"))
        received = _Listener(listener)
        try:
            async with asyncio.timeout(timeout_s):
                transport, _ = await ws_connect(
                    lambda: received,
                    url,
                    extra_headers=dict(headers),
                    logger_name=_silent,
                    max_frame_size=MESSAGE_BYTES_MAX,
                    max_redirects=0,
                    proxy=None,
                    websocket_handshake_timeout=None,  # ours is the one that counts
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=_PING_AFTER_S,
                    auto_ping_reply_timeout=_PONG_WITHIN_S,
                )
        except WSHandshakeError as error:
            if error.response is None:
                raise SetupError(f"{host} did not open a WebSocket", where=host, hint="check the address") from None
            status = int(error.response.status)
            after = error.response.headers.get("Retry-After", "")
            raise HandshakeRefused(host, status, int(after) if after.isdecimal() and len(after) < 6 else None) from None
        except (OSError, WSError, TimeoutError) as error:
            what = str(error)[:200] or type(error).__name__
            raise SetupError(
                f"cannot reach {host}: {what}", where=host, hint="check the address and the network"
            ) from None
        return _Socket(transport)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_s: float
    ) -> HttpAnswer:
        host = safe_host(url, ("http", "https"))
        if self._http is None:
            self._http = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._http.request(
                method, url, headers=dict(headers), data=body or None, timeout=limit, allow_redirects=False
            ) as answer:
                content = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(content) <= ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                    content += more
                if len(content) > ANSWER_BYTES_MAX:
                    raise OutcomeUnknown(f"{host} answered with too many bytes", where=host)
                return HttpAnswer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, content)
        except aiohttp.ClientConnectorError as error:
            raise SetupError(f"cannot reach {host}: {error.os_error}", where=host, hint="check the address") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(f"no answer from {host}: {type(error).__name__}", where=host) from None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None


def safe_host(url: str, schemes: tuple[str, str]) -> str:
    """The host of a URL. SetupError for another scheme, and for plain text to another machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in schemes or not host or parts.username is not None:
        raise SetupError(f"not a URL of {' or '.join(schemes)}", where=host, hint="no user name stands in it, either")
    if parts.scheme == schemes[0] and not is_loopback(host):
        raise SetupError(
            f"{parts.scheme} to {host} would send the key as plain text",
            where=host,
            hint=f"use {schemes[1]}; plain text is for this machine alone",
        )
    return host


class _Socket:
    """An open connection, as `WebSocket`."""

    def __init__(self, transport: WSTransport) -> None:
        self._transport = transport
        self._waiting_bytes = transport.underlying_transport.get_write_buffer_size
        self._socket = transport.underlying_transport.get_extra_info("socket")

    def send(self, data: bytes) -> bool:
        transport = self._transport
        if transport.is_disconnected or self._waiting_bytes() > WAITING_BYTES_MAX:
            return False
        try:
            transport.send(_TEXT, data)
        except (WSError, OSError):
            return True  # bytes may have left before it; the close that follows says so
        return True

    def close(self, code: int = 1000) -> None:
        transport = self._transport
        if transport.is_disconnected:
            return
        with contextlib.suppress(WSError, OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_USUAL)
            transport.send_close(code)  # type: ignore[arg-type] # any code is a number on the wire
            transport.disconnect()

    def abort(self) -> None:
        self._transport.disconnect(graceful=False)


class _Listener(WSListener):
    """Puts fragments together, and tells of the end once."""

    def __init__(self, listener: WebSocketListener) -> None:
        super().__init__()
        self._listener = listener
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._code: int | None = None
        self._reason = ""
        self._is_told = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        # Here and not after the handshake's return: by then the peer may have closed it again.
        _set_options(transport.underlying_transport.get_extra_info("socket"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.payload_size > _CONTROL_BYTES_MAX and frame.fin and not self._fragments:
            self._arrived(transport, frame.get_payload_as_bytes())
            return
        kind = frame.msg_type
        if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY or kind is WSMsgType.CONTINUATION:
            self._fragments.append(frame.get_payload_as_bytes())
            self._fragment_bytes += frame.payload_size
            if self._fragment_bytes > MESSAGE_BYTES_MAX:
                self._reason = "a message of more than 1 MiB"
                transport.disconnect(graceful=False)
            elif frame.fin:
                message = b"".join(self._fragments)
                self._fragments.clear()
                self._fragment_bytes = 0
                self._arrived(transport, message)
        elif kind is WSMsgType.CLOSE:
            self._code = int(frame.get_close_code()) or None  # type: ignore[call-overload] # a number, for any code
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._is_told:
            self._is_told = True
            self._listener.on_close(self._code, self._reason)

    def _arrived(self, transport: WSTransport, message: bytes) -> None:
        try:
            self._listener.on_frame(message)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is passed on
            # A listener that fails must not go on, and must not fail in silence: picows would only log it.
            transport.disconnect(graceful=False)
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a frame's listener failed; its connection is closed", "exception": error}
            )


def _set_options(raw: socket.socket | None) -> None:
    if raw is None:
        return
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    for name, value in (("TCP_NOTSENT_LOWAT", _NOT_SENT_BYTES), ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS)):
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
