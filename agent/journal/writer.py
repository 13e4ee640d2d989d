"""Append records to a run's journal before their effects leave the process.

Theory of operation. A record is the kernel's before `event` or `effects` returns, so it outlives the process. What must
outlive the loss of power asks `when_synced`. A run begins with a segment of its own, whose header is synced before the
constructor returns, and ends with `close`; a run that did not end so is settled by `agent.journal.recovery`.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec

from agent.core.effects import Effect
from agent.core.effects.chain import Submit
from agent.core.effects.orders import Amend, Place
from agent.core.events import Event
from agent.core.events.control import JournalHealth
from agent.errors import SetupError
from agent.journal.appender import Appender
from agent.journal.code import code_hash
from agent.journal.errors import JournalFailed, JournalInUse
from agent.journal.keeper import Keeper, SyncedCallback
from agent.journal.records import (
    CLOSE,
    CUT,
    EFFECTS,
    EVENT,
    RUN,
    STATE,
    Cut,
    Run,
    State,
    encode_payload,
)
from agent.journal.retention import prune
from agent.journal.segments import (
    FOLDER_NAME,
    NO_DIGEST,
    NO_HASH,
    OLD_FILE_NAME,
    segment_numbers,
)
from agent.journal.settings import DEVNET, Durability, JournalSettings
from agent.journal.snapshots import Snapshot, hash_state, write_snapshot
from agent.ports.disk import SYSTEM_DISK, Disk, Lock

LOCK_NAME = "lock"
NEEDS_SYNC: frozenset[type] = frozenset({Place, Amend, Submit})
"""Effects that, with `power`, leave only when their record is on the disk. Everything else may leave at once."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Where a journal ends: what the next run continues from."""

    segment: int
    sequence: int
    crc: int
    digest: bytes
    run_epoch: int
    cut: Cut | None = None


