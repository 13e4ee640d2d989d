"""One HTTP peer over one warm connection, by the standard library, with a bound on everything.

Each thread of the guard has its own: `http.client` is not made for two. A request on a connection that the peer closed
meanwhile is sent once more on a new one: everything the guard asks for may be asked twice.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class PeerFault(Exception):
    """No usable answer: unreachable, too slow, too long, or not what was asked for. The text holds no address."""


class Peer:
    """Speaks to the host of one URL; the URL's path stands before the path of each request."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = 1.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError("a peer's address begins with http:// or https:// and names a host")
        self.host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._query = parts.query
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Status and the decoded JSON of one request; None where the body is empty. Raises PeerFault."""
        headers = dict(self._headers)
        body = None
        if content is not None:
            body = json.dumps(content, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        status, raw = self._exchange(method, path, body, headers)
        if not raw.strip():
            return status, None
        try:
            # Amounts stay text: a float may not decide, not even in passing.
            return status, json.loads(raw, parse_float=str, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            if status >= 400:
                return status, None
            raise PeerFault(f"{self.host} answered something that is no JSON") from None

    def hand_in(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status that exactly these bytes are answered with. Raises PeerFault."""
        given = dict(self._headers) | {"Content-Type": "application/json"} | dict(headers)
        status, _ = self._exchange("POST", "", body, given)
        return status

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout_s
        target = self._prefix + path
        if self._query:
            target += ("&" if "?" in path else "?") + self._query
        try:
            reply = self._reply(method, target or "/", body, headers)
            raw = b""
            while chunk := reply.read(_CHUNK_BYTES):
                raw += chunk
                if len(raw) > ANSWER_BYTES_MAX:
                    raise PeerFault(f"{self.host} answers more than {ANSWER_BYTES_MAX} bytes")
                if time.monotonic() > deadline:
                    raise PeerFault(f"{self.host} answers too slowly")
            if reply.will_close:
                self.close()
            return reply.status, raw
        except PeerFault:
            self.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise PeerFault(f"{self.host}: {type(error).__name__}") from None

    def _reply(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        was_open = self._connection is not None
        try:
            connection = self._connected()
            connection.request(method, target, body=body, headers=headers)
            return connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
            if not was_open:
                raise
            self.close()
        connection = self._connected()
        connection.request(method, target, body=body, headers=headers)
        return connection.getresponse()

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(
                    self.host, self._port, timeout=self._timeout_s, context=self._tls
                )
            else:
                self._connection = http.client.HTTPConnection(self.host, self._port, timeout=self._timeout_s)
        return self._connection

    def close(self) -> None:
        """The next request opens a new connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
