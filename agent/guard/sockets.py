"""Sockets inside the guard's folder, by names of any length, and who stands at their other end."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

AGENT_SOCKET = "agent.sock"
CONTROL_SOCKET = "control.sock"
_CREDENTIALS = struct.Struct("=iii")


class Credentials(NamedTuple):
    """Of the process that made the connection, by the kernel's word."""

    pid: int
    uid: int


@contextlib.contextmanager
def short_name(folder: Path, name: str) -> Iterator[str]:
    """A path for bind and connect: those take 107 bytes, and folders of runs are deeper than that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listen(folder: Path, name: str, kind: socket.SocketKind) -> socket.socket:
    """Only the same user may connect. A socket left behind is replaced; the caller holds the folder's lock."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / name)
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with short_name(folder, name) as path:
            listener.bind(path)
        os.chmod(folder / name, 0o600)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(folder: Path, name: str, kind: socket.SocketKind, timeout_s: float) -> socket.socket:
    """Raises OSError where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        with short_name(folder, name) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def credentials(connection: socket.socket) -> Credentials:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return Credentials(pid, uid)
