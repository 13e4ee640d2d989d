"""Cutting a process off: what the kernel holds for it never leaves, and where that cannot be done it is said."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor.machine import network_cut
from agent.guard.network import Cutter
from agent.guard.rungs import CutNetwork
from agent.guard.target import Target
from tests.guard.stage import ROOT
from tests.guard.test_kill import SetStage

CUTTER = Cutter()
can_cut = pytest.mark.skipif(bool(CUTTER.why_not), reason=CUTTER.why_not or "-")

CHILD = """
import socket, sys, time
near = [socket.create_connection((host, int(port))) for host, port in zip(sys.argv[1::2], sys.argv[2::2])]
for each in near:
    each.setblocking(False)
    try:
        while True:
            each.send(b"x" * 65536)
    except BlockingIOError:
        pass
print("full", flush=True)
time.sleep(60)
"""


class Peer:
    """Listens by both families and reads nothing until it is told to."""

    def __init__(self) -> None:
        self.listeners = [
            socket.create_server(("127.0.0.1", 0)),
            socket.create_server(("::1", 0), family=socket.AF_INET6),
        ]
        words = [word for one in self.listeners for word in (one.getsockname()[0], str(one.getsockname()[1]))]
        self.child = subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True)
        self.far = [listener.accept()[0] for listener in self.listeners]
        assert self.child.stdout is not None and self.child.stdout.readline() == "full\n"

    def delivered(self, connection: socket.socket) -> tuple[int, bool]:
        """Bytes that still come, and whether the end of it was a reset."""
        count = 0
        connection.settimeout(5)
        try:
            while chunk := connection.recv(1 << 20):
                count += len(chunk)
        except ConnectionResetError:
            return count, True
        return count, False

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for each in (*self.far, *self.listeners):
            each.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


@can_cut
def test_what_is_queued_does_not_leave_after_the_kill(peer: Peer) -> None:
    target = Target(peer.child.pid)
    target.cutter = CUTTER
    target.kill()
    assert len(target.connections) == 2 and not target.cut_fault
    peer.child.wait(5)
    assert CUTTER.left(target.connections) == 0
    cut = [peer.delivered(connection) for connection in peer.far]
    assert all(was_reset for _, was_reset in cut)
    plain = Peer()
    try:
        plain.child.kill()
        plain.child.wait(5)
        whole = [plain.delivered(connection) for connection in plain.far]
    finally:
        plain.close()
    for (after_cut, _), (after_kill, _) in zip(cut, whole, strict=True):
        assert after_cut < after_kill, "a kill alone lets out what the kernel holds"


@can_cut
def test_only_the_processs_own_connections_are_destroyed(peer: Peer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname()[:2])
        far, _ = listener.accept()
        with near, far:
            target = Target(peer.child.pid)
            target.cutter = CUTTER
            target.kill()
            near.sendall(b"alive")
            assert far.recv(10) == b"alive"


@can_cut
def test_many_that_kill_at_once_do_not_take_the_look_up_from_each_other(peer: Peer) -> None:
    target = Target(peer.child.pid)
    target.cutter = CUTTER
    threads = [threading.Thread(target=target.kill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(target.connections) == 2
    rung = CutNetwork(target, CUTTER)
    peer.child.wait(5)
    assert rung.is_confirmed()
    rung.act(2)


@can_cut
def test_a_process_that_is_gone_or_has_nothing_open_is_no_fault() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    target = Target(sleeper.pid)
    target.cutter = CUTTER
    target.kill()
    sleeper.wait(5)
    assert target.connections == [] and not target.cut_fault
    target.kill()


def test_connections_that_cannot_be_seen_are_told_and_the_process_ends_all_the_same(peer: Peer) -> None:
    class Blind(Cutter):
        def __init__(self) -> None:
            self.why_not = ""

        def connections_of(self, pid: int) -> list[object]:  # type: ignore[override] # it gives none
            raise PermissionError(13, "Permission denied")

    blind = Blind()
    target = Target(peer.child.pid)
    target.cutter = blind
    CutNetwork(target, blind).act(1)
    assert peer.child.wait(5) == -signal.SIGKILL
    assert blind.why_not == "the agent's connections could not be cut: Permission denied"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_without_the_permission_it_says_so() -> None:
    code = "import os; from agent.guard.network import Cutter; os.setuid(65534); print(Cutter().why_not)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "not permitted: it needs CAP_NET_ADMIN"


def test_the_doctor_says_whether_it_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = network_cut()
    assert row.status == ("warn" if CUTTER.why_not else "ok")
    monkeypatch.setattr("agent.guard.network._why_not", lambda: "not permitted: it needs CAP_NET_ADMIN")
    (row,) = network_cut()
    assert row.status == "warn" and "CAP_NET_ADMIN" in row.finding and row.remedy


def test_the_guard_of_a_killed_agent_reads_that_nothing_of_it_is_left(set_stage: SetStage, tmp_path: Path) -> None:
    stage = set_stage()
    stage.start_guard()
    told = stage.status()["network_cut"]
    assert told == {"is_possible": not CUTTER.why_not, "why_not": CUTTER.why_not}
    stage.start_agent().kill()
    rungs = {rung["rung"]: rung for rung in stage.wait_verified()["rungs"]}
    assert ("network" in rungs) is not bool(CUTTER.why_not)
    if "network" in rungs:
        assert rungs["network"]["confirmed_ms"] < 1_000
