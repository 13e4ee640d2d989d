"""From what the last run left to where the next one begins.

Theory of operation. Under the lock: the newest whole snapshot gives a state, the records behind it are stepped through
the core, and every effect and state is compared with what was recorded; one difference and nothing is traded. Nothing
is executed: whatever had been sent is asked of the venue afterwards. A torn tail is kept beside the journal, then cut,
and the next run records that. Everything is synced before the next run names it as durable.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.core.effects import Effect
from agent.errors import SetupError
from agent.journal.code import code_hash
from agent.journal.errors import CodeChanged, CorruptJournal, Diverged, JournalInUse
from agent.journal.machine import Machine, MakeMachine
from agent.journal.reader import JournalReader, Torn
from agent.journal.records import EVENT, Cut, Run
from agent.journal.replay import Difference, Replay
from agent.journal.segments import FOLDER_NAME, OLD_FILE_NAME, segment_name, segment_numbers
from agent.journal.settings import DEVNET, JournalSettings
from agent.journal.snapshots import Snapshot, newest_snapshots
from agent.journal.writer import LOCK_NAME, Ending, JournalWriter
from agent.ports.disk import SYSTEM_DISK, Disk, Lock

DIVERGED_NAME = "diverged.json"


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a start found. `machine` is None where the journal held no run."""

    machine: Machine | None
    ending: Ending | None
    events: int = 0
    snapshot_sequence: int = 0
    """Where the replay began; 0 for the beginning."""
    lock: Lock

    def begin(
        self,
        folder: Path,
        run: Run,
        *,
        monotonic_ns: int,
        wall_ns: int,
        settings: JournalSettings = DEVNET,
        disk: Disk = SYSTEM_DISK,
        config_hash: bytes = bytes(32),
    ) -> JournalWriter:
        """The next run's writer, which takes over the lock."""
        return JournalWriter(
            folder,
            run,
            monotonic_ns=monotonic_ns,
            wall_ns=wall_ns,
            settings=settings,
            disk=disk,
            config_hash=config_hash,
            continues=self.ending,
            lock=self.lock,
        )


def recover(folder: Path, make: MakeMachine, *, disk: Disk = SYSTEM_DISK) -> Recovered:
    """Bring the core of `folder`/journal to where it was. An empty folder gives no machine.

    Raises JournalInUse, CorruptJournal, Diverged, CodeChanged, UnknownFormat, UnknownKind; SetupError for the disk.
    """
    journal = folder / FOLDER_NAME
    try:
        disk.make_folder(journal)
        lock = disk.lock(journal / LOCK_NAME)
    except BlockingIOError:
        raise JournalInUse(str(journal)) from None
    except OSError as error:
        raise SetupError(f"cannot open the journal: {error.strerror or error}", where=str(journal)) from error
    try:
        return _recover(folder, journal, make, disk, lock)
    except OSError as error:
        lock.release()
        raise SetupError(f"cannot mend the journal: {error.strerror or error}", where=str(journal)) from error
    except BaseException:
        lock.release()
        raise


def _recover(folder: Path, journal: Path, make: MakeMachine, disk: Disk, lock: Lock) -> Recovered:
    if not segment_numbers(journal, disk) and OLD_FILE_NAME not in disk.names(folder):
        return Recovered(machine=None, ending=None, lock=lock)
    reader = JournalReader(folder, disk=disk)
    snapshots = newest_snapshots(journal, disk)
    start = snapshots[0] if snapshots else None
    if start is None and reader.numbers[0] != 1:
        raise CorruptJournal("the first segments are gone and no snapshot is whole", path=str(journal), sequence=1)
    machine, events = _replayed(reader, make, start, disk)
    header = reader.header
    if start is not None and reader.sequence < start.sequence:
        raise CorruptJournal(
            f"the snapshot stands behind record {start.sequence}, and the journal ends at {reader.sequence}",
            path=str(journal),
            sequence=reader.sequence + 1,
        )
    cut = None if reader.torn is None else _cut(journal, reader.torn, disk)
    if header is None:
        # The first header was torn or never written, so nothing ever left behind it: the journal begins anew.
        _settle(journal, 0, disk)
        return Recovered(machine=None, ending=None, lock=lock)
    _settle(journal, header.segment, disk)
    ending = Ending(
        segment=header.segment,
        sequence=reader.sequence,
        crc=reader.crc,
        digest=reader.digest,
        run_epoch=header.run_epoch,
        cut=cut,
    )
    return Recovered(
        machine=machine,
        ending=ending,
        events=events,
        snapshot_sequence=0 if start is None else start.sequence,
        lock=lock,
    )


