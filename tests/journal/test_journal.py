"""What was written is what is read; anything changed is found; a replay gives the same effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.events import Stamp
from agent.core.events.control import HaltAsked
from agent.core.step import Core
from agent.errors import SetupError
from agent.journal.reader import JournalReader
from agent.journal.records import CorruptJournal, Run
from agent.journal.writer import JournalWriter
from tests.core.test_bundles import EXECUTED, FOUND, HEAD, LIMITS

EVENTS = (HEAD, FOUND, EXECUTED, HaltAsked("person", "end"))


def write_run(folder: Path) -> Path:
    journal = JournalWriter(folder, Run("r", "0", {}), monotonic_ns=0, wall_ns=0)
    core = Core(LIMITS)
    for event in EVENTS:
        journal.event(event, monotonic_ns=1, wall_ns=2)
        journal.effects(core.step(event, Stamp(0, 0, 0)), monotonic_ns=3, wall_ns=4)
    journal.close()
    return journal.path


def test_a_replay_gives_the_recorded_effects(tmp_path: Path) -> None:
    write_run(tmp_path)
    replayed = JournalReader(tmp_path).replay(Core(LIMITS))
    assert (replayed.events, replayed.effects, replayed.differences) == (4, 3, ())


def test_a_core_that_decides_otherwise_is_found(tmp_path: Path) -> None:
    write_run(tmp_path)
    core = Core(LIMITS)
    core.step(HaltAsked("planted", "bug"), Stamp(0, 0, 0))
    (first, *_rest) = JournalReader(tmp_path).replay(core).differences
    assert first.recorded != first.replayed


def test_every_changed_byte_is_found_or_cuts_the_tail(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    whole = path.read_bytes()
    records = list(JournalReader(tmp_path).records())
    for offset in range(len(whole)):
        changed = bytearray(whole)
        changed[offset] ^= 0x40
        path.write_bytes(changed)
        try:
            reader = JournalReader(tmp_path)
            read = list(reader.records())
        except CorruptJournal:
            continue
        assert reader.is_torn and read == records[: len(read)], f"byte {offset} changed unseen"


def test_a_torn_tail_is_cut_and_told(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    reader = JournalReader(tmp_path)
    records = list(reader.records())
    assert reader.is_torn
    assert records[-1].sequence == len(records) - 1


def test_after_an_io_error_nothing_is_written_any_more(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, Run("r", "0", {}), monotonic_ns=0, wall_ns=0)
    with open("/dev/full", "wb") as full:
        journal._file, kept = full.fileno(), journal._file
        with pytest.raises(SetupError, match="No space left"):
            journal.event(HEAD, monotonic_ns=1, wall_ns=2)
        journal._file = kept
    with pytest.raises(SetupError, match="failed earlier"):
        journal.event(HEAD, monotonic_ns=1, wall_ns=2)


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(SetupError, match="cannot create"):
        write_run(tmp_path)
