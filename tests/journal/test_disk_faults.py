"""A disk that is full, or fails: told before an order needs it where that can be, and after it nothing leaves."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.core.events.control import TimerFired
from agent.errors import SetupError
from agent.journal.errors import JournalFailed, RecordTooLong
from agent.journal.reader import JournalReader
from agent.journal.records import EVENT, HALT, PAYLOAD_BYTES_MAX
from agent.journal.recovery import recover
from agent.journal.settings import Durability, process_settings
from agent.journal.writer import JournalWriter
from tests.journal.memory_disk import MemoryDisk
from tests.journal.worlds import RUN, SMALL, Tally, begin, make_tally, tick

FOLDER = Path("/run")
POWER = msgspec.structs.replace(SMALL, durability=Durability.POWER)


def fail(disk: MemoryDisk, operation: str, number: int = errno.EIO) -> None:
    def before(name: str) -> None:
        if name == operation:
            raise OSError(number, os.strerror(number))

    disk.before = before


def fill(journal: JournalWriter, machine: Tally) -> JournalFailed:
    for number in range(10_000):
        try:
            tick(journal, machine, number)
            journal.work()
        except JournalFailed as failure:
            return failure
    raise AssertionError("it never failed")


def refuses_everything(journal: JournalWriter) -> None:
    with pytest.raises(JournalFailed, match="failed earlier"):
        journal.event(TimerFired("x"), monotonic_ns=0, wall_ns=0)
    told: list[JournalFailed | None] = []
    journal.when_synced(told.append)
    assert isinstance(told[0], JournalFailed)
    health = journal.health(0)
    assert health is None or not health.is_healthy


def test_a_failed_sync_poisons_and_is_never_repeated() -> None:
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, settings=POWER, disk=disk), Tally()
    tick(journal, machine, 1)
    told: list[JournalFailed | None] = []
    journal.when_synced(told.append)
    fail(disk, "sync")
    journal.work()
    (failure,) = told
    assert failure is not None and "Input/output error" in failure.message
    disk.before = lambda name: pytest.fail(f"{name} after a failed sync")
    journal.work()
    assert journal.synced_sequence < journal.sequence
    refuses_everything(journal)
    journal.close()


def test_an_io_error_of_the_next_segment_poisons() -> None:
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, disk=disk), Tally()
    fail(disk, "create")
    fill(journal, machine)
    refuses_everything(journal)


def test_no_room_for_the_next_segment_is_told_long_before_the_end_and_the_reserve_takes_the_reason() -> None:
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, disk=disk), Tally()
    assert journal.health(0) is None
    fail(disk, "create", errno.ENOSPC)
    told_at = 0
    for number in range(10_000):
        try:
            tick(journal, machine, number)
        except JournalFailed as failure:
            assert "No space left" in failure.message
            break
        journal.work()
        if told_at == 0 and (health := journal.health(number * 1_000_000)) is not None:
            assert not health.is_healthy and "No space left" in health.detail
            told_at = number
    assert 0 < told_at < number - 20, "an order that is denied in time needs no room"
    refuses_everything(journal)
    journal.close()
    records = list(JournalReader(FOLDER, disk=disk).records())
    assert records[-1].type == HALT and b"No space left" in records[-1].payload
    assert sum(record.type == EVENT for record in records) in (machine.count, machine.count + 1)


def test_room_that_comes_back_in_time_heals() -> None:
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, disk=disk), Tally()
    fail(disk, "create", errno.ENOSPC)
    number = 0
    while (health := journal.health(0)) is None:
        tick(journal, machine, number)
        journal.work()
        number += 1
    assert not health.is_healthy
    disk.before = lambda name: None
    journal.work()
    healed = journal.health(0)
    assert healed is not None and healed.is_healthy
    for more in range(200):
        tick(journal, machine, number + more)
    journal.close()
    assert len(JournalReader(FOLDER, disk=disk).numbers) > 2


def test_a_shortage_in_the_middle_of_a_record_is_whole_afterwards() -> None:
    """The last step before the end: its event is there, and recovery takes the journal as it is."""
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, disk=disk), Tally()
    fail(disk, "create", errno.ENOSPC)
    fill(journal, machine)
    journal.close()
    disk.before = lambda name: None
    recovered = recover(FOLDER, make_tally, disk=disk)
    assert isinstance(recovered.machine, Tally) and recovered.machine.count == machine.count
    recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=SMALL, disk=disk)


def test_an_error_at_the_start_begins_nothing_and_keeps_no_lock() -> None:
    for operation in ("create", "sync", "sync_folder"):
        disk = MemoryDisk()
        fail(disk, operation, errno.ENOSPC)
        with pytest.raises(SetupError, match="No space left"):
            begin(FOLDER, disk=disk)
        assert not disk.locked


def test_a_start_needs_room(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SMALL, free_bytes_min=1 << 60)
    with pytest.raises(SetupError, match="MiB are needed") as refused:
        begin(tmp_path, settings=settings)
    assert refused.value.code == "E_JOURNAL_ROOM"


def test_a_record_that_no_segment_holds_is_refused_and_leaves_the_journal_whole() -> None:
    disk = MemoryDisk()
    settings = msgspec.structs.replace(SMALL, segment_bytes=4 * PAYLOAD_BYTES_MAX)
    for each in (SMALL, settings):
        journal = begin(FOLDER / str(each.segment_bytes), settings=each, disk=disk)
        with pytest.raises(RecordTooLong):
            journal.event(TimerFired("x" * (PAYLOAD_BYTES_MAX + 1)), monotonic_ns=0, wall_ns=0)
        journal.event(TimerFired("fits"), monotonic_ns=0, wall_ns=0)
        journal.close()
        reader = JournalReader(FOLDER / str(each.segment_bytes), disk=disk)
        assert [record.type for record in reader.records()][1] == EVENT and reader.torn is None


def test_a_stale_sync_is_not_healthy_with_power_and_an_alarm_elsewhere() -> None:
    for durability, is_healthy in ((Durability.POWER, False), (Durability.PROCESS, True)):
        disk = MemoryDisk()
        settings = msgspec.structs.replace(SMALL, durability=durability)
        journal = begin(FOLDER, settings=settings, disk=disk)
        tick(journal, Tally(), 5)
        assert journal.health(5_000_000 + settings.unsynced_max_ns) is None
        late = journal.health(5_000_001 + settings.unsynced_max_ns)
        assert late is not None and late.detail and late.is_healthy is is_healthy
        journal.work()
        healed = journal.health(5_000_001 + settings.unsynced_max_ns)
        assert healed is not None and healed.is_healthy and not healed.detail


def test_a_real_limit_on_file_size_ends_as_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses the second segment of a child whose files may not be larger."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (48 * 1024, 48 * 1024))
            try:
                begin(tmp_path / "large", settings=process_settings(segment_bytes=64 * 1024))
            except SetupError as refused:
                status = 0 if "File too large" in refused.message else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not list((tmp_path / "large" / "journal").glob("*.mvj")), "a file that could not be made whole is removed"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_fills_up_stops_the_journal_and_not_the_process(small_disk: Path) -> None:
    settings = msgspec.structs.replace(process_settings(segment_bytes=64 * 1024), free_bytes_min=0, is_threaded=False)
    journal, machine = begin(small_disk, settings=settings), Tally()
    failure = fill(journal, machine)
    assert "No space left" in failure.message
    journal.close()
    reader = JournalReader(small_disk)
    records = list(reader.records())
    assert records[-1].type == HALT and reader.torn is None and len(reader.numbers) >= 3
    recovered = recover(small_disk, make_tally)
    assert isinstance(recovered.machine, Tally) and recovered.machine.count == machine.count
    recovered.lock.release()
