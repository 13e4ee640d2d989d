"""The journal's own threads: records are told as durable only when they are, under load and through rolls."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
import time
import weakref
from pathlib import Path

import msgspec
import pytest

from agent.core.effects.chain import Cancel, Drop, Submit
from agent.core.effects.orders import Amend, CancelAll, CancelOrder, Place
from agent.journal.errors import JournalFailed
from agent.journal.reader import JournalReader
from agent.journal.replay import Replay
from agent.journal.settings import Durability, JournalSettings
from agent.journal.writer import NEEDS_SYNC
from tests.journal.memory_disk import MemoryDisk
from tests.journal.worlds import Tally, begin, make_tally, tick

THREADED = JournalSettings(durability=Durability.POWER, segment_bytes=32 * 1024, free_bytes_min=0)
FOLDER = Path("/run")


def test_what_adds_risk_waits_and_what_takes_it_away_does_not() -> None:
    assert {Place, Amend, Submit} == NEEDS_SYNC
    assert not NEEDS_SYNC & {CancelOrder, CancelAll, Cancel, Drop}


def test_thousands_of_records_over_many_segments_are_each_told_once_and_in_order(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path, settings=THREADED), Tally()
    told: list[tuple[int, int]] = []

    def asked(sequence: int) -> None:
        def synced(failure: JournalFailed | None) -> None:
            assert failure is None
            told.append((sequence, journal.synced_sequence))

        journal.when_synced(synced)

    asked_for = []
    for number in range(3000):
        asked_for.append(tick(journal, machine, number))
        asked(journal.sequence)
        if number % 300 == 0:
            journal.snapshot(machine.state() or b"", monotonic_ns=number, wall_ns=number)
            journal.wait_synced()
    journal.wait_synced()
    assert journal.synced_sequence == journal.sequence
    journal.close(state=machine.state())
    assert sorted(sequence for sequence, _ in told) == asked_for
    assert all(synced >= sequence for sequence, synced in told)
    reader = JournalReader(tmp_path)
    assert len(reader.numbers) > 10
    replay = Replay(reader, make_tally)
    assert list(replay.differences()) == []
    assert replay.events == 3000 and reader.torn is None


class SlowSync(MemoryDisk):
    """Says when a sync began, and lets it end when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.is_slow = False

    def operation(self, name: str) -> None:
        super().operation(name)
        if name == "sync" and self.is_slow:
            self.began.set()
            assert self.may_end.wait(10)


def test_a_slow_sync_holds_up_no_record_and_is_told_as_ill_health() -> None:
    disk = SlowSync()
    journal, machine = begin(FOLDER, settings=THREADED, disk=disk), Tally()
    disk.is_slow = True
    tick(journal, machine, 1)
    told: list[JournalFailed | None] = []
    journal.when_synced(told.append)
    assert disk.began.wait(10)
    for number in range(2, 50):
        tick(journal, machine, number)
    assert not told and journal.synced_sequence < journal.sequence
    late = journal.health(200_000_000)
    assert late is not None and not late.is_healthy
    disk.may_end.set()
    journal.wait_synced()
    assert told == [None]
    assert (healed := journal.health(200_000_000)) is not None and healed.is_healthy
    journal.close()


async def test_an_event_loop_goes_on_while_it_waits_and_hears_of_a_failure() -> None:
    disk = SlowSync()
    journal, machine = begin(FOLDER, settings=THREADED, disk=disk), Tally()
    disk.is_slow = True
    tick(journal, machine, 1)
    waiting = asyncio.create_task(journal.until_synced())
    while not disk.began.is_set():
        await asyncio.sleep(0.001)
    assert not waiting.done()
    disk.may_end.set()
    await waiting
    tick(journal, machine, 2)

    def fails(name: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.before = fails
    with pytest.raises(JournalFailed):
        await journal.until_synced()
    with pytest.raises(JournalFailed):
        tick(journal, machine, 3)
    journal.close()


def test_who_waits_when_the_journal_closes_is_told(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path, settings=THREADED), Tally()
    told: list[JournalFailed | None] = []
    for number in range(20):
        tick(journal, machine, number)
        journal.when_synced(told.append)
    journal.close()
    assert told == [None] * 20
    journal.when_synced(told.append)
    assert told[-1] is None or isinstance(told[-1], JournalFailed)
    with pytest.raises(JournalFailed):
        journal.when_synced(told.append) or tick(journal, machine, 99)


def test_with_process_nobody_waits() -> None:
    disk = SlowSync()
    settings = msgspec.structs.replace(THREADED, durability=Durability.PROCESS)
    journal, machine = begin(FOLDER, settings=settings, disk=disk), Tally()
    disk.is_slow = True
    tick(journal, machine, 1)
    told: list[JournalFailed | None] = []
    journal.when_synced(told.append)
    journal.wait_synced()
    assert told == [None] and journal.synced_sequence < journal.sequence
    disk.may_end.set()
    journal.close()


def test_a_dropped_writer_ends_its_thread() -> None:
    journal = begin(FOLDER, settings=THREADED, disk=MemoryDisk())
    (thread,) = journal._keeper._threads
    gone = weakref.ref(journal)
    del journal
    gc.collect()
    deadline = time.monotonic() + 10
    while thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()
    assert gone() is None and not thread.is_alive()
