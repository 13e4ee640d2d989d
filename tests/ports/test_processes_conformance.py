"""What every guard must do, whether a process behind a socket or a simulated one.

The real form is the agent's link with the guard's own end at the other side of the socket, in one loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest

from agent.devnet.virtual.guard import VirtualGuard
from agent.engine.guard_link import GuardLink
from agent.errors import SetupError
from agent.guard import protocol
from agent.guard.link import AgentLink
from agent.guard.protocol import Beat, Bye
from agent.guard.sockets import AGENT_SOCKET, listen
from agent.ports.processes import Figures, Guard

BEATS_NOBODY_READS = 5_000


class Ear:
    """Writes down what the link tells."""

    def __init__(self) -> None:
        self.pulses: list[bool] = []
        self.gone: list[str] = []

    def on_pulse(self, is_armed: bool) -> None:
        assert not self.gone, "the end is the last word"
        self.pulses.append(is_armed)

    def on_gone(self, reason: str) -> None:
        self.gone.append(reason)


class Driver(Protocol):
    """The guard's side, as a case needs it."""

    async def watch(self, ear: Ear, *, must_reduce: bool = False) -> Guard: ...
    async def pulse(self, *, is_armed: bool = True) -> None: ...
    async def trip(self) -> None: ...
    async def die(self) -> None: ...
    def die_unnoticed(self) -> None:
        """It ends, and the agent's loop has not run since."""

    async def beats(self) -> list[int]:
        """Event sequences of the beats that came."""

    async def good_byes(self) -> int: ...
    def progress(self) -> tuple[int, int]: ...


class Simulated:
    def __init__(self) -> None:
        self._guard = VirtualGuard()

    async def watch(self, ear: Ear, *, must_reduce: bool = False) -> Guard:
        return self._guard.watch(ear, must_reduce=must_reduce)

    async def pulse(self, *, is_armed: bool = True) -> None:
        self._guard.is_armed = is_armed
        self._guard.pulse()

    async def trip(self) -> None:
        self._guard.trip()

    async def die(self) -> None:
        self._guard.die()

    def die_unnoticed(self) -> None:
        self._guard.is_alive = False

    async def beats(self) -> list[int]:
        return [figures.event_seq for figures in self._guard.beats]

    async def good_byes(self) -> int:
        return self._guard.good_byes

    def progress(self) -> tuple[int, int]:
        return self._guard.progress


class Real:
    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self._folder = folder
        self._listener = listener
        self._guard: AgentLink | None = None
        self._heard: list[Beat | Bye] = []

    @property
    def guard(self) -> AgentLink:
        assert self._guard is not None
        return self._guard

    async def watch(self, ear: Ear, *, must_reduce: bool = False) -> Guard:
        asking = asyncio.ensure_future(
            GuardLink.connect(self._folder, run="r", run_epoch=7, build=b"b" * 16, listener=ear)
        )
        while self._guard is None:
            try:
                self._guard = AgentLink(self._listener.accept()[0])
            except BlockingIOError:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        self.guard.receive_hello()
        flags = protocol.IS_ARMED | (protocol.MUST_REDUCE if must_reduce else 0)
        self.guard.welcome(flags=flags, beat_deadline_ms=250)
        return await asking

    async def pulse(self, *, is_armed: bool = True) -> None:
        self.guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_ARMED if is_armed else 0)
        await asyncio.sleep(0.01)

    async def trip(self) -> None:
        self.guard.pulse(now_ns=1, last_beat_seq=0, flags=protocol.IS_LATCHED)
        await asyncio.sleep(0.01)

    async def die(self) -> None:
        self.die_unnoticed()
        await asyncio.sleep(0.01)

    def die_unnoticed(self) -> None:
        self.guard.close()

    async def beats(self) -> list[int]:
        return [beat.event_seq for beat in self._receive() if isinstance(beat, Beat)]

    async def good_byes(self) -> int:
        return sum(isinstance(message, Bye) for message in self._receive())

    def _receive(self) -> list[Beat | Bye]:
        while self.guard.fileno() >= 0 and (heard := self.guard.receive()):
            self._heard += heard
        return self._heard

    def progress(self) -> tuple[int, int]:
        return self.guard.progress()


