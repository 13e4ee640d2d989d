"""Journals with a known content, for the tests here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.core.effects import Effect
from agent.core.effects.chain import Submit
from agent.core.effects.control import Alarm
from agent.core.events import Event, Stamp
from agent.core.events.control import HaltAsked, TimerFired
from agent.core.step import Core
from agent.journal.records import Run
from agent.journal.settings import JournalSettings
from agent.journal.writer import JournalWriter
from agent.ports.disk import SYSTEM_DISK, Disk
from tests.core.test_bundles import EXECUTED, FOUND, HEAD, LIMITS

EVENTS = (HEAD, FOUND, EXECUTED, HaltAsked("person", "end"))
RUN = Run("r", "0", {"limits": msgspec.json.encode(LIMITS).decode()})
SMALL = JournalSettings(segment_bytes=16 * 1024, free_bytes_min=0, is_threaded=False)


def write_run(folder: Path) -> JournalWriter:
    """The story of one opportunity, stepped through the core; closed."""
    journal = JournalWriter(folder, RUN, monotonic_ns=0, wall_ns=0)
    core = Core(LIMITS)
    for event in EVENTS:
        sequence = journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event, Stamp(sequence, 1, 2)), monotonic_ns=3, wall_ns=4)
    journal.close()
    return journal


class Tally:
    """A core whose whole state is a count and a sum: every third event asks for a submission, each for an alarm."""

    def __init__(self, state: bytes | None = None) -> None:
        self.count, self.length = (0, 0) if state is None else msgspec.json.decode(state, type=tuple[int, int])

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        assert isinstance(event, TimerFired)
        self.count += 1
        self.length += len(event.name)
        alarm = Alarm("notice", "TICK", event.name, str(self.length))
        return (Submit(event.name, self.count), alarm) if self.count % 3 == 0 else (alarm,)

    def state(self) -> bytes | None:
        return msgspec.json.encode((self.count, self.length))


def make_tally(run: Run, state: bytes | None) -> Tally:
    return Tally(state)


def begin(
    folder: Path, *, settings: JournalSettings = SMALL, disk: Disk = SYSTEM_DISK, monotonic_ns: int = 0
) -> JournalWriter:
    return JournalWriter(folder, RUN, monotonic_ns=monotonic_ns, wall_ns=0, settings=settings, disk=disk)


def tick(journal: JournalWriter, machine: Tally, number: int, *, padding: int = 0) -> int:
    """One whole step; the sequence of its last record."""
    event = TimerFired(f"{number:06}{'x' * padding}")
    at = number * 1_000_000
    sequence = journal.event(event, monotonic_ns=at, wall_ns=at)
    journal.effects(machine.step(event, Stamp(sequence, at, at)), monotonic_ns=at, wall_ns=at)
    return journal.sequence
