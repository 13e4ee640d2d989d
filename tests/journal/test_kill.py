"""SIGKILL in the middle of writing: what `event` and `effects` returned for is there, and the journal goes on.

The child reports each step on a pipe after the journal took it; the parent kills it at a random instant, or it kills
itself before one of its operations on the disk. It takes no part in deciding what survived.
"""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.journal.errors import JournalInUse
from agent.journal.reader import JournalReader
from agent.journal.recovery import recover
from agent.journal.settings import JournalSettings, process_settings
from agent.ports.disk import SYSTEM_DISK, Disk, Lock, MappedBytes, StoredFile, SystemDisk
from tests.journal.worlds import RUN, Tally, make_tally, tick

QUICK = process_settings(segment_bytes=32 * 1024)
NUMBER_BYTES = 8


class StopWatch:
    """Kills its own process before operation `at`."""

    def __init__(self, at: int) -> None:
        self.left = at

    def operation(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingMap:
    def __init__(self, mapped: MappedBytes, watch: StopWatch) -> None:
        self._mapped = mapped
        self._watch = watch

    def __getitem__(self, where: slice) -> bytes | bytearray:
        return self._mapped[where]

    def __setitem__(self, where: slice, content: bytes) -> None:
        self._watch.operation()
        if self._watch.left == 1:  # the next one kills: let this one be the half of a record
            half = len(content) // 2
            self._mapped[where.start : where.start + half] = content[:half]
            self._watch.operation()
        self._mapped[where] = content


class DyingFile:
    def __init__(self, file: StoredFile, watch: StopWatch) -> None:
        self._file = file
        self._watch = watch

    @property
    def size(self) -> int:
        return self._file.size

    def read_at(self, offset: int, length: int) -> bytes:
        return self._file.read_at(offset, length)

    def write_at(self, offset: int, content: bytes) -> None:
        self._watch.operation()
        self._file.write_at(offset, content)

    def map(self) -> MappedBytes:
        return DyingMap(self._file.map(), self._watch)

    def warm(self, start: int, end: int) -> None:
        self._file.warm(start, end)

    def sync(self) -> None:
        self._watch.operation()
        self._file.sync()

    def truncate(self, size: int) -> None:
        self._watch.operation()
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


class DyingDisk(SystemDisk):
    """The machine's, in a process that dies before its n-th operation on it."""

    def __init__(self, at: int) -> None:
        self._watch = StopWatch(at)

    def create(self, path: Path, *, size: int = 0) -> StoredFile:
        self._watch.operation()
        return DyingFile(super().create(path, size=size), self._watch)

    def open(self, path: Path) -> StoredFile:
        return DyingFile(super().open(path), self._watch)

    def rename(self, old: Path, new: Path) -> None:
        self._watch.operation()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._watch.operation()
        super().remove(path)

    def sync_folder(self, folder: Path) -> None:
        self._watch.operation()
        super().sync_folder(folder)

    def lock(self, path: Path) -> Lock:
        return super().lock(path)


def live(folder: Path, report: int, steps: int, disk: Disk, settings: JournalSettings) -> None:
    """Start, step, report each step; every fourth takes a snapshot. Ends in good order if it is not killed."""
    recovered = recover(folder, make_tally, disk=disk)
    journal = recovered.begin(folder, RUN, monotonic_ns=0, wall_ns=0, settings=settings, disk=disk)
    machine = recovered.machine or Tally()
    assert isinstance(machine, Tally)
    for _ in range(steps):
        number = machine.count
        tick(journal, machine, number, padding=number % 50)
        os.write(report, journal.run_epoch.to_bytes(4, "little") + machine.count.to_bytes(4, "little"))
        if number % 64 == 63:
            journal.snapshot(machine.state() or b"", monotonic_ns=0, wall_ns=0)
    journal.close(state=machine.state())


def killed(
    folder: Path, kill: Callable[[int, int], None], steps: int, disk: Disk = SYSTEM_DISK
) -> tuple[int, int, bool]:
    """Run it in a child; the last epoch and count that it reported, and whether it was killed."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.close(reads)
            live(folder, writes, steps, disk, QUICK)
            status = 0
        finally:
            os._exit(status)
    os.close(writes)
    kill(child, reads)
    _, status = os.waitpid(child, 0)
    last = b""
    with os.fdopen(reads, "rb") as pipe:
        last = pipe.read()[-NUMBER_BYTES:]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    epoch, count = (int.from_bytes(last[at : at + 4], "little") for at in (0, 4))
    return epoch, count, os.WIFSIGNALED(status)


def judge(folder: Path, epoch: int, count: int) -> None:
    """Everything reported is there, and the past replays to it; the next run has an epoch of its own."""
    recovered = recover(folder, make_tally)
    found = recovered.machine.count if isinstance(recovered.machine, Tally) else 0
    assert found in (count, count + 1), f"{count} steps were reported, {found} are there"
    assert (recovered.ending.run_epoch if recovered.ending else 0) >= epoch
    recovered.lock.release()


def kill_at_random(folder: Path, times: int, rng: random.Random) -> None:
    highest = 0
    for _ in range(times):
        wait_s, is_at_work = rng.uniform(0, 0.03), rng.random() < 0.8

        def kill(child: int, reads: int, wait_s: float = wait_s, is_at_work: bool = is_at_work) -> None:
            if is_at_work:  # else it may still be starting
                select.select([reads], [], [])
            time.sleep(wait_s)
            os.kill(child, signal.SIGKILL)

        epoch, count, _ = killed(folder, kill, 100_000)
        if count == 0:
            continue  # it died before its first step
        assert epoch > highest, "an epoch came twice"
        highest = epoch
        judge(folder, epoch, count)
    assert highest, "no child ever came to its first step"
    reader = JournalReader(folder)
    records = list(reader.records())
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))


def test_fifteen_kills_at_random_instants_lose_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 15, random.Random())


@pytest.mark.leisure
@pytest.mark.slow
def test_a_thousand_kills_at_random_instants_lose_nothing(tmp_path: Path) -> None:
    rng = random.Random()
    for number in range(40):
        kill_at_random(tmp_path / str(number), 25, rng)


def operations_until_done(folder: Path, steps: int, limit: int, stride: int) -> int:
    """Kill a child before every `stride`-th operation of a whole run, start-up and end included; how many there were."""
    for at in range(1, limit, stride):
        place = folder / str(at)
        place.mkdir()
        epoch, count, is_killed = killed(place, lambda child, reads: None, steps, DyingDisk(at))
        if not is_killed:
            return at
        judge(place, epoch, count)
        # And the next run goes on from there to its end.
        _, count, is_killed = killed(place, lambda child, reads: None, 3)
        assert not is_killed
        judge(place, 0, count)
    raise AssertionError("it never came to its end")


def test_a_kill_before_any_operation_on_the_disk_loses_nothing(tmp_path: Path) -> None:
    assert operations_until_done(tmp_path, 4, 200, 1) > 20


@pytest.mark.leisure
@pytest.mark.slow
def test_a_kill_before_operations_of_a_long_run_loses_nothing(tmp_path: Path) -> None:
    assert operations_until_done(tmp_path, 400, 5000, 7) > 600


def test_a_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    held = recover(tmp_path, make_tally)
    with pytest.raises(JournalInUse):
        recover(tmp_path, make_tally)
    journal = held.begin(tmp_path, RUN, monotonic_ns=0, wall_ns=0)
    with pytest.raises(JournalInUse):
        recover(tmp_path, make_tally)
    journal.close()
    again = recover(tmp_path, make_tally)
    again.lock.release()