Case = Callable[[Driver, Ear], Awaitable[None]]


@pytest.fixture(params=["simulated", "real"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Case], None]:
    def on_simulated(case: Case) -> None:
        asyncio.run(_in(case, Simulated()))

    def on_real(case: Case) -> None:
        with listen(tmp_path, AGENT_SOCKET, socket.SOCK_SEQPACKET) as listener:
            asyncio.run(_in(case, Real(tmp_path, listener)))

    return on_simulated if request.param == "simulated" else on_real


async def _in(case: Case, driver: Driver) -> None:
    await case(driver, Ear())


def figures(event_seq: int) -> Figures:
    return Figures(event_seq=event_seq, event_crc=1, digest=bytes(16))


def test_beats_come_in_order_and_progress_is_seen(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        for number in (1, 2, 3):
            guard.store_progress(number, 70 + number)
            guard.beat(figures(number))
        assert await driver.beats() == [1, 2, 3]
        assert driver.progress() == (3, 73)

    run(case)


def test_pulses_are_told_and_say_whether_it_protects(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        assert guard.is_armed and not guard.must_reduce
        await driver.pulse(is_armed=False)
        assert not guard.is_armed
        await driver.pulse(is_armed=True)
        assert guard.is_armed
        assert ear.pulses == [False, True]
        assert not ear.gone

    run(case)


def test_a_run_behind_a_reset_may_only_reduce(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear, must_reduce=True)
        await driver.pulse()
        assert guard.must_reduce

    run(case)


@pytest.mark.parametrize("how", ["trip", "die"])
def test_its_end_is_told_once_and_last_and_nothing_reaches_it_any_more(run: Callable[[Case], None], how: str) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        await driver.pulse()
        await (driver.trip() if how == "trip" else driver.die())
        assert len(ear.gone) == 1
        assert not guard.is_armed
        guard.beat(figures(9))
        guard.store_progress(9, 9)
        await guard.leave()
        guard.abandon()
        assert len(ear.gone) == 1
        assert ear.pulses == [True]

    run(case)


def test_a_good_bye_is_said_once_and_nothing_is_told_behind_it(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        guard.beat(figures(1))
        await guard.leave()
        await guard.leave()
        guard.beat(figures(2))
        guard.abandon()
        assert not guard.is_armed
        assert await driver.beats() == [1]
        assert await driver.good_byes() == 1
        await driver.die()
        assert not ear.gone

    run(case)


def test_a_guard_that_ended_unnoticed_can_be_left(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        driver.die_unnoticed()
        await guard.leave()
        assert not guard.is_armed
        assert not ear.gone, "the run is over: there is nobody to be told"

    run(case)


def test_who_is_abandoned_hears_neither_beat_nor_good_bye(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        guard.abandon()
        guard.beat(figures(1))
        await guard.leave()
        assert not guard.is_armed
        assert await driver.beats() == []
        assert await driver.good_byes() == 0
        await driver.pulse()
        assert not ear.pulses and not ear.gone

    run(case)


def test_a_guard_that_does_not_read_costs_nothing(run: Callable[[Case], None]) -> None:
    async def case(driver: Driver, ear: Ear) -> None:
        guard = await driver.watch(ear)
        for number in range(BEATS_NOBODY_READS):
            guard.beat(figures(number))
        assert guard.is_armed and not ear.gone

    run(case)


def test_without_a_guard_there_is_no_link(tmp_path: Path) -> None:
    async def real() -> None:
        await GuardLink.connect(tmp_path, run="r", run_epoch=7, build=b"b" * 16, listener=Ear())

    with pytest.raises(SetupError, match="no guard listens"):
        asyncio.run(real())
    dead = VirtualGuard()
    dead.die()
    with pytest.raises(SetupError, match="no guard listens"):
        dead.watch(Ear())
