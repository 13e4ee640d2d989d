"""Append records to a run's journal before their effects leave the process.

Durability is `process`: the bytes are handed to the kernel before `append` returns, so they survive the death of the
process, not of the machine. After any I/O error the journal is poisoned and refuses everything.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.core.effects import Effect
from agent.core.events import Event
from agent.errors import SetupError
from agent.journal.records import EFFECTS, EVENT, MAGIC, RUN, Run, encode_payload, frame

FILE_NAME = "journal.mevj"


class JournalWriter:
    """One writer for one file; every record gets the next sequence number."""

    def __init__(self, folder: Path, run: Run, *, monotonic_ns: int, wall_ns: int) -> None:
        """Create the journal; raises SetupError where it cannot be created or exists already."""
        self.path = folder / FILE_NAME
        self._sequence = 0
        self._crc = 0
        self._poisoned: str | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SetupError(
                f"cannot create the journal: {error.strerror}", where=str(self.path), hint="choose another --out folder"
            ) from error
        self._write(MAGIC)
        self._append(RUN, encode_payload(run), monotonic_ns, wall_ns)

    @property
    def sequence(self) -> int:
        """Sequence of the next record."""
        return self._sequence

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        """Record an event before it is stepped; returns its sequence."""
        return self._append(EVENT, encode_payload(event), monotonic_ns, wall_ns)

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        """Record the effects of the step before any of them leaves; nothing is written where there are none."""
        if effects:
            self._append(EFFECTS, encode_payload(effects), monotonic_ns, wall_ns)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, record_type: int, payload: bytes, monotonic_ns: int, wall_ns: int) -> int:
        sequence = self._sequence
        data, crc = frame(record_type, sequence, monotonic_ns, wall_ns, payload, self._crc)
        self._write(data)
        self._crc = crc
        self._sequence = sequence + 1
        return sequence

    def _write(self, data: bytes) -> None:
        if self._poisoned is not None:
            raise SetupError(
                f"the journal failed earlier: {self._poisoned}", where=str(self.path), code="E_JOURNAL_POISONED"
            )
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self._poisoned = error.strerror or str(error)
        else:
            if written == len(data):
                return
            self._poisoned = f"short write, {written} of {len(data)} bytes"
        raise SetupError(
            f"cannot write the journal: {self._poisoned}",
            where=str(self.path),
            code="E_JOURNAL_POISONED",
            hint="free disk space, then start a new run; nothing is sent without a journal",
        )