class JournalWriter(Appender):
    """One writer for one journal; every record gets the next sequence number, from 1."""

    def __init__(
        self,
        folder: Path,
        run: Run,
        *,
        monotonic_ns: int,
        wall_ns: int,
        settings: JournalSettings = DEVNET,
        disk: Disk = SYSTEM_DISK,
        config_hash: bytes = NO_HASH,
        continues: Ending | None = None,
        lock: Lock | None = None,
    ) -> None:
        """Begin a run in `folder`/journal. Where there is a journal already, `continues` says where it ends.

        Raises SetupError where it cannot be made, exists and is not continued, is in use, or the disk has no room.
        """
        self.folder = folder / FOLDER_NAME
        self.settings = settings
        self._disk = disk
        self._run = run
        self._lock = lock
        ending = continues or Ending(segment=0, sequence=0, crc=0, digest=NO_DIGEST, run_epoch=0)
        self.run_epoch = ending.run_epoch + 1
        self._config_hash, self._code_hash = config_hash, code_hash()
        self._number = ending.segment + 1
        self._sequence = ending.sequence
        self.digest = ending.digest
        self._limit = -1
        self._crc = ending.crc
        self._unsynced_since_ns = monotonic_ns
        self._is_open = False
        self._health = ""
        try:
            self._begin(folder, continues is not None)
        except OSError as error:
            self._release_lock()
            raise SetupError(
                f"cannot create the journal: {error.strerror or error}",
                where=str(self.folder),
                hint="choose another --out folder",
            ) from error
        except BaseException:
            self._release_lock()
            raise
        self._keeper = Keeper(
            self.folder,
            disk,
            settings,
            number=self._number,
            file=self._file,
            synced=ending.sequence,
            written=self._written,
            on_failure=self._refuse,
            prune=self._prune,
        )
        self._is_open = True
        self._open_segment(monotonic_ns, wall_ns)
        self._append(RUN, encode_payload(run), monotonic_ns, wall_ns)
        if ending.cut is not None:
            self._append(CUT, encode_payload(ending.cut), monotonic_ns, wall_ns)
        self._keeper.sync()  # the run_epoch is on the disk before anything leaves under it
        if self._keeper.failure is not None:
            self.close()
            raise self._keeper.error(is_first=True)
        self._keeper.start()

    @property
    def synced_sequence(self) -> int:
        """Everything up to here survives the loss of power."""
        return self._keeper.synced

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        """Record an event before it is stepped; returns its sequence. Raises JournalFailed, RecordTooLong."""
        return self._append(EVENT, encode_payload(event), monotonic_ns, wall_ns)

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        """Record the effects of the step before any of them leaves; nothing is written where there are none."""
        if effects:
            self._append(EFFECTS, encode_payload(effects), monotonic_ns, wall_ns)

    def state(self, state_hash: str, *, monotonic_ns: int, wall_ns: int, is_snapshot: bool = False) -> int:
        """Record the hash of the core's state behind everything so far: a replay compares it."""
        return self._append(STATE, encode_payload(State(state_hash, is_snapshot)), monotonic_ns, wall_ns)

    def snapshot(self, state: bytes, *, monotonic_ns: int, wall_ns: int) -> None:
        """Record the state's hash, and write the state beside the journal once the journal is synced up to here."""
        self.state(hash_state(state), monotonic_ns=monotonic_ns, wall_ns=wall_ns, is_snapshot=True)
        snapshot = self._snapshot(state)

        def write(failure: JournalFailed | None) -> None:
            if failure is None:
                self._keeper.write_snapshot(snapshot)

        self._keeper.when_synced(snapshot.sequence, write)

    # Durability

    def when_synced(self, callback: SyncedCallback, *, sequence: int | None = None) -> None:
        """Call back when the record (None: the last) survives what `durability` promises, or with the failure.

        At once with `process`; with `power` from the journal's thread, or from `work` where there is none.
        """
        if self.settings.durability is Durability.PROCESS:
            callback(None if self._keeper.failure is None else self._keeper.error())
            return
        self._keeper.when_synced(self._sequence if sequence is None else sequence, callback)

    def wait_synced(self, sequence: int | None = None) -> None:
        """Wait for it. Raises JournalFailed. Not on an event loop's thread."""
        if self.settings.durability is Durability.POWER and not self.settings.is_threaded:
            self._keeper.sync()
        done = threading.Event()
        failures: list[JournalFailed | None] = []

        def told(failure: JournalFailed | None) -> None:
            failures.append(failure)
            done.set()

        self.when_synced(told, sequence=sequence)
        done.wait()
        if failures[0] is not None:
            raise failures[0]

    async def until_synced(self, sequence: int | None = None) -> None:
        """The same on an event loop, which goes on meanwhile. Raises JournalFailed."""
        if self.settings.durability is Durability.PROCESS and self._keeper.failure is None:
            return
        loop = asyncio.get_running_loop()
        synced: asyncio.Future[None] = loop.create_future()

        def settle(failure: JournalFailed | None) -> None:
            if not synced.done():
                synced.set_result(None) if failure is None else synced.set_exception(failure)

        def told(failure: JournalFailed | None) -> None:
            loop.call_soon_threadsafe(settle, failure)

        self.when_synced(told, sequence=sequence)
        await synced

    def work(self) -> None:
        """What the threads do, for a world whose time is virtual."""
        self._keeper.work()

    def health(self, monotonic_ns: int) -> JournalHealth | None:
        """The event for the core where the health has changed since the last call; ask with each beat.

        What is not synced in time denies orders where they must survive a loss of power, and is an alarm elsewhere.
        """
        keeper = self._keeper
        problem = keeper.failure or keeper.shortage or ""
        detail = problem
        if not detail and self._sequence > keeper.synced:
            age_ns = monotonic_ns - self._unsynced_since_ns
            if age_ns > self.settings.unsynced_max_ns:
                detail = "not synced in time"
        if detail == self._health:
            return None
        self._health = detail
        is_healthy = not problem and (not detail or self.settings.durability is Durability.PROCESS)
        return JournalHealth(is_healthy=is_healthy, detail=detail)

    def close(self, *, state: bytes | None = None) -> None:
        """End the run in good order: state, closing record, sync, unused room given back. Idempotent; never raises.

        From a `state` any later version of the code can start.
        """
        was_open, self._is_open = self._is_open, False
        try:
            if was_open and self._keeper.failure is None:
                self._end_in_good_order(state)
            self._keeper.close()
            self._file.close()
            if was_open and self._keeper.failure is None:
                file = self._disk.open(self.path)
                file.truncate(self._end)
                file.sync()
                file.close()
                self._disk.sync_folder(self.folder)
        except OSError as error:
            self._keeper.fail(f"close: {error.strerror or error}")
        finally:
            self._limit = -1
            self._release_lock()

    # Inside

    def _end_in_good_order(self, state: bytes | None) -> None:
        snapshot = None
        times = self._last_times()
        if state is not None:
            ended = State(hash_state(state), is_snapshot=True)
            self._append_reserved(STATE, encode_payload(ended), *times)
            snapshot = self._snapshot(state)
        self._write_digest(*times)
        self._append_reserved(CLOSE, b"{}", *times)
        self._keeper.sync()
        if snapshot is not None and self._keeper.failure is None:
            write_snapshot(self.folder, self._disk, snapshot)

    def _snapshot(self, state: bytes) -> Snapshot:
        return Snapshot(
            sequence=self._sequence,
            crc=self._crc,
            run_epoch=self.run_epoch,
            code_hash=self._code_hash,
            run=self._run,
            state=state,
        )

    def _begin(self, folder: Path, is_continued: bool) -> None:
        """Folder, lock, room, first segment. Raises OSError or SetupError."""
        self._disk.make_folder(self.folder)
        if self._lock is None:
            try:
                self._lock = self._disk.lock(self.folder / LOCK_NAME)
            except BlockingIOError:
                raise JournalInUse(str(self.folder)) from None
        if not is_continued and (segment_numbers(self.folder, self._disk) or OLD_FILE_NAME in self._disk.names(folder)):
            raise SetupError(
                "cannot create the journal: one is there already",
                where=str(self.folder),
                hint="choose another --out folder",
            )
        free, needed = self._disk.free_bytes(self.folder), self.settings.free_bytes_min
        if free < needed:
            raise SetupError(
                f"cannot create the journal: {free >> 20} MiB are free, {needed >> 20} MiB are needed",
                where=str(self.folder),
                hint="make room, or choose another --out folder",
                code="E_JOURNAL_ROOM",
            )
        self._file = self._disk.create(self.path, size=self.settings.segment_bytes)
        self._map = self._file.map()
        self._file.sync()
        self._disk.sync_folder(self.folder)
        self._disk.sync_folder(folder)

    def _prune(self) -> None:
        prune(self.folder, self._disk, self.settings.retain_bytes)

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
