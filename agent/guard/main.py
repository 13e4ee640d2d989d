"""The guard's process: one loop over its sockets, the agent's process, signals and the time.

Before each look at the deadlines everything that has arrived is taken in, so that a pause of the guard itself (a busy
machine) is not taken for a pause of the agent.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.guard.button import Button, open_button
from agent.guard.configuration import ConfigurationFault, load
from agent.guard.control import CLIENTS_MAX, ControlClient
from agent.guard.folder import Folder, FolderFault
from agent.guard.guard import Guard
from agent.guard.link import AgentLink
from agent.guard.protocol import ProtocolFault
from agent.guard.sockets import AGENT_SOCKET, CONTROL_SOCKET, listen

PULSE_NS = 50_000_000
HELLO_NS = 1_000_000_000
NEW_LINKS_MAX = 16
ACCEPTS_PER_WAKE = 16
DEFECT_PAUSE_S = 0.02
EXIT_CONFIGURATION, EXIT_SETUP = 3, 4
_PR_SET_DUMPABLE = 4


class Loop:
    """Tells the guard what happens, until it has an exit code."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._agents = listen(guard.folder.path, AGENT_SOCKET, socket.SOCK_SEQPACKET)
        self._controls = listen(guard.folder.path, CONTROL_SOCKET, socket.SOCK_STREAM)
        self._button: Button | None = None
        part = guard.configuration.button
        if part is not None:
            self._button, why = open_button(guard.folder.path, part.port, part.token, self._pushed)
            guard.note_button("" if self._button is None else self._button.url, why)
        self._new_links: list[tuple[AgentLink, int]] = []
        self._clients: list[ControlClient] = []
        self._next_pulse_ns = 0
        self._signals, signals = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._signals.setblocking(False)
        signals.setblocking(False)
        self._signal_writer = signals
        signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> int:
        guard = self._guard
        while guard.exit_code is None:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - a defect of the guard stops the agent, never the guard
                place = traceback.extract_tb(error.__traceback__)[-1]
                guard.log("defect", error=type(error).__name__, where=f"{Path(place.filename).name}:{place.lineno}")
                guard.trip("guard_defect", type(error).__name__)
                time.sleep(DEFECT_PAUSE_S)
        return guard.exit_code

    def _turn(self) -> None:
        guard = self._guard
        self._take_in(self._wait(self._next_pulse_ns))
        guard.on_time()
        if time.monotonic_ns() >= self._next_pulse_ns:
            guard.pulse()
            notify_watchdog()
            self._next_pulse_ns = time.monotonic_ns() + PULSE_NS

    def _wait(self, next_pulse_ns: int) -> set[int]:
        """Descriptors that have something, at the latest when the next pulse or the beat's deadline is due."""
        guard = self._guard
        due_ns = next_pulse_ns
        if guard.watch.state == "armed":
            due_ns = min(due_ns, guard.watch.last_beat_ns + guard.configuration.limits.beat_deadline_ms * 1_000_000)
        poll = select.poll()
        for descriptor in self._descriptors():
            poll.register(descriptor, select.POLLIN)
        wait_ms = max(0.0, (due_ns - time.monotonic_ns()) / 1e6)
        return {descriptor for descriptor, _ in poll.poll(min(wait_ms + 0.5, 50.0))}

    def _descriptors(self) -> Iterator[int]:
        yield from (self._agents.fileno(), self._controls.fileno(), self._signals.fileno())
        yield from (link.fileno() for link, _ in self._new_links)
        yield from (client.fileno() for client in self._clients)
        if self._button is not None:
            yield from self._button.descriptors()
        link = self._guard.link
        if link is not None:
            yield link.fileno()
            if self._guard.watch.state == "armed":
                yield link.target.descriptor

    def _take_in(self, ready: set[int]) -> None:
        guard = self._guard
        if guard.link is not None:
            link = guard.link
            is_gone = guard.watch.state == "armed" and link.target.descriptor in ready
            guard.on_agent_readable()
            if is_gone:
                guard.on_process_gone()
        if self._signals.fileno() in ready:
            self._on_signals()
        for client in self._clients:
            if client.fileno() in ready:
                client.on_readable()
        if self._button is not None:
            self._button.on_ready(ready)
        self._hear_hellos(ready)
        self._accept(ready)
        for client in self._clients:
            if client.is_done:
                client.close()
        self._clients = [client for client in self._clients if not client.is_done]

    def _on_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._signals.recv(64):
                if number == signal.SIGUSR1:
                    self._guard.trip("signal", "SIGUSR1", by="signal")
                elif number in (signal.SIGTERM, signal.SIGINT):
                    if self._guard.watch.state == "armed":
                        # An agent without a guard has to stop, and it is better stopped than left to notice.
                        self._guard.trip("guard_ended", f"{signal.Signals(number).name} to the guard", by="signal")
                    else:
                        self._guard.exit_code = 128 + number

    def _hear_hellos(self, ready: set[int]) -> None:
        waiting: list[tuple[AgentLink, int]] = []
        for link, until_ns in self._new_links:
            if link.fileno() not in ready:
                if time.monotonic_ns() < until_ns:
                    waiting.append((link, until_ns))
                else:
                    link.refuse("no hello came")
                continue
            try:
                self._guard.on_hello(link)
            except ProtocolFault as fault:
                self._guard.log("refused", code=fault.code, detail=fault.detail)
                link.refuse(str(fault))
        self._new_links = waiting

    def _accept(self, ready: set[int]) -> None:
        if self._controls.fileno() in ready and len(self._clients) < CLIENTS_MAX:
            with contextlib.suppress(OSError):
                connection, _ = self._controls.accept()
                self._clients.append(ControlClient(connection, self._answer))
        if self._agents.fileno() in ready:
            with contextlib.suppress(OSError):
                for _ in range(ACCEPTS_PER_WAKE):
                    connection, _ = self._agents.accept()
                    self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        """Somebody at the agents' door; who says no hello keeps nobody else out for long."""
        if len(self._new_links) >= NEW_LINKS_MAX:
            connection.close()
            return
        try:
            self._new_links.append((AgentLink(connection), time.monotonic_ns() + HELLO_NS))
        except (ProtocolFault, ProcessLookupError):
            connection.close()

    def _pushed(self, reason: str) -> dict[str, Any]:
        self._guard.trip("asked", reason or "no reason given", by="button")
        return self._guard.status() | {"guard_pid": os.getpid()}

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("ask") == "halt":
            by, reason = str(asked.get("by", ""))[:100], str(asked.get("reason", ""))[:400]
            self._guard.trip("asked", reason or "no reason given", by=by or "somebody")
        elif asked.get("ask") != "status":
            return {"error": "ask for status or halt"}
        return self._guard.status() | {"guard_pid": os.getpid()}

    def close(self) -> None:
        for each in (self._agents, self._controls, self._signals, self._signal_writer):
            each.close()
        if self._button is not None:
            self._button.close()


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 the run ended in order, 3 configuration, 4 the folder, 6 halted."""
    parser = argparse.ArgumentParser(prog="agent.guard", description="The kill switch.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, help="a descriptor that gets one line when an agent may connect")
    parser.add_argument("--once", action="store_true", help="end when what was found is seen to have stopped")
    options = parser.parse_args(arguments)
    try:
        configuration = load(options.config)
        if options.once:
            configuration = configuration._replace(is_single_run=True)
        folder = Folder(configuration.folder)
    except ConfigurationFault as fault:
        sys.stderr.write(f"guard: {fault}\n")
        return EXIT_CONFIGURATION
    except FolderFault as fault:
        sys.stderr.write(f"guard: {fault}\n")
        return EXIT_SETUP
    with contextlib.suppress(OSError):
        folder.note_configuration(options.config)
    harden()
    guard = Guard(configuration, folder)
    loop = Loop(guard)
    guard.start()
    if options.ready_fd is not None:
        with contextlib.suppress(OSError):
            os.write(options.ready_fd, b"ready\n")
            os.close(options.ready_fd)
    try:
        return loop.run()
    finally:
        loop.close()
        folder.close()


def harden() -> None:
    """No core file, no debugger of the same user, and the last to go when memory is short; each as far as allowed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("-900")


def notify_watchdog() -> None:
    """Tell systemd that the loop turns, where it asked for that."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if name:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.setblocking(False)
            notify.sendto(b"READY=1\nWATCHDOG=1", "\0" + name[1:] if name.startswith("@") else name)
