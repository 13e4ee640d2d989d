"""Read a journal back, check it, and replay it through a fresh core.

A torn last record (the process died in the middle of a write) is cut and told; anything else that does not chain is
corruption.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.core.effects import Effect
from agent.core.errors import ContradictoryEvent
from agent.core.events import Stamp
from agent.core.step import Core
from agent.errors import SetupError
from agent.journal.records import (
    EFFECTS,
    EVENT,
    HEADER,
    MAGIC,
    RUN,
    VERSION,
    CorruptJournal,
    Record,
    Run,
    check,
    decode_effects,
    decode_event,
    decode_run,
)
from agent.journal.writer import FILE_NAME


class Difference(msgspec.Struct, frozen=True):
    """A step whose recorded effects are not what the core gives for the same event."""

    sequence: int
    recorded: tuple[Effect, ...]
    replayed: tuple[Effect, ...]


class Replayed(msgspec.Struct, frozen=True):
    """How a replay went."""

    events: int
    effects: int
    differences: tuple[Difference, ...]
    is_torn: bool


class JournalReader:
    """All records of a journal, in order, checked while read."""

    def __init__(self, run_folder: Path) -> None:
        """Raises SetupError where there is no journal."""
        self.path = run_folder if run_folder.is_file() else run_folder / FILE_NAME
        try:
            self._data = self.path.read_bytes()
        except OSError as error:
            raise SetupError(
                f"no journal: {error.strerror}", where=str(self.path), hint="name a folder under runs/"
            ) from error
        if self._data[: len(MAGIC)] != MAGIC:
            raise CorruptJournal("this is not a journal", path=str(self.path), sequence=0)
        self.is_torn = False

    def records(self) -> Iterator[Record]:
        """Each record. Raises CorruptJournal at the first that does not chain; sets `is_torn` at a cut tail."""
        offset = len(MAGIC)
        previous_crc = 0
        sequence = 0
        while offset < len(self._data):
            if offset + HEADER.size > len(self._data):
                self.is_torn = True
                return
            length, record_type, version, _flags, number, monotonic_ns, wall_ns, crc = HEADER.unpack_from(
                self._data, offset
            )
            end = offset + HEADER.size + length
            if version != VERSION or number != sequence:
                raise CorruptJournal(
                    f"record {sequence} has version {version} and number {number}",
                    path=str(self.path),
                    sequence=sequence,
                )
            if end > len(self._data):
                self.is_torn = True
                return
            payload = self._data[offset + HEADER.size : end]
            if check(self._data, offset, end, previous_crc) != crc:
                raise CorruptJournal(
                    f"record {sequence} does not match its check sum", path=str(self.path), sequence=sequence
                )
            yield Record(record_type, number, monotonic_ns, wall_ns, payload, crc)
            previous_crc = crc
            sequence += 1
            offset = end

    def run(self) -> Run:
        """The first record."""
        first = next(self.records(), None)
        if first is None or first.type != RUN:
            raise CorruptJournal("the first record is missing", path=str(self.path), sequence=0)
        return decode_run(first.payload)

    def replay(self, core: Core, *, until: int | None = None) -> Replayed:
        """Feed each event to `core` and compare its effects with the recorded ones."""
        events = effects = 0
        differences: list[Difference] = []
        pending: tuple[int, tuple[Effect, ...]] | None = None

        def settle(recorded: tuple[Effect, ...], *, is_last: bool = False) -> None:
            # The process may die between an event's record and its effects': a journal that ends there has lost
            # nothing that left, because effects leave only after they are recorded.
            if pending is not None and pending[1] != recorded and not (is_last and not recorded):
                differences.append(Difference(pending[0], recorded, pending[1]))

        for record in self.records():
            if until is not None and record.sequence > until:
                break
            if record.type == EVENT:
                settle(())
                events += 1
                try:
                    pending = (
                        record.sequence,
                        core.step(
                            decode_event(record.payload), Stamp(record.sequence, record.monotonic_ns, record.wall_ns)
                        ),
                    )
                except ContradictoryEvent:
                    # An earlier difference has led this core elsewhere: nothing after this point can be compared.
                    differences.append(Difference(record.sequence, (), ()))
                    return Replayed(events, effects, tuple(differences), self.is_torn)
            elif record.type == EFFECTS:
                recorded = decode_effects(record.payload)
                effects += len(recorded)
                settle(recorded)
                pending = None
        settle((), is_last=True)
        return Replayed(events, effects, tuple(differences), self.is_torn)
