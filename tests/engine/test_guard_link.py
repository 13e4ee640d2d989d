"""The two copies of the guard's protocol agree, and the agent's end of the link does what it promises."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine import guard_wire as wire
from agent.engine.guard_link import GuardLink
from agent.errors import Halted, ProtocolError, SetupError
from agent.guard import protocol
from agent.guard.link import AgentLink
from agent.guard.protocol import ProtocolFault
from agent.guard.sockets import AGENT_SOCKET, listen
from agent.ports.processes import NO_VENUE_AGE_MS, Figures

KEY = bytes(range(32))
BUILD = b"b" * 16
AMOUNTS = st.integers(-(2**127), 2**127 - 1)
U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)

figures = st.builds(
    Figures,
    mode=st.sampled_from(["normal", "reduce_only", "cancel_only", "halted"]),
    event_seq=U64,
    event_crc=U32,
    digest=st.binary(min_size=16, max_size=16),
    exec_seq=U64,
    next_order=U64,
    nav_atoms=AMOUNTS,
    day_loss_atoms=AMOUNTS,
    exposure_atoms=AMOUNTS,
    orders_last_second=U32,
    venue_age_ms=U32,
)


@given(figures, U32, U64, U64)
def test_the_guard_reads_in_a_beat_what_the_agent_wrote(told: Figures, epoch: int, seq: int, at_ns: int) -> None:
    message = wire.encode_beat(told, run_epoch=epoch, seq=seq, monotonic_ns=at_ns, build=BUILD, key=KEY)
    heard = protocol.decode_beat_or_bye(message, KEY)
    assert heard == protocol.Beat(
        run_epoch=epoch,
        seq=seq,
        monotonic_ns=at_ns,
        event_seq=told.event_seq,
        event_crc=told.event_crc,
        digest=told.digest,
        exec_seq=told.exec_seq,
        next_order=told.next_order,
        mode=told.mode,
        nav=told.nav_atoms,
        day_loss=told.day_loss_atoms,
        exposure=told.exposure_atoms,
        orders_last_second=told.orders_last_second,
        venue_age_ms=told.venue_age_ms,
        build=BUILD,
    )


def test_hello_bye_welcome_refusal_and_pulse_are_read_as_they_were_written() -> None:
    hello = wire.encode_hello(run_epoch=7, event_seq=8, digest=b"d" * 16, build=BUILD, run="run-ü")
    assert protocol.decode_hello(hello) == protocol.Hello(7, 8, b"d" * 16, BUILD, "run-ü")
    bye = wire.encode_bye(run_epoch=7, seq=9, key=KEY)
    assert protocol.decode_beat_or_bye(bye, KEY) == protocol.Bye(7, 9)
    welcome = protocol.encode_welcome(protocol.Welcome(KEY, protocol.IS_ARMED, 7, 250, 4711))
    assert wire.decode_answer(welcome, run_epoch=7) == wire.Welcome(KEY, wire.IS_ARMED, 250, 4711)
    with pytest.raises(Halted, match="because it is so"):
        wire.decode_answer(protocol.encode_refusal("because it is so"), run_epoch=7)
    pulse = protocol.encode_pulse(protocol.Pulse(7, 1, 2, 3, protocol.IS_LATCHED), KEY)
    assert wire.decode_pulse(pulse, run_epoch=7, key=KEY) == wire.Pulse(1, 2, 3, wire.IS_LATCHED)


def test_the_numbers_of_both_ends_are_the_same() -> None:
    for name in ("VERSION", "HELLO", "BEAT", "BYE", "WELCOME", "REFUSAL", "PULSE", "MAC_BYTES", "MESSAGE_BYTES_MAX"):
        assert getattr(wire, name) == getattr(protocol, name), name
    for name in ("IS_ARMED", "IS_LATCHED", "MUST_REDUCE"):
        assert getattr(wire, name) == getattr(protocol, name), name
    assert tuple(wire.MODES) == protocol.MODES
    assert wire.PROGRESS.format == protocol.PROGRESS.format
    assert NO_VENUE_AGE_MS == protocol.NO_VENUE


GOOD_BEAT = wire.encode_beat(
    Figures(event_seq=1, event_crc=2, digest=bytes(16)), run_epoch=7, seq=1, monotonic_ns=1, build=BUILD, key=KEY
)
GOOD_HELLO = wire.encode_hello(run_epoch=7, event_seq=8, digest=b"d" * 16, build=BUILD, run="r")


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_a_fault_and_nothing_else(message: bytes) -> None:
    with pytest.raises(ProtocolFault):
        protocol.decode_beat_or_bye(message, KEY)
    if len(message) != len(GOOD_HELLO):
        with pytest.raises(ProtocolFault):
            protocol.decode_hello(message)


@given(st.integers(0, len(GOOD_BEAT) - 1), st.integers(1, 255))
def test_one_changed_octet_of_a_beat_is_a_fault(at: int, change: int) -> None:
    message = bytearray(GOOD_BEAT)
    message[at] ^= change
    with pytest.raises(ProtocolFault):
        protocol.decode_beat_or_bye(bytes(message), KEY)


@given(st.integers(0, len(GOOD_BEAT) - 1))
def test_a_cut_beat_is_a_fault(length: int) -> None:
    with pytest.raises(ProtocolFault):
        protocol.decode_beat_or_bye(GOOD_BEAT[:length], KEY)


@given(st.integers(0, len(GOOD_HELLO) - 1), st.integers(1, 255))
def test_a_changed_hello_is_read_or_a_fault(at: int, change: int) -> None:
    message = bytearray(GOOD_HELLO)
    message[at] ^= change
    try:
        hello = protocol.decode_hello(bytes(message))
    except ProtocolFault:
        return
    assert hello.run.isprintable()


class Ear:
    """Writes down what the link tells."""

    def __init__(self) -> None:
        self.pulses: list[bool] = []
        self.gone: list[str] = []

    def on_pulse(self, is_armed: bool) -> None:
        self.pulses.append(is_armed)

    def on_gone(self, reason: str) -> None:
        self.gone.append(reason)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with listen(tmp_path, AGENT_SOCKET, socket.SOCK_SEQPACKET) as socket_:
        yield socket_


async def accept(listener: socket.socket) -> AgentLink:
    while True:
        try:
            return AgentLink(listener.accept()[0])
        except BlockingIOError:
            await asyncio.sleep(0.001)


@pytest.fixture
async def linked(listener: socket.socket, tmp_path: Path, ear: Ear) -> AsyncIterator[tuple[GuardLink, AgentLink]]:
    asking = asyncio.ensure_future(
        GuardLink.connect(tmp_path, run="r", run_epoch=7, build=BUILD, listener=ear, event_seq=5)
    )
    guard = await accept(listener)
    await asyncio.sleep(0.01)
    guard.receive_hello()
    guard.welcome(flags=protocol.IS_ARMED, beat_deadline_ms=250)
    link = await asking
    yield link, guard
    await link.leave()
    guard.close()


Linked = tuple[GuardLink, AgentLink]


async def test_beats_and_progress_reach_the_guard(linked: Linked) -> None:
    link, guard = linked
    assert link.is_armed
    assert guard.progress() == (5, 0)
    link.store_progress(6, 77)
    link.beat(Figures(event_seq=6, event_crc=77, digest=bytes(16)))
    link.beat(Figures(event_seq=7, event_crc=78, digest=bytes(16)))
    heard = guard.receive()
    assert [beat.seq for beat in heard] == [1, 2]
    assert guard.progress() == (6, 77)


async def test_pulses_are_told(linked: Linked, ear: Ear) -> None:
    _, guard = linked
    guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_ARMED)
    guard.pulse(now_ns=2, last_beat_seq=0, flags=0)
    await asyncio.sleep(0.01)
    assert ear.pulses == [True, False]
    assert ear.gone == []


async def test_a_guard_that_ends_is_told_once_and_beats_go_nowhere(linked: Linked, ear: Ear) -> None:
    link, guard = linked
    guard.close()
    await asyncio.sleep(0.01)
    link.beat(Figures(event_seq=6, event_crc=77, digest=bytes(16)))
    assert len(ear.gone) == 1
    assert not link.is_armed


async def test_a_latched_pulse_ends_the_run(linked: Linked, ear: Ear) -> None:
    _, guard = linked
    guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_LATCHED)
    await asyncio.sleep(0.01)
    assert ear.gone == ["the guard has tripped"]


@pytest.mark.parametrize(
    "forged", [b"", b"x", b"x" * 44, protocol.encode_pulse(protocol.Pulse(7, 1, 2, 3, 1), b"k" * 32)]
)
async def test_a_pulse_that_is_none_is_no_sign_of_life(linked: Linked, ear: Ear, forged: bytes) -> None:
    _, guard = linked
    guard._connection.send(forged)
    await asyncio.sleep(0.01)
    assert ear.pulses == []
    assert len(ear.gone) == 1


async def test_a_replayed_pulse_is_no_sign_of_life(linked: Linked, ear: Ear) -> None:
    _, guard = linked
    guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_ARMED)
    guard._pulses -= 1
    guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_ARMED)
    await asyncio.sleep(0.01)
    assert ear.pulses == [True]
    assert len(ear.gone) == 1


async def test_a_guard_that_does_not_read_costs_the_agent_nothing(linked: Linked, ear: Ear) -> None:
    link, _ = linked
    for number in range(10_000):
        link.beat(Figures(event_seq=number, event_crc=0, digest=bytes(16)))
    assert ear.gone == []


async def test_no_guard_no_link(tmp_path: Path, ear: Ear) -> None:
    with pytest.raises(SetupError, match="no guard listens"):
        await GuardLink.connect(tmp_path, run="r", run_epoch=7, build=BUILD, listener=ear)


async def test_a_latch_stops_the_start_even_without_a_guard(tmp_path: Path, ear: Ear) -> None:
    (tmp_path / "latch").touch()
    with pytest.raises(Halted, match="latch"):
        await GuardLink.connect(tmp_path, run="r", run_epoch=7, build=BUILD, listener=ear)


async def test_something_else_behind_the_socket_is_no_guard(listener: socket.socket, tmp_path: Path, ear: Ear) -> None:
    asking = asyncio.ensure_future(GuardLink.connect(tmp_path, run="r", run_epoch=7, build=BUILD, listener=ear))
    while True:
        try:
            connection, _ = listener.accept()
            break
        except BlockingIOError:
            await asyncio.sleep(0.001)
    connection.send(b"HTTP/1.1 200 OK")
    with pytest.raises(ProtocolError):
        await asking
    connection.close()


def test_the_key_of_a_run_is_not_shown() -> None:
    assert KEY.hex() not in repr(wire.Welcome(KEY, 0, 250, 1)) and "key" not in repr(wire.Welcome(KEY, 0, 250, 1))