def _replayed(
    reader: JournalReader, make: MakeMachine, start: Snapshot | None, disk: Disk
) -> tuple[Machine | None, int]:
    """The machine at the journal's end. Raises Diverged; CodeChanged where other code would have to finish it."""
    last = reader.last_header()
    written_by = code_hash() if last is None else last.code_hash
    if written_by != code_hash():
        for record in reader.records(above=0 if start is None else start.sequence):
            if record.type == EVENT:
                raise CodeChanged(path=str(reader.path), written_by=written_by.hex()[:12], here=code_hash().hex()[:12])
        return (None if start is None else make(start.run, start.state)), 0
    replay = Replay(reader, make, start=start)
    for difference in replay.differences():
        raise _diverged(difference, reader.path, disk)
    return replay.machine, replay.events


def _diverged(difference: Difference, journal: Path, disk: Disk) -> Diverged:
    """The error, with both answers kept in a file beside the journal."""
    path = journal / DIVERGED_NAME
    if path.name in disk.names(journal):
        disk.remove(path)
    file = disk.create(path)
    try:
        file.write_at(0, msgspec.json.format(msgspec.json.encode(difference)))
        file.sync()
    finally:
        file.close()

    def text(effects: tuple[Effect, ...], state: str) -> str:
        return state or msgspec.json.encode(effects).decode()

    return Diverged(
        f"the core decides otherwise at record {difference.sequence} {difference.reason}".rstrip(),
        path=str(path),
        sequence=difference.sequence,
        recorded=text(difference.recorded, difference.recorded_state),
        replayed=text(difference.replayed, difference.replayed_state),
    )


def _cut(journal: Path, torn: Torn, disk: Disk) -> Cut:
    """Keep the tail in a file of its own, then cut it; what `_settle` syncs may be done again before that."""
    kept = journal / f"{segment_name(torn.segment)}.torn"
    parts = [_read(journal / segment_name(torn.segment), disk)[torn.offset :].rstrip(b"\0")]
    parts += [_read(journal / segment_name(number), disk).rstrip(b"\0") for number in torn.later_segments]
    temporary = kept.with_suffix(".partial")
    if temporary.name in disk.names(journal):
        disk.remove(temporary)
    file = disk.create(temporary)
    try:
        file.write_at(0, b"".join(parts))
        file.sync()
    finally:
        file.close()
    disk.rename(temporary, kept)
    disk.sync_folder(journal)
    for number in reversed(torn.later_segments):
        disk.remove(journal / segment_name(number))
    file = disk.open(journal / segment_name(torn.segment))
    try:
        file.truncate(torn.offset)
    finally:
        file.close()
    return Cut(segment=torn.segment, offset=torn.offset, cut_bytes=torn.byte_count, kept_in=kept.name)


def _settle(journal: Path, last: int, disk: Disk) -> None:
    """Write and sync again what the last run may not have synced any more, and remove a segment it made ahead.

    To sync is not enough: after a sync that failed the kernel takes the pages for written, and a second one writes
    nothing. Only a page that is written to is one to write.
    """
    numbers = segment_numbers(journal, disk)
    for number in numbers:
        path = journal / segment_name(number)
        if number > last:
            disk.remove(path)
            continue
        file = disk.open(path)
        try:
            if number >= last - 1:  # everything before was synced before the present segment was made
                file.write_at(0, file.read_at(0, file.size).rstrip(b"\0"))
            file.sync()
        finally:
            file.close()
    disk.sync_folder(journal)


def _read(path: Path, disk: Disk) -> bytes:
    file = disk.open_to_read(path)
    try:
        return file.read_at(0, file.size)
    finally:
        file.close()
