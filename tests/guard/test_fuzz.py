"""Bytes thrown at a live guard: nothing but a hello arms it, and an armed one trips over anything but a good beat."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from pathlib import Path

import pytest

from agent.engine import guard_wire as wire
from agent.errors import Halted
from agent.guard.configuration import parse
from agent.guard.folder import Folder
from agent.guard.guard import Guard
from agent.guard.link import AgentLink
from agent.guard.protocol import ProtocolFault
from agent.guard.sockets import AGENT_SOCKET, connect, listen
from agent.ports.processes import Figures

RUN_EPOCH = 7
BUILD = b"b" * 16
ROUNDS = 300


class Bench:
    """A guard in this process with the venue and chain left out, and an agent's end of its socket.

    The process it would end is not this one: a child that sleeps stands in for the agent.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.guard = Guard(parse({"schema": 1, "folder": str(folder)}, folder), Folder(folder))
        self.guard.start()
        self._listener = listen(folder, AGENT_SOCKET, socket.SOCK_SEQPACKET)
        self.agent = connect(folder, AGENT_SOCKET, socket.SOCK_SEQPACKET, 1.0)
        self.link = AgentLink(self._listener.accept()[0])
        self.link.target.kill = lambda: None  # type: ignore[method-assign] # it would be this process
        self.guard._ladder_for = lambda target: Guard._ladder_for(self.guard, None)  # type: ignore[method-assign]

    def hello(self, message: bytes, *, words: int = 1, size: int = 64) -> None:
        memory = os.memfd_create("progress")
        os.ftruncate(memory, size)
        os.pwrite(memory, wire.PROGRESS.pack(5, 0)[:size], 0)
        socket.send_fds(self.agent, [message], [memory] * words)
        os.close(memory)
        try:
            self.guard.on_hello(self.link)
        except ProtocolFault as fault:
            self.link.refuse(str(fault))

    def arm(self) -> bytes:
        """The key of the run."""
        self.hello(wire.encode_hello(run_epoch=RUN_EPOCH, event_seq=5, digest=bytes(16), build=BUILD, run="r"))
        return wire.decode_answer(self.agent.recv(512), run_epoch=RUN_EPOCH).key

    def hear(self, message: bytes) -> str | None:
        """The code of the trip, if this message caused one."""
        self.agent.send(message)
        self.guard.on_agent_readable()
        return self.guard.watch.trip.code if self.guard.watch.trip else None

    def close(self) -> None:
        for each in (self.agent, self._listener, self.link, self.guard.folder):
            each.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "guard"


def beat(key: bytes, *, seq: int = 1, event_seq: int = 6, run_epoch: int = RUN_EPOCH) -> bytes:
    figures = Figures(event_seq=event_seq, event_crc=0, digest=event_seq.to_bytes(16))
    return wire.encode_beat(
        figures, run_epoch=run_epoch, seq=seq, monotonic_ns=time.monotonic_ns(), build=BUILD, key=key
    )


def test_random_bytes_never_arm(tmp_path: Path) -> None:
    chance = random.Random(1)
    good = wire.encode_hello(run_epoch=RUN_EPOCH, event_seq=5, digest=bytes(16), build=BUILD, run="r")
    for number in range(60):
        bench = Bench(tmp_path / str(number))
        message = bytearray(good if number % 2 else chance.randbytes(chance.randrange(1, 512)))
        if number % 2:
            message[chance.randrange(2)] ^= chance.randrange(1, 256)  # kind or version
        bench.hello(bytes(message))
        assert bench.guard.watch.state == "idle"
        assert bench.guard.link is None and bench.guard.folder.arming() is None
        bench.close()


@pytest.mark.parametrize(("words", "size"), [(0, 64), (2, 64), (5, 64), (1, 11)])
def test_a_hello_without_its_one_progress_word_arms_nothing(folder: Path, words: int, size: int) -> None:
    bench = Bench(folder)
    good = wire.encode_hello(run_epoch=RUN_EPOCH, event_seq=5, digest=bytes(16), build=BUILD, run="r")
    before = len(os.listdir("/proc/self/fd"))
    bench.hello(good, words=words, size=size)
    assert bench.guard.watch.state == "idle" and bench.guard.link is None
    assert len(os.listdir("/proc/self/fd")) <= before
    bench.close()


