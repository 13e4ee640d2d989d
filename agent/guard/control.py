"""The control socket: one line of JSON asks, one line answers. `status` and `halt`, and nothing that adds risk."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.guard.sockets import CONTROL_SOCKET, connect, credentials

LINE_BYTES_MAX = 4096
ANSWER_BYTES_MAX = 256 * 1024
CLIENTS_MAX = 8


class ControlClient:
    """One connection of a command. It is dropped when it says anything but one line, or too slowly."""

    def __init__(self, connection: socket.socket, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._answer = answer
        self._heard = b""
        self.is_done = credentials(connection).uid not in (0, os.geteuid())

    def fileno(self) -> int:
        return self._connection.fileno()

    def on_readable(self) -> None:
        try:
            chunk = self._connection.recv(LINE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._heard += chunk
        if b"\n" in self._heard:
            self._reply(self._heard.partition(b"\n")[0])
        elif not chunk or len(self._heard) > LINE_BYTES_MAX:
            self.is_done = True

    def _reply(self, line: bytes) -> None:
        self.is_done = True
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            asked = None
        reply = self._answer(asked) if isinstance(asked, dict) else {"error": "one object of JSON, please"}
        with contextlib.suppress(OSError):
            self._connection.send(json.dumps(reply).encode() + b"\n")

    def close(self) -> None:
        self._connection.close()


def ask(folder: Path, question: dict[str, Any], *, timeout_s: float = 1.0) -> dict[str, Any]:
    """Ask the guard of this folder. Raises OSError where none answers, ValueError where the answer is none."""
    connection = connect(folder, CONTROL_SOCKET, socket.SOCK_STREAM, timeout_s)
    with connection:
        connection.sendall(json.dumps(question).encode() + b"\n")
        heard = b""
        while not heard.endswith(b"\n") and len(heard) < ANSWER_BYTES_MAX:
            chunk = connection.recv(65_536)
            if not chunk:
                break
            heard += chunk
    answer = json.loads(heard)
    if not isinstance(answer, dict):
        raise ValueError("the guard's answer is no object")
    return answer
