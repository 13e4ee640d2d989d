"""Cutting a process off: its TCP connections are destroyed in the kernel, with whatever is queued in them.

Theory of operation. A killed process's bytes may still leave: the kernel sends what it holds. Linux can be told, over the
socket-diagnosis netlink, to destroy a connection: the peer gets a reset and the queue is thrown away. A process's sockets
are known by the inodes of its open files, a connection by the cookie the kernel gave it, which never comes to mean another
one. So the process is stopped, its connections are looked up and destroyed, and then it is killed.

It needs CAP_NET_ADMIN, the agent's network namespace, and leave to see the agent's open files. Whether that is so is tried
at the guard's start, on a connection of its own; where it is not, the guard says so, and the rest goes on without it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_HEAD = struct.Struct("=IHHII")
_ASK = struct.Struct("=BBBBI")
_MESSAGE = struct.Struct("=BBBB48sIIIII")
_RESULT = struct.Struct("=i")
_LISTEN, _TIME_WAIT, _CLOSE = 10, 6, 7
_STATES = 0xFFF & ~(1 << _LISTEN | 1 << _TIME_WAIT | 1 << _CLOSE)
_WAIT_S = 0.1
"""The kernel answers at once; a guard that waited for it longer would be late for everything else."""
_RECEIVE_BYTES = 256 * 1024


class Connection(NamedTuple):
    """A TCP connection as the kernel names it: addresses, ports and cookie, packed."""

    family: int
    id: bytes


class Cutter:
    """`why_not` is empty where connections can be destroyed here."""

    def __init__(self) -> None:
        self.why_not = _why_not()

    def connections_of(self, pid: int) -> list[Connection]:
        """What the process has open. Raises OSError where its files cannot be seen."""
        inodes = set(_socket_inodes(pid))
        if not inodes:
            return []
        with _netlink() as link:
            return [connection for connection, inode in _dump(link) if inode in inodes]

    def destroy(self, connections: list[Connection]) -> None:
        """Raises OSError for what is still there and cannot be destroyed."""
        failure: OSError | None = None
        with _netlink() as link:
            for connection in connections:
                try:
                    _destroy(link, connection)
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        failure = error
        if failure is not None:
            raise failure

    def left(self, connections: list[Connection]) -> int:
        """How many of them there still are, by the kernel's list. Raises OSError."""
        if not connections:
            return 0
        with _netlink() as link:
            standing = {connection for connection, _ in _dump(link)}
        return len(standing & set(connections))


def _why_not() -> str:
    """Destroy a connection of our own, and see that it is gone."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.socket()
            near.settimeout(_WAIT_S)
            near.connect(listener.getsockname())
            far, _ = listener.accept()
        with near, far:
            inode = os.fstat(near.fileno()).st_ino
            with _netlink() as link:
                found = [connection for connection, number in _dump(link) if number == inode]
                if not found:
                    return "the kernel does not list our own connection"
                _destroy(link, found[0])
            try:
                near.send(b"x")
            except OSError:
                return ""
            return "a destroyed connection still takes bytes"
    except PermissionError:
        return "not permitted: it needs CAP_NET_ADMIN"
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT):
            return "this kernel cannot destroy connections"
        return f"the kernel refuses: {os.strerror(error.errno) if error.errno else type(error).__name__}"


def _socket_inodes(pid: int) -> Iterator[int]:
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{folder}/{name}")
            if target.startswith("socket:["):
                yield int(target[8:-1])


@contextlib.contextmanager
def _netlink() -> Iterator[socket.socket]:
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    with link:
        link.settimeout(_WAIT_S)
        yield link


def _dump(link: socket.socket) -> Iterator[tuple[Connection, int]]:
    """Every TCP connection with the inode of its file; 0 where no process has it open."""
    for family in (socket.AF_INET, socket.AF_INET6):
        ask = _ASK.pack(family, socket.IPPROTO_TCP, 0, 0, _STATES) + bytes(48)
        link.send(_HEAD.pack(_HEAD.size + len(ask), _BY_FAMILY, _REQUEST | _DUMP, 1, 0) + ask)
        is_done = False
        while not is_done:
            for kind, body in _messages(link.recv(_RECEIVE_BYTES)):
                if kind == _DONE:
                    is_done = True
                elif kind == _ERROR:
                    _raise(body)
                    is_done = True
                elif kind == _BY_FAMILY and len(body) >= _MESSAGE.size:
                    fields = _MESSAGE.unpack_from(body)
                    yield Connection(fields[0], fields[4]), fields[9]


def _destroy(link: socket.socket, connection: Connection) -> None:
    ask = _ASK.pack(connection.family, socket.IPPROTO_TCP, 0, 0, _STATES) + connection.id
    link.send(_HEAD.pack(_HEAD.size + len(ask), _DESTROY, _REQUEST | _ACK, 2, 0) + ask)
    for kind, body in _messages(link.recv(_RECEIVE_BYTES)):
        if kind == _ERROR:
            _raise(body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, kind, *_ = _HEAD.unpack_from(data, at)
        if length < _HEAD.size:
            return
        yield kind, data[at + _HEAD.size : at + length]
        at += (length + 3) & ~3


def _raise(body: bytes) -> None:
    """A message of the kind error is one unless its number is 0."""
    (number,) = _RESULT.unpack_from(body)
    if number:
        raise OSError(-number, os.strerror(-number))
