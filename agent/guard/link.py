"""The guard's end of the link: takes in one agent, its beats, and its progress word."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque

from agent.guard import protocol
from agent.guard.protocol import Beat, Bye, Hello, ProtocolFault, Pulse, Welcome
from agent.guard.sockets import credentials
from agent.guard.target import Target

MESSAGES_PER_WAKE = 64
"""A flood of messages must not keep the guard from its other duties."""
EVIDENCE_BEATS = 16
_MESSAGE_FDS_MAX = 4


class AgentLink:
    """One accepted connection. Before the hello it is nobody's; a fault before that closes it and arms nothing."""

    def __init__(self, connection: socket.socket) -> None:
        """Raises ProtocolFault for somebody else's process, ProcessLookupError for one that is gone already."""
        connection.setblocking(False)
        self._connection = connection
        peer = credentials(connection)
        if peer.uid not in (0, os.geteuid()):
            raise ProtocolFault("user", "the process belongs to another user")
        self.target = Target(peer.pid)
        self._progress_fd: int | None = None
        self._key = b""
        self.hello: Hello | None = None
        self.evidence: deque[bytes] = deque(maxlen=EVIDENCE_BEATS)
        self._pulses = 0
        self.is_closed = False

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive_hello(self) -> Hello:
        """Raises ProtocolFault."""
        try:
            message, descriptors, flags, _ = socket.recv_fds(
                self._connection, protocol.MESSAGE_BYTES_MAX, _MESSAGE_FDS_MAX
            )
        except OSError as error:
            raise ProtocolFault("closed", type(error).__name__) from None
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or not message:
                raise ProtocolFault("length", "a hello that is too long or empty")
            hello = protocol.decode_hello(message)
            if len(descriptors) != 1 or os.fstat(descriptors[0]).st_size < protocol.PROGRESS.size:
                raise ProtocolFault("progress", "a hello without the descriptor of a progress word")
            self._progress_fd = descriptors.pop()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self.progress()
        self.hello = hello
        return hello

    def welcome(self, *, flags: int, beat_deadline_ms: int) -> None:
        """Gives the agent the key of this run. Raises OSError where it is gone."""
        assert self.hello is not None
        self._key = os.urandom(protocol.KEY_BYTES)
        self._connection.send(
            protocol.encode_welcome(Welcome(self._key, flags, self.hello.run_epoch, beat_deadline_ms, os.getpid()))
        )

    def refuse(self, reason: str) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(protocol.encode_refusal(reason))
        self.close()

    def receive(self) -> list[Beat | Bye]:
        """What has arrived, at most `MESSAGES_PER_WAKE`; a closed connection sets `is_closed`. Raises ProtocolFault."""
        found: list[Beat | Bye] = []
        for _ in range(MESSAGES_PER_WAKE):
            try:
                message = self._connection.recv(protocol.MESSAGE_BYTES_MAX)
            except BlockingIOError:
                break
            except ConnectionResetError:
                # It closed with a pulse unread. The kernel says so once, before what was sent: the good-bye comes next.
                continue
            except OSError:
                message = b""
            if not message:
                self.is_closed = True
                break
            self.evidence.append(message)
            found.append(protocol.decode_beat_or_bye(message, self._key))
        return found

    def progress(self) -> tuple[int, int]:
        """The progress word, read and not mapped: a mapping of a file that its owner cuts kills who reads it."""
        assert self._progress_fd is not None
        word = os.pread(self._progress_fd, protocol.PROGRESS.size, 0)
        if len(word) != protocol.PROGRESS.size:
            raise ProtocolFault("progress", "the progress word was taken away")
        event_seq, crc = protocol.PROGRESS.unpack(word)
        return event_seq, crc

    def pulse(self, *, now_ns: int, last_beat_seq: int, flags: int) -> None:
        """Tells the agent that the guard lives. An agent that does not listen does not hold the guard up."""
        assert self.hello is not None
        self._pulses += 1
        message = protocol.encode_pulse(
            Pulse(self.hello.run_epoch, self._pulses, now_ns, last_beat_seq, flags), self._key
        )
        with contextlib.suppress(OSError):
            self._connection.send(message)

    def close(self) -> None:
        if self._connection.fileno() < 0:
            return
        self._connection.close()
        if self._progress_fd is not None:
            os.close(self._progress_fd)
