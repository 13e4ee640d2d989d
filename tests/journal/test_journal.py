"""What was written is what is read; anything changed is found; a replay gives the same effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.events import Stamp
from agent.core.events.control import HaltAsked
from agent.core.step import Core
from agent.errors import SetupError
from agent.journal.errors import CorruptJournal
from agent.journal.machine import CoreMachine, Machine, make_core
from agent.journal.reader import JournalReader
from agent.journal.records import CLOSE, DIGEST, EFFECTS, EVENT, RUN, Run
from agent.journal.replay import Replay
from tests.core.test_bundles import LIMITS
from tests.journal.worlds import SMALL, Tally, begin, make_tally, tick, write_run


def test_a_replay_gives_the_recorded_effects(tmp_path: Path) -> None:
    write_run(tmp_path)
    replay = Replay(JournalReader(tmp_path), make_core)
    assert list(replay.differences()) == []
    assert (replay.events, replay.effects, replay.effects_alike) == (4, 3, 3)


def test_a_core_that_decides_otherwise_is_found(tmp_path: Path) -> None:
    write_run(tmp_path)

    def halted(run: Run, state: bytes | None) -> Machine:
        core = Core(LIMITS)
        core.step(HaltAsked("planted", "bug"), Stamp(0, 0, 0))
        return CoreMachine(core)

    (first, *_rest) = Replay(JournalReader(tmp_path), halted).differences()
    assert first.recorded != first.replayed


def test_every_flipped_bit_of_a_closed_journal_is_found(tmp_path: Path) -> None:
    path = write_run(tmp_path).path
    whole = path.read_bytes()
    records = list(JournalReader(tmp_path).records())
    torn = 0
    for offset in range(len(whole)):
        changed = bytearray(whole)
        changed[offset] ^= 1 << offset % 8
        path.write_bytes(changed)
        try:
            reader = JournalReader(tmp_path)
            read = list(reader.records())
        except SetupError:
            continue
        assert reader.is_torn and read == records[: len(read)], f"byte {offset} changed unseen"
        torn += 1
    last_synced = max(record.synced_sequence for record in records)
    unsynced = sum(len(record.payload) + 52 for record in records if record.sequence > last_synced)
    assert torn <= unsynced, "only what was not known to be on the disk may pass for torn"


def test_a_record_known_to_be_on_the_disk_is_never_cut(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    for number in range(10):
        tick(journal, machine, number)
    journal.work()
    durable = journal.synced_sequence
    tick(journal, machine, 10)
    path = journal.path
    whole = path.read_bytes()
    at = whole.index(b'"000003"')
    path.write_bytes(whole[:at] + b"!" + whole[at + 1 :])
    with pytest.raises(CorruptJournal) as corrupt:
        list(JournalReader(tmp_path).records())
    assert corrupt.value.sequence < durable
    path.write_bytes(whole.replace(b'"000010"', b'"!00010"', 1))
    reader = JournalReader(tmp_path)
    assert [record.sequence for record in reader.records()][-1] == durable
    assert reader.is_torn


def test_a_torn_tail_is_told(tmp_path: Path) -> None:
    path = write_run(tmp_path).path
    path.write_bytes(path.read_bytes()[:-3])
    reader = JournalReader(tmp_path)
    records = list(reader.records())
    assert reader.is_torn
    assert records[-1].sequence == len(records)


def test_segments_follow_one_another_as_one_journal(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    for number in range(600):
        tick(journal, machine, number)
    journal.close()
    reader = JournalReader(tmp_path)
    records = list(reader.records())
    assert len(reader.numbers) > 5
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert (records[0].type, records[-2].type, records[-1].type) == (RUN, DIGEST, CLOSE)
    replay = Replay(reader, make_tally)
    assert list(replay.differences()) == []
    assert (replay.events, replay.effects) == (600, 800)
    assert {record.type for record in records} == {RUN, EVENT, EFFECTS, DIGEST, CLOSE}
    assert reader.digest == journal.digest


def test_reading_can_begin_anywhere(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    for number in range(300):
        tick(journal, machine, number)
    journal.close()
    reader = JournalReader(tmp_path)
    records = list(reader.records())
    for above in (0, 1, 57, 256, 300, len(records) - 1, len(records)):
        assert list(reader.records(above=above)) == records[above:]


def test_a_missing_segment_is_corruption(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    for number in range(300):
        tick(journal, machine, number)
    journal.close()
    (tmp_path / "journal" / "0000000002.mvj").unlink()
    with pytest.raises(CorruptJournal, match="segment 2 is missing"):
        JournalReader(tmp_path)


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(SetupError, match="cannot create"):
        write_run(tmp_path)


def test_a_closed_journal_takes_no_more_than_its_content(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    assert journal.path.stat().st_size == SMALL.segment_bytes
    journal.close()
    journal.close()
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["0000000001.mvj", "lock"]
    assert journal.path.stat().st_size < 1024
