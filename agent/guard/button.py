"""The button: an HTTP door on loopback that stops everything, for who has the token of a file of the guard's user.

    curl -X POST -H "Authorization: Bearer $(cat button.token)" http://127.0.0.1:PORT/halt

Theory of operation. Any program of the machine may connect, so nobody may keep the guard busy: a request is short and
whole within two seconds, so many connections stand at a time, and the oldest makes room for a new one. Nothing is done but
to halt, and nothing is told to who has no token. A page in a browser cannot push it: it would have to send a header that
no form sends, and a name for this machine that is not loopback's is refused.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REQUEST_BYTES_MAX = 4_096
CLIENTS_MAX = 8
SLOW_NS = 2_000_000_000
ADDRESS_FILE = "button.json"
_HOSTS = ("127.0.0.1", "localhost")
_WORDS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
}

Push = Callable[[str], dict[str, Any]]
"""Halts, for a reason; what became of it."""


class Button:
    """The listener and its connections. Every method is called by the loop's thread; none waits."""

    def __init__(self, port: int, token: str, push: Push) -> None:
        """Raises OSError where the port cannot be had. Port 0: any."""
        self._token = token.encode()
        self._push = push
        self._clients: list[_Client] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/halt"

    def descriptors(self) -> Iterator[int]:
        yield self._listener.fileno()
        yield from (client.connection.fileno() for client in self._clients)

    def on_ready(self, ready: set[int]) -> None:
        """Take in what has come, answer what is whole, let go of what is slow."""
        now_ns = time.monotonic_ns()
        for client in self._clients:
            if client.connection.fileno() in ready:
                self._hear(client)
            if not client.is_done and now_ns - client.since_ns > SLOW_NS:
                client.is_done = True
        if self._listener.fileno() in ready:
            self._accept(now_ns)
        for client in self._clients:
            if client.is_done:
                client.connection.close()
        self._clients = [client for client in self._clients if not client.is_done]

    def close(self) -> None:
        for client in self._clients:
            client.connection.close()
        self._listener.close()

    def _accept(self, now_ns: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(CLIENTS_MAX):
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                standing = [client for client in self._clients if not client.is_done]
                if len(standing) >= CLIENTS_MAX:
                    standing[0].is_done = True
                self._clients.append(_Client(connection, now_ns))

    def _hear(self, client: _Client) -> None:
        try:
            chunk = client.connection.recv(REQUEST_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        client.heard += chunk
        status = self._status(client.heard)
        if status is None and chunk:
            return
        content = self._content(status, client.heard)
        body = json.dumps(content).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status or 400} {_WORDS[status or 400]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.connection.send(head.encode() + body)
            client.connection.shutdown(socket.SHUT_WR)
        client.is_done = True

    def _status(self, heard: bytes) -> int | None:
        """The answer to a request; None while its end has not come."""
        if len(heard) > REQUEST_BYTES_MAX:
            return 413
        head, is_whole, body = heard.partition(b"\r\n\r\n")
        if not is_whole:
            return None
        line, *fields = head.split(b"\r\n")
        words = line.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return 400
        headers: dict[str, str] = {}
        for field in fields:
            name, colon, value = field.partition(b":")
            if not colon or name.lower().decode("latin-1") in headers:
                return 400
            headers[name.lower().decode("latin-1")] = value.strip().decode("latin-1")
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isascii() or not length.isdecimal() or len(length) > 6:
            return 400
        if len(head) + int(length) > REQUEST_BYTES_MAX:
            return 413
        if headers.get("host", "").partition(":")[0] not in _HOSTS or "origin" in headers:
            return 403
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._token):
            return 401
        if words[1] != b"/halt":
            return 404
        if words[0] != b"POST":
            return 405
        return None if len(body) < int(length) else 200

    def _content(self, status: int | None, heard: bytes) -> dict[str, Any]:
        if status != 200:
            return {"error": _WORDS[status or 400].lower()}
        reason = heard.partition(b"\r\n\r\n")[2][:400].decode("utf-8", "replace")
        return self._push("".join(letter for letter in reason if letter.isprintable()).strip())


class _Client:
    def __init__(self, connection: socket.socket, since_ns: int) -> None:
        self.connection = connection
        self.since_ns = since_ns
        self.heard = b""
        self.is_done = False


def open_button(folder: Path, port: int, token: str, push: Push) -> tuple[Button | None, str]:
    """The button, its address written into the folder; or why there is none, which stops nobody else."""
    try:
        button = Button(port, token, push)
    except OSError as error:
        with contextlib.suppress(OSError):
            (folder / ADDRESS_FILE).unlink()
        return None, os.strerror(error.errno) if error.errno else type(error).__name__
    with contextlib.suppress(OSError):
        (folder / ADDRESS_FILE).write_text(json.dumps({"url": button.url}))
    return button, ""
