"""JSON-RPC over a WebSocket: picows, whose frames arrive as a synchronous call.

Dead peers are noticed in three ways: the close of the socket, a ping without pong, and TCP_USER_TIMEOUT for bytes
that nobody acknowledges. Compression is off: inflating costs more than decoding.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from urllib.parse import urlsplit

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from agent.chain.client import MAX_BATCH_BYTES, MAX_BATCH_MEMBERS, MAX_RESPONSE_BYTES, peer_name
from agent.chain.stream import StreamRpc
from agent.errors import SetupError

TIMEOUT_S = 30.0
PING_AFTER_S = 5.0
PONG_WITHIN_S = 5.0
_UNACKNOWLEDGED_MS = 10_000
_READ_BYTES = 1 << 16
"""A burst is read in larger pieces than the default 16 kB: 6 % less time for each of its messages."""
_SOCKET_BYTES = 1 << 18
"""The kernel holds twice as much. A burst then comes in pieces that are still in the processor's cache when their reader
gets to them, instead of in one of megabytes: 7 % less time for each message. Over 100 ms it lets 5 MB/s through."""
_CONTROL_BYTES_MAX = 125
"""RFC 6455, 5.5: no control frame is longer."""

# What picows would log reaches our callers as the reason of `wait_closed`; its text stays off the user's terminal.
_silent = logging.getLogger("agent.chain.picows")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class WsRpc(StreamRpc):
    """A node behind a ws:// or wss:// URL. Open with `WsRpc.connect`."""

    def __init__(
        self, peer: str, *, timeout_s: float, max_message_bytes: int, max_members: int, max_bytes: int
    ) -> None:
        super().__init__(peer, timeout_s=timeout_s, max_batch_members=max_members, max_batch_bytes=max_bytes)
        self._max_message_bytes = max_message_bytes
        self._transport: WSTransport | None = None

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        max_message_bytes: int = MAX_RESPONSE_BYTES,
        max_batch_members: int = MAX_BATCH_MEMBERS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
    ) -> WsRpc:
        """A connection that has passed its handshake; SetupError where the node cannot be reached so."""
        peer = peer_name(url)
        if urlsplit(url).scheme not in ("ws", "wss"):
            raise SetupError(f"not a WebSocket URL: {peer}", hint="a WebSocket URL begins with ws:// or wss://")
        rpc = cls(
            peer,
            timeout_s=timeout_s,
            max_message_bytes=max_message_bytes,
            max_members=max_batch_members,
            max_bytes=max_batch_bytes,
        )
        try:
            async with asyncio.timeout(timeout_s):
                transport, _ = await ws_connect(
                    lambda: _Listener(rpc),
                    url,
                    logger_name=_silent,
                    max_frame_size=max_message_bytes,
                    read_buffer_init_size=_READ_BYTES,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=PING_AFTER_S,
                    auto_ping_reply_timeout=PONG_WITHIN_S,
                )
                _set_socket(transport)
        except (OSError, WSError, TimeoutError) as error:
            is_gone = isinstance(error, OSError) and error.errno == errno.EBADF
            what = "it closed the connection at once" if is_gone else str(error)[:200] or type(error).__name__
            raise SetupError(
                f"cannot open a WebSocket to the node at {peer}: {what}",
                hint="check that the node runs, offers WebSocket, and that the URL and its key are right",
            ) from error
        rpc._transport = transport
        return rpc

    def _write(self, body: bytes) -> None:
        if self._transport is None:
            raise ConnectionError("not open")
        self._transport.send(WSMsgType.TEXT, body)

    async def _shut(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.disconnect()
            with contextlib.suppress(WSError, OSError):  # it had ended otherwise; the reason is recorded
                await transport.wait_disconnected()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


class _Listener(WSListener):
    """Puts fragments together and hands whole messages on."""

    def __init__(self, rpc: WsRpc) -> None:
        super().__init__()
        self._rpc = rpc
        self._arrived = rpc._message_arrived
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.payload_size > _CONTROL_BYTES_MAX and frame.fin and not self._fragments:
            self._arrived(frame.get_payload_as_bytes())  # nearly every frame; asking for its kind costs as much again
            return
        kind = frame.msg_type
        if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY or kind is WSMsgType.CONTINUATION:
            if frame.fin and not self._fragments:
                self._arrived(frame.get_payload_as_bytes())
            else:
                self._fragment(transport, frame)
        elif kind is WSMsgType.CLOSE:
            self._rpc._connection_ended(f"the node closed it ({frame.get_close_code()})")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._rpc._connection_ended("the socket was closed")

    def _fragment(self, transport: WSTransport, frame: WSFrame) -> None:
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragment_bytes += frame.payload_size
        if self._fragment_bytes > self._rpc._max_message_bytes:
            self._rpc._connection_ended(f"a message of more than {self._rpc._max_message_bytes} bytes")
            transport.disconnect(graceful=False)
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            self._fragment_bytes = 0
            self._arrived(message)


def _set_socket(transport: WSTransport) -> None:
    raw = transport.underlying_transport.get_extra_info("socket")
    if raw is None:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
