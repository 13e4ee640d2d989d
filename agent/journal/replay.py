"""A journal fed through a fresh core: the same events must give the same effects, and the same state.

Theory of operation. Effects are computed and compared in full, never executed. Where the process died between an
event's record and its effects', the effects are missing: that loses nothing, because effects leave only after they are
recorded; so a missing record is no difference where a run ends, and is one everywhere else. A run that continues another
starts with that one's state and its own settings, and so does its replay.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.core.effects import Effect
from agent.core.errors import ContradictoryEvent
from agent.core.events import Stamp
from agent.journal.errors import CorruptJournal
from agent.journal.machine import Machine, MakeMachine
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, RUN, STATE, Record, decode_run, decode_state
from agent.journal.schema import PRESENT, Schema, decode_effects, decode_event
from agent.journal.snapshots import Snapshot, hash_state


class Difference(msgspec.Struct, frozen=True):
    """A step whose recorded effects are not what the core gives for the same event.

    Or a state: then both are empty and the hashes say what differs.
    """

    sequence: int
    recorded: tuple[Effect, ...] = ()
    replayed: tuple[Effect, ...] = ()
    recorded_state: str = ""
    replayed_state: str = ""
    reason: str = ""
    """The core's own words where it refused the event."""


class Replay:
    """One way through a journal. Counters and `machine` stand as far as `differences` has been read."""

    def __init__(
        self,
        reader: JournalReader,
        make: MakeMachine,
        *,
        start: Snapshot | None = None,
        until: int | None = None,
        schema: Schema = PRESENT,
    ) -> None:
        self._reader = reader
        self._make = make
        self._start = start
        self._until = until
        self._schema = schema
        self.machine: Machine | None = None if start is None else make(start.run, start.state)
        self.events = 0
        self.effects = 0
        self.effects_alike = 0
        self.states = 0
        """State hashes that were compared."""

    def differences(self) -> Iterator[Difference]:
        """Each difference when it is met. Raises what the reader raises, and UnknownKind.

        An event that the core refuses ends it: an earlier difference has led the core elsewhere, and nothing behind
        can be compared.
        """
        # The record that the snapshot stands behind is read as well: it holds the hash of what was restored.
        above = 0 if self._start is None else self._start.sequence - 1
        path = str(self._reader.path)
        stepped: tuple[int, tuple[Effect, ...]] | None = None
        for record in self._reader.records(above=above):
            if self._until is not None and record.sequence > self._until:
                break
            if self._start is not None and record.sequence == self._start.sequence and record.crc != self._start.crc:
                raise CorruptJournal("the snapshot is of another journal", path=path, sequence=record.sequence)
            kind = record.type
            if kind == EVENT:
                if stepped is not None and stepped[1]:
                    yield Difference(stepped[0], (), stepped[1])
                self.events += 1
                event = decode_event(record, path=path, schema=self._schema)
                stamp = Stamp(record.sequence, record.monotonic_ns, record.wall_ns)
                try:
                    stepped = record.sequence, self._stepping(record).step(event, stamp)
                except ContradictoryEvent as error:
                    yield Difference(record.sequence, reason=str(error))
                    return
            elif kind == EFFECTS:
                recorded = decode_effects(record, path=path, schema=self._schema)
                self.effects += len(recorded)
                sequence, replayed = stepped or (record.sequence, ())
                stepped = None
                if recorded == replayed:
                    self.effects_alike += len(recorded)
                else:
                    yield Difference(sequence, recorded, replayed)
            elif kind == RUN:
                stepped = None  # of the run before, which ended here
                state = None if self.machine is None else self.machine.state()
                if self.machine is None or state is not None:
                    self.machine = self._make(decode_run(record.payload), state)
            elif kind == STATE:
                yield from self._compare_state(record)

    def _stepping(self, record: Record) -> Machine:
        if self.machine is None:
            raise ContradictoryEvent(f"record {record.sequence} belongs to no run")
        return self.machine

    def _compare_state(self, record: Record) -> Iterator[Difference]:
        recorded = decode_state(record.payload).hash
        state = self._stepping(record).state()
        if not recorded or state is None:
            return
        self.states += 1
        replayed = hash_state(state)
        if recorded != replayed:
            yield Difference(record.sequence, recorded_state=recorded, replayed_state=replayed)
