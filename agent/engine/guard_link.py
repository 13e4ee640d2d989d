"""The agent's end of the link to its guard.

Theory of operation. The link is one socket that keeps message boundaries, with the guard's process at its other end.
Beats go out as the effect of a step of the core, from the loop's thread and no other, so that a hung core is a silent
one. The progress word lies in shared memory that the guard reads. The guard's pulses come back; when the socket
closes, its process is gone, and nothing may be placed any more: the kernel says so at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import socket
import sys
from pathlib import Path

from agent.engine import guard_wire as wire
from agent.engine.short_names import short_name
from agent.errors import Halted, ProtocolError, SetupError
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.ports.processes import Figures, GuardListener

AGENT_SOCKET = "agent.sock"
LATCH = "latch"
ANSWER_TIMEOUT_S = 2.0
_PULSES_PER_WAKE = 32


class GuardLink:
    """A guard that watches this run; see agent.ports.processes.Guard. Make it with `connect`."""

    def __init__(
        self,
        connection: socket.socket,
        progress: mmap.mmap,
        welcome: wire.Welcome,
        *,
        run_epoch: int,
        build: bytes,
        listener: GuardListener,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._key = welcome.key
        self._run_epoch = run_epoch
        self._build = build
        self._listener = listener
        self._clock = clock
        self._beats = 0
        self._pulses = 0
        self._is_over = False
        self.is_abandoned = False
        self.is_armed = bool(welcome.flags & wire.IS_ARMED)
        self.must_reduce = bool(welcome.flags & wire.MUST_REDUCE)
        self.beat_deadline_ms = welcome.beat_deadline_ms
        self.guard_pid = welcome.guard_pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._on_readable)

    @classmethod
    async def connect(
        cls,
        folder: Path,
        *,
        run: str,
        run_epoch: int,
        build: bytes,
        listener: GuardListener,
        event_seq: int = 0,
        digest: bytes = bytes(wire.DIGEST_BYTES),
        clock: Clock = SYSTEM_CLOCK,
    ) -> GuardLink:
        """Ask the guard of this folder to watch. `build` is 16 bytes over code and configuration.

        `event_seq` and `digest` are where the journal stands. From here on beats are due. Raises Halted where the
        latch is set or the guard refuses, SetupError where no guard answers, ProtocolError where it is none.
        """
        if not sys.platform.startswith("linux"):
            raise SetupError("the guard needs Linux: it holds the agent by a process descriptor", code="E_NO_GUARD")
        check_latch(folder)
        memory = os.memfd_create("progress", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, mmap.PAGESIZE)
            progress = mmap.mmap(memory, mmap.PAGESIZE)
            wire.PROGRESS.pack_into(progress, 0, event_seq, 0)
            hello = wire.encode_hello(run_epoch=run_epoch, event_seq=event_seq, digest=digest, build=build, run=run)
            connection = _connect(folder)
            try:
                socket.send_fds(connection, [hello], [memory])
                answer = await asyncio.wait_for(
                    asyncio.get_running_loop().sock_recv(connection, wire.MESSAGE_BYTES_MAX), ANSWER_TIMEOUT_S
                )
                if not answer:
                    raise ProtocolError("the guard hung up instead of answering", peer="guard")
                welcome = wire.decode_answer(answer, run_epoch=run_epoch)
            except (OSError, TimeoutError) as error:
                connection.close()
                raise SetupError(
                    f"the guard does not answer: {type(error).__name__}", code="E_NO_GUARD", where=str(folder)
                ) from None
            except BaseException:
                connection.close()
                raise
        finally:
            os.close(memory)
        return cls(connection, progress, welcome, run_epoch=run_epoch, build=build, listener=listener, clock=clock)

    def store_progress(self, event_seq: int, crc: int) -> None:
        """After every completed step: where the core stands."""
        wire.PROGRESS.pack_into(self._progress, 0, event_seq, crc)

    def beat(self, figures: Figures) -> None:
        """A sign of life, from the step of a timer, 50 ms apart."""
        if self._is_over:
            return
        self._beats += 1
        message = wire.encode_beat(
            figures,
            run_epoch=self._run_epoch,
            seq=self._beats,
            monotonic_ns=self._clock.monotonic_ns(),
            build=self._build,
            key=self._key,
        )
        self._send(message)

    async def leave(self) -> None:
        """The run ends in order; the guard cancels and looks for what it left."""
        if self._is_over:
            return
        with contextlib.suppress(OSError):  # it does not read, or ended unnoticed: the run is over all the same
            self._connection.send(wire.encode_bye(run_epoch=self._run_epoch, seq=self._beats + 1, key=self._key))
        self._end()

    def abandon(self) -> None:
        """The core is broken: no beat and no good-bye. The guard stops what is left, this process first.

        The socket stays open until the process ends, or the guard tires of waiting for a beat.
        """
        if not self._is_over:
            self._is_over = self.is_abandoned = True
            self.is_armed = False
            self._loop.remove_reader(self._connection.fileno())
            # Without its owner no collector closes it: the guard kills at once where it is closed, and the process
            # would not come so far as to say why it ends.
            self._connection.detach()

    def _send(self, message: bytes) -> None:
        try:
            self._connection.send(message)
        except BlockingIOError:
            # The guard does not read. It will trip over the missing beat, or give no more pulses if it hangs.
            pass
        except OSError as error:
            self._gone(f"the guard's socket is closed: {type(error).__name__}")

    def _on_readable(self) -> None:
        for _ in range(_PULSES_PER_WAKE):
            try:
                message = self._connection.recv(wire.MESSAGE_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._gone("the guard's process ended")
                return
            try:
                pulse = wire.decode_pulse(message, run_epoch=self._run_epoch, key=self._key)
            except ProtocolError as error:
                self._gone(error.message)
                return
            if pulse.seq != self._pulses + 1:
                self._gone(f"pulse {pulse.seq} where {self._pulses + 1} belongs")
                return
            self._pulses = pulse.seq
            if pulse.flags & wire.IS_LATCHED:
                self._gone("the guard has tripped")
                return
            self.is_armed = bool(pulse.flags & wire.IS_ARMED)
            self._listener.on_pulse(self.is_armed)

    def _gone(self, reason: str) -> None:
        if not self._is_over:
            self._end()
            self._listener.on_gone(reason)

    def _end(self) -> None:
        self._is_over = True
        self.is_armed = False
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()


def check_latch(folder: Path) -> None:
    """Raises Halted while the latch exists, or cannot be looked for."""
    try:
        os.stat(folder / LATCH)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Halted(f"the guard's folder cannot be read: {error.strerror}", where=str(folder)) from None
    raise Halted(
        "the latch is set: the agent was stopped, and nobody has allowed it to start again",
        where=str(folder / LATCH),
        hint="`mev-agent status` shows why; `mev-agent guard reset --reason ...` lets a person go on",
    )


def connect(folder: Path, name: str, kind: socket.SocketKind) -> socket.socket:
    """A socket to one of the guard's, that does not block. Raises OSError where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with short_name(folder, name) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(folder: Path) -> socket.socket:
    """Raises SetupError where no guard listens."""
    try:
        return connect(folder, AGENT_SOCKET, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise SetupError(
            f"no guard listens: {error.strerror}",
            code="E_NO_GUARD",
            where=str(folder),
            hint="start one with `mev-agent guard run`",
        ) from None
