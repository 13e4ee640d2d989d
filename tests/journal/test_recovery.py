"""A start: the newest whole snapshot, the records behind it, and the same answer as from the beginning."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.core.effects import Effect
from agent.core.events import Event, Stamp
from agent.core.events.control import TimerFired
from agent.journal import recovery
from agent.journal.errors import CodeChanged, CorruptJournal, Diverged
from agent.journal.machine import Machine
from agent.journal.reader import JournalReader
from agent.journal.records import RUN as RUN_TYPE
from agent.journal.records import Run
from agent.journal.recovery import recover
from agent.journal.replay import Replay
from agent.journal.snapshots import newest_snapshots, read_snapshot, snapshot_sequences
from agent.ports.disk import SYSTEM_DISK
from tests.journal.worlds import RUN, SMALL, Tally, begin, make_tally, tick


def live(
    folder: Path, steps: int, *, snapshot_every: int = 0, retain_bytes: int = 1 << 30, close: bool = True
) -> Tally:
    """One run, from wherever the journal ends; its machine."""
    recovered = recover(folder, make_tally)
    machine = recovered.machine or Tally()
    assert isinstance(machine, Tally)
    settings = msgspec.structs.replace(SMALL, retain_bytes=retain_bytes)
    journal = recovered.begin(folder, RUN, monotonic_ns=0, wall_ns=0, settings=settings)
    for number in range(1, steps + 1):
        tick(journal, machine, number)
        if snapshot_every and number % snapshot_every == 0:
            journal.snapshot(machine.state() or b"", monotonic_ns=number, wall_ns=number)
        journal.work()
    if close:
        journal.close(state=machine.state())
    else:
        journal._keeper.close()
        journal._release_lock()
    return machine


def again(folder: Path) -> tuple[Tally, int, int]:
    recovered = recover(folder, make_tally)
    recovered.lock.release()
    assert isinstance(recovered.machine, Tally)
    return recovered.machine, recovered.events, recovered.snapshot_sequence


def test_runs_follow_one_another_in_one_journal(tmp_path: Path) -> None:
    for run in range(4):
        machine = live(tmp_path, 30, close=run % 2 == 0)
    records = list(JournalReader(tmp_path).records())
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert sum(record.type == RUN_TYPE for record in records) == 4
    assert again(tmp_path)[0].state() == machine.state() == msgspec.json.encode((120, 720))
    replay = Replay(JournalReader(tmp_path), make_tally)
    assert list(replay.differences()) == []
    assert replay.events == 120 and replay.states >= 2
    header = JournalReader(tmp_path).last_header()
    assert header is not None and header.run_epoch == 4


def test_a_snapshot_and_its_tail_equal_the_whole_way(tmp_path: Path) -> None:
    machine = live(tmp_path, 100, snapshot_every=30, close=False)
    found, events, start = again(tmp_path)
    assert found.state() == machine.state() and events == 10 and start > 0
    for path in (tmp_path / "journal").glob("*.mvs"):
        path.unlink()
    found, events, start = again(tmp_path)
    assert found.state() == machine.state() and (events, start) == (100, 0)


def test_a_damaged_snapshot_is_not_one_and_the_older_is_taken(tmp_path: Path) -> None:
    machine = live(tmp_path, 100, snapshot_every=30, close=False)
    older, newer = snapshot_sequences(tmp_path / "journal", SYSTEM_DISK)
    path = tmp_path / "journal" / f"{newer:020}.mvs"
    content = path.read_bytes()
    for offset in range(len(content)):
        changed = bytearray(content)
        changed[offset] ^= 1 << offset % 8
        path.write_bytes(changed)
        assert read_snapshot(path, SYSTEM_DISK) is None, f"byte {offset} changed unseen"
    path.write_bytes(content[:-1])
    found, events, start = again(tmp_path)
    assert found.state() == machine.state() and (events, start) == (40, older)
    assert (tmp_path / "journal" / f"{older:020}.mvs").rename(path), "a snapshot under another's name"
    assert newest_snapshots(tmp_path / "journal", SYSTEM_DISK) == []


def test_two_snapshots_are_kept_and_old_segments_go_only_behind_them(tmp_path: Path) -> None:
    machine = live(tmp_path, 660, snapshot_every=100, retain_bytes=0, close=False)
    folder = tmp_path / "journal"
    older, _ = snapshot_sequences(folder, SYSTEM_DISK)
    reader = JournalReader(tmp_path)
    assert reader.numbers[0] > 1
    assert next(reader.records()).sequence <= older + 1
    assert again(tmp_path)[0].state() == machine.state()
    for path in folder.glob("*.mvs"):
        path.write_bytes(b"")
    with pytest.raises(CorruptJournal, match="no snapshot is whole"):
        recover(tmp_path, make_tally)


def test_without_a_snapshot_no_segment_goes(tmp_path: Path) -> None:
    live(tmp_path, 600, retain_bytes=0, close=False)
    assert JournalReader(tmp_path).numbers[0] == 1


def test_a_snapshot_of_another_journal_is_refused(tmp_path: Path) -> None:
    for name, steps in (("one", 50), ("two", 51)):
        live(tmp_path / name, steps, snapshot_every=30, close=False)
    (one,) = (tmp_path / "one" / "journal").glob("*.mvs")
    (two,) = (tmp_path / "two" / "journal").glob("*.mvs")
    assert one.name == two.name
    tick_of_two = two.read_bytes()
    live(tmp_path / "three", 5, close=False)
    (tmp_path / "three" / "journal" / two.name).write_bytes(tick_of_two)
    with pytest.raises(CorruptJournal, match="snapshot"):
        recover(tmp_path / "three", make_tally)


class Louder(Tally):
    """Another core: it asks for one thing more at the fiftieth event."""

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        effects = super().step(event, stamp)
        return effects * 2 if self.count == 50 else effects


class Forgetful(Tally):
    """The same effects from another state."""

    def state(self) -> bytes | None:
        return msgspec.json.encode((self.count + 1, self.length))


def test_a_core_that_decides_otherwise_does_not_start(tmp_path: Path) -> None:
    live(tmp_path, 60, close=False)

    def louder(run: Run, state: bytes | None) -> Machine:
        return Louder(state)

    with pytest.raises(Diverged) as diverged:
        recover(tmp_path, louder)
    assert diverged.value.recorded != diverged.value.replayed
    kept = msgspec.json.decode((tmp_path / "journal" / "diverged.json").read_bytes())
    assert kept["sequence"] == diverged.value.sequence
    assert len(kept["replayed"]) == 2 * len(kept["recorded"])
    assert again(tmp_path)[0].count == 60, "the lock was let go and nothing was changed"


def test_a_state_that_differs_does_not_start_either(tmp_path: Path) -> None:
    live(tmp_path, 60, snapshot_every=20, close=False)
    for path in (tmp_path / "journal").glob("*.mvs"):
        path.unlink()
    with pytest.raises(Diverged) as diverged:
        recover(tmp_path, lambda run, state: Forgetful(state))
    assert len(diverged.value.recorded) == len(diverged.value.replayed) == 32


def test_other_code_starts_from_a_good_end_and_from_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = live(tmp_path / "ended", 60)
    live(tmp_path / "broken_off", 60, snapshot_every=50, close=False)
    monkeypatch.setattr(recovery, "code_hash", lambda: b"\x01" * 32)
    found, events, _ = again(tmp_path / "ended")
    assert (found.state(), events) == (ended.state(), 0)
    with pytest.raises(CodeChanged, match="did not end in good order"):
        recover(tmp_path / "broken_off", make_tally)


def test_until_stops_a_replay(tmp_path: Path) -> None:
    live(tmp_path, 60)
    replay = Replay(JournalReader(tmp_path), make_tally, until=21)
    assert list(replay.differences()) == []
    assert replay.events == 10


def test_a_missing_effects_record_is_a_difference_unless_the_run_ends_there(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    tick(journal, machine, 1)
    journal.event(TimerFired("died"), monotonic_ns=0, wall_ns=0)
    assert list(Replay(JournalReader(tmp_path), make_tally).differences()) == []
    journal.event(TimerFired("lived"), monotonic_ns=0, wall_ns=0)
    (difference,) = Replay(JournalReader(tmp_path), make_tally).differences()
    assert difference.recorded == () and len(difference.replayed) == 1
