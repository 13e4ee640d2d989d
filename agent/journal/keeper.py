"""What must not happen on the way of an order: syncing, and taking room for the next segment.

Theory of operation. The writer appends into a map and goes on. One thread syncs what was appended, many records at a
time, and tells those who wait for a record to survive the loss of power. When half a segment is full, a second thread
makes the next one: allocated, written through with zeros, synced, its name synced; so a roll is two assignments and a
full disk is met long before an order needs the room. A disk that refuses room makes the journal unhealthy, and is asked
again; any other error poisons it, because what the disk holds is then unknown. Where time is virtual no thread is
started, and `work` does the same when it is called.
"""

from __future__ import annotations

import errno
import threading
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path

from agent.journal.errors import JournalFailed
from agent.journal.segments import segment_name
from agent.journal.settings import Durability, JournalSettings
from agent.journal.snapshots import Snapshot, write_snapshot
from agent.ports.disk import Disk, MappedBytes, StoredFile

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
WARM_BYTES_MIN = 16 * 1024
SyncedCallback = Callable[[JournalFailed | None], None]


class Keeper:
    """Serves one writer. `synced`, `failure` and `shortage` may be read by anyone at any time."""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        settings: JournalSettings,
        *,
        number: int,
        file: StoredFile,
        synced: int,
        written: Callable[[], tuple[int, int]],
        on_failure: Callable[[], None],
        prune: Callable[[], None],
    ) -> None:
        """`written` gives the last sequence and the end of the content of the present segment."""
        self.synced = synced
        self.failure: str | None = None
        self.shortage = ""
        """Why the next segment could not be made; empty while nothing is wrong."""
        self._folder = folder
        self._disk = disk
        self._settings = settings
        self._number = number
        self._files: tuple[StoredFile, ...] = (file,)
        """The present segment's, behind those that are full and not synced yet."""
        self._rolling = threading.Lock()
        self._spare: tuple[StoredFile, MappedBytes] | None = None
        self._warmed_from = 0
        self._written = written
        self._on_failure = on_failure
        self._prune = prune
        self._waiters: deque[tuple[int, SyncedCallback]] = deque()
        self._syncing = threading.Lock()
        self._preparing = threading.Lock()
        self._wake = threading.Event()
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        if self._settings.is_threaded:
            interval_s = self._settings.sync_every_ns / 1_000_000_000
            thread = threading.Thread(
                target=_keep, args=(weakref.ref(self), self._wake, interval_s), name="journal", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    # On the writer's thread

    def when_synced(self, sequence: int, callback: SyncedCallback) -> None:
        """Call back once, with None when the record is on the disk, or with the failure; from whichever thread."""
        if self.failure is None and sequence > self.synced:
            self._waiters.append((sequence, callback))
            self._wake.set()
            self._release(self.synced)  # it may have failed, or synced, while we were queueing
            return
        callback(None if sequence <= self.synced else self.error())

    def roll(self) -> tuple[StoredFile, MappedBytes] | None:
        """The next segment; the present one is synced and closed in the background. None where there is no room."""
        if self._spare is None:
            self.prepare()
        if self._spare is None:
            return None
        file, mapped = self._spare
        with self._rolling:
            self._files = (*self._files, file)
        self._spare = None
        self._number += 1
        return file, mapped

    def work(self) -> None:
        """One turn: sync what was appended, and make the next segment where it is time."""
        self.sync()
        _, end = self._written()
        self._warm(end)
        if end * 2 > self._settings.segment_bytes and self._spare is None and self.failure is None:
            if not self._settings.is_threaded:
                self.prepare()
            elif not self._preparing.locked():
                threading.Thread(target=self.prepare, name="journal-room", daemon=True).start()

    def _warm(self, end: int) -> None:
        """Ready the pages that will be written next: twice as many as in the turn before, which a sync made cold."""
        written, self._warmed_from = max(0, end - self._warmed_from), end
        if self._settings.durability is Durability.PROCESS and self._settings.is_threaded and written:
            self._files[-1].warm(end, end + max(WARM_BYTES_MIN, 2 * written))

    def sync(self) -> None:
        with self._syncing:
            # The sequence before the files: a roll in between adds a file, which is then synced for nothing.
            sequence, _ = self._written()
            files = self._files
            if self.failure is not None or sequence <= self.synced:
                return
            try:
                for file in files:
                    file.sync()
            except OSError as error:
                self.fail(f"sync: {error.strerror or error}")
                return
            with self._rolling:
                self._files = self._files[len(files) - 1 :]
            for file in files[:-1]:
                file.close()
            self.synced = sequence
        self._release(sequence)

    def prepare(self) -> None:
        """Make the next segment, if it is not there yet. Every segment before the present one is synced by then."""
        self.sync()
        with self._preparing:
            if self._spare is not None or self.failure is not None or self._is_closed:
                return
            path = self._folder / segment_name(self._number + 1)
            file = None
            try:
                if path.name in self._disk.names(self._folder):
                    self._disk.remove(path)  # ours, of a try that failed
                file = self._disk.create(path, size=self._settings.segment_bytes)
                mapped = file.map()
                file.sync()
                self._disk.sync_folder(self._folder)
                self._prune()
            except OSError as error:
                if file is not None:
                    file.close()
                if error.errno not in NO_ROOM:
                    self.fail(f"next segment: {error.strerror or error}")
                self.shortage = f"no room for the next segment: {error.strerror or error}"
                return
            self.shortage = ""
            self._spare = file, mapped

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """In a thread of its own where there are threads: a large state must not hold up a sync."""
        if not self._settings.is_threaded:
            self._write_snapshot(snapshot)
            return
        threading.Thread(target=self._write_snapshot, args=(snapshot,), name="journal-snapshot", daemon=True).start()

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        with self._preparing:
            if self.failure is not None or self._is_closed:
                return
            try:
                write_snapshot(self._folder, self._disk, snapshot)
            except OSError as error:
                # The journal alone is enough for a start, only a slower one.
                if error.errno not in NO_ROOM:
                    self.fail(f"snapshot: {error.strerror or error}")

    def fail(self, reason: str) -> None:
        """Poison the journal; the first reason stays."""
        if self.failure is None:
            self.failure = reason
            self._on_failure()
        self._release(self.synced)

    def error(self, *, is_first: bool = False) -> JournalFailed:
        return JournalFailed(self.failure or "closed", path=str(self._folder), is_first=is_first)

    def close(self) -> None:
        """End the threads and every file but the present one; whoever still waits is told."""
        self._is_closed = True
        self._wake.set()
        for thread in self._threads:
            thread.join()
        with self._preparing, self._syncing:
            for file in self._files[:-1]:
                file.close()
            if self._spare is not None:
                self._spare[0].close()
                self._spare = None
                path = self._folder / segment_name(self._number + 1)
                if self.failure is None:
                    self._disk.remove(path)
        if self.failure is None and self._waiters:
            self.failure = "closed"
        self._release(self.synced)

    def _release(self, synced: int) -> None:
        while self._waiters and (self.failure is not None or self._waiters[0][0] <= synced):
            try:
                sequence, callback = self._waiters.popleft()
            except IndexError:
                return  # the other thread was faster
            callback(None if sequence <= synced else self.error())


def _keep(keeper_of: weakref.ref[Keeper], wake: threading.Event, interval_s: float) -> None:
    """The thread. It holds the keeper only while it works, so a writer that was dropped ends it."""
    while True:
        wake.wait(interval_s)
        wake.clear()
        keeper = keeper_of()
        if keeper is None or keeper._is_closed:
            return
        keeper.work()
        del keeper
