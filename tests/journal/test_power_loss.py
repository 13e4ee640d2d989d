"""The loss of power at any instant: no record that let an order out is lost, and no honest disk is refused.

The writer runs on a disk that knows what was synced. Before every operation on it, and behind every step, each state
that a loss of power could leave is started from: every subset of the 512-byte sectors and names that no sync covered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent.journal.errors import JournalFailed
from agent.journal.reader import JournalReader
from agent.journal.recovery import Recovered, recover
from agent.journal.settings import Durability
from agent.journal.writer import JournalWriter
from tests.journal.memory_disk import MemoryDisk, PowerLost
from tests.journal.worlds import RUN, SMALL, Tally, begin, make_tally, tick

FOLDER = Path("/run")
POWER = msgspec.structs.replace(SMALL, durability=Durability.POWER, segment_bytes=6144, retain_bytes=0)


class Story:
    """A run that asks, behind each order, to be told when it is durable."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk
        self.out: set[int] = set()
        """Sequences of records whose effects have left."""
        self.epoch = 0
        self.machine = Tally()

    def tell(self, journal: JournalWriter) -> None:
        sequence = journal.sequence

        def synced(failure: JournalFailed | None) -> None:
            if failure is None:
                self.out.add(sequence)

        journal.when_synced(synced)

    def run(self, steps: int, *, sync_every: int, padding: int, close: bool = False) -> Iterator[None]:
        journal = begin(FOLDER, settings=POWER, disk=self.disk)
        self.epoch = journal.run_epoch
        for number in range(steps):
            tick(journal, self.machine, number, padding=padding)
            self.tell(journal)
            yield
            if number % sync_every == sync_every - 1:
                journal.work()
                yield
            if number % 10 == 6:
                journal.snapshot(self.machine.state() or b"", monotonic_ns=number, wall_ns=number)
        if close:
            journal.close(state=self.machine.state())
            yield


def start(disk: MemoryDisk, story: Story) -> Recovered:
    """A start from an image must succeed, and find everything that let an order out."""
    recovered = recover(FOLDER, make_tally, disk=disk)
    found = 0 if recovered.ending is None else recovered.ending.sequence
    assert found >= max(story.out, default=0), f"record {max(story.out)} let an order out and is lost behind {found}"
    if story.out:
        assert recovered.ending is not None and recovered.ending.run_epoch >= story.epoch
    return recovered


def go_on(disk: MemoryDisk, recovered: Recovered) -> None:
    """The next run's journal is whole, and tells what was cut."""
    journal = recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=POWER, disk=disk)
    machine = recovered.machine or Tally()
    assert isinstance(machine, Tally)
    tick(journal, machine, 7)
    journal.close()
    reader = JournalReader(FOLDER, disk=disk)
    records = list(reader.records())
    assert reader.torn is None
    first = records[0].sequence  # older segments may have gone, once two snapshots stand behind them
    assert [record.sequence for record in records] == list(range(first, first + len(records)))


def every_instant(disk: MemoryDisk, act: Callable[[], Iterator[None]], judge: Callable[[], None]) -> None:
    """Call `judge` before each operation of the disk, and at each step of `act`."""

    def before(name: str) -> None:
        if name != "map":  # between two mapped writes nothing becomes durable: behind the step is enough
            judge()

    disk.before = before
    for _ in act():
        disk.before = lambda name: None
        judge()
        disk.before = before


@pytest.mark.parametrize(("steps", "sync_every", "padding"), [(40, 1, 0), (40, 2, 90), (40, 5, 0), (22, 9, 300)])
def test_no_image_is_refused_and_nothing_that_left_is_lost(steps: int, sync_every: int, padding: int) -> None:
    rng = random.Random(sync_every * 1000 + padding)
    disk = MemoryDisk()
    story = Story(disk)
    images = 0

    def judge() -> None:
        nonlocal images
        for image in disk.images(rng):
            images += 1
            recovered = start(image, story)
            if images % 5 == 0:
                go_on(image, recovered)

    every_instant(disk, lambda: story.run(steps, sync_every=sync_every, padding=padding, close=True), judge)
    assert images > 300
    assert story.out


def test_power_may_fail_again_at_any_operation_of_the_start() -> None:
    rng = random.Random(3)
    disk = MemoryDisk()
    story = Story(disk)
    for _ in story.run(15, sync_every=9, padding=40):
        pass
    torn = 0
    for image in list(disk.images(rng))[::3]:
        operation = 0
        is_done = False
        while not is_done:
            operation += 1
            again = image.after_kill()
            left = operation

            def before(name: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise PowerLost

            again.before = before
            try:
                recovered = start(again, story)
                torn += recovered.ending is not None and recovered.ending.cut is not None
                recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=POWER, disk=again)
                is_done = True
            except PowerLost:
                pass
            again.before = lambda name: None
            for second in list(again.images(rng))[:6]:
                go_on(second, start(second, story))
    assert torn


def test_the_epoch_of_a_run_is_durable_before_anything_can_leave_under_it() -> None:
    rng = random.Random(5)
    disk = MemoryDisk()
    for epoch in (1, 2, 3):
        recovered = recover(FOLDER, make_tally, disk=disk)
        journal = recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=SMALL, disk=disk)
        machine = recovered.machine or Tally()
        assert isinstance(machine, Tally)
        for number in range(12):
            tick(journal, machine, number)
        assert journal.run_epoch == epoch
        for image in disk.images(rng):
            ending = recover(FOLDER, make_tally, disk=image).ending
            assert ending is not None and ending.run_epoch == epoch
        disk = disk.after_kill()


def test_what_was_known_to_be_durable_is_not_given_up() -> None:
    """The control: a disk that loses what it said it had is found, wherever it does so."""
    disk = MemoryDisk()
    story = Story(disk)
    for _ in story.run(12, sync_every=3, padding=0):
        pass
    path = FOLDER / "journal" / "0000000001.mvj"
    content = disk.seen[path].seen
    records = list(JournalReader(FOLDER, disk=disk).records())
    durable = max(record.synced_sequence for record in records)
    refused = 0
    for record in records:
        at = content.index(record.payload)
        image = disk.after_kill()
        image.seen[path].seen[at] ^= 1
        try:
            recover(FOLDER, make_tally, disk=image)
        except Exception:
            refused += 1
            assert record.sequence <= durable
        else:
            assert record.sequence > durable
    assert refused == durable