@pytest.mark.parametrize("kind", ["cut", "changed", "random", "foreign key", "longer"])
def test_an_armed_guard_trips_over_the_first_message_that_is_none(folder: Path, kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    for number in range(20):
        bench = Bench(tmp_path / f"{kind}-{number}")
        key = bench.arm()
        assert bench.hear(beat(key)) is None
        good = bytearray(beat(key, seq=2, event_seq=7))
        match kind:
            case "cut":
                good = good[: chance.randrange(1, len(good))]
            case "changed":
                good[chance.randrange(len(good))] ^= chance.randrange(1, 256)
            case "random":
                good = bytearray(chance.randbytes(chance.randrange(1, 512)))
            case "foreign key":
                good = bytearray(beat(bytes(32), seq=2, event_seq=7))
            case "longer":
                good += chance.randbytes(chance.randrange(1, 700))
        code = bench.hear(bytes(good))
        assert code is not None and code.startswith("protocol_"), (kind, code)
        assert (bench.guard.folder.path / "latch").exists()
        bench.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"seq": 1}, "beat_sequence"),
        ({"seq": 3, "event_seq": 7}, "beat_sequence"),
        ({"seq": 2, "run_epoch": 6, "event_seq": 7}, "epoch"),
        ({"seq": 2, "event_seq": 2}, "event_sequence"),
    ],
)
def test_a_sealed_beat_of_another_time_or_run_trips(folder: Path, changes: dict[str, int], code: str) -> None:
    bench = Bench(folder)
    key = bench.arm()
    assert bench.hear(beat(key)) is None
    assert bench.hear(beat(key, **changes)) == code
    bench.close()


def test_a_latched_guard_refuses_an_agent_that_did_not_look_for_the_latch(folder: Path) -> None:
    bench = Bench(folder)
    (folder / "latch").touch()
    with pytest.raises(Halted, match="halted"):
        bench.arm()
    assert bench.guard.link is None and bench.guard.folder.arming() is None
    bench.close()


def test_a_run_after_a_reset_is_told_to_reduce_once(folder: Path) -> None:
    bench = Bench(folder)
    (folder / "reduce_only").touch()
    hello = wire.encode_hello(run_epoch=RUN_EPOCH, event_seq=5, digest=bytes(16), build=BUILD, run="r")
    bench.hello(hello)
    assert wire.decode_answer(bench.agent.recv(512), run_epoch=RUN_EPOCH).flags & wire.MUST_REDUCE
    assert not (folder / "reduce_only").exists()
    bench.close()


def test_a_progress_word_that_is_cut_off_trips_and_harms_nobody(folder: Path) -> None:
    bench = Bench(folder)
    key = bench.arm()
    assert bench.link._progress_fd is not None
    os.ftruncate(bench.link._progress_fd, 0)
    assert bench.hear(beat(key)) == "protocol_progress"
    bench.close()


def test_a_second_hello_of_an_armed_agent_trips(folder: Path) -> None:
    bench = Bench(folder)
    bench.arm()
    hello = wire.encode_hello(run_epoch=RUN_EPOCH, event_seq=5, digest=bytes(16), build=BUILD, run="r")
    assert bench.hear(hello) in ("protocol_length", "protocol_mac")
    bench.close()


def test_a_flood_of_beats_does_not_keep_the_guard_busy(folder: Path) -> None:
    bench = Bench(folder)
    key = bench.arm()
    sent = 0
    bench.agent.setblocking(False)
    try:
        for number in range(1, 5_000):
            bench.agent.send(beat(key, seq=number, event_seq=5 + number))
            sent = number
    except BlockingIOError:
        pass
    bench.guard.on_agent_readable()
    heard = bench.guard.watch.last_beat
    assert heard is not None and heard.seq <= 64 < sent + 64
    bench.close()


async def test_the_control_socket_takes_one_line_of_json_and_nothing_else(set_stage) -> None:  # type: ignore[no-untyped-def]
    stage = set_stage()
    stage.start_guard()
    chance = random.Random(2)
    for number in range(40):
        reader, writer = await asyncio.open_unix_connection(str(stage.guard_folder / "control.sock"))
        message = [b"\n", b"{}\n", b"[1]\n", b'{"ask": "trade"}\n', b"[" * 3000 + b"\n", chance.randbytes(5000)][
            number % 6
        ]
        writer.write(message)
        writer.write_eof()
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""  # closed with something of it unread
        assert answer == b"" or b"error" in answer
        writer.close()
    assert stage.status()["state"] == "idle"
