"""A journal cut or changed at any byte: it reads to the last whole record, or is refused; never otherwise."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SetupError
from agent.journal.errors import CorruptJournal
from agent.journal.reader import JournalReader
from agent.journal.records import COVERED, CRC, HEADER_BYTES, Record
from agent.journal.recovery import recover
from agent.journal.segments import SEGMENT_HEADER_BYTES, decode_header
from tests.journal.memory_disk import Content, MemoryDisk
from tests.journal.worlds import RUN, SMALL, Tally, begin, make_tally, tick

FOLDER = Path("/run")
FIRST = FOLDER / "journal" / "0000000001.mvj"


def written(steps: int, *, is_closed: bool = False) -> MemoryDisk:
    disk = MemoryDisk()
    journal, machine = begin(FOLDER, disk=disk), Tally()
    for number in range(steps):
        tick(journal, machine, number)
        if number % 20 == 19:
            journal.work()
    if is_closed:
        journal.close(state=machine.state())
    return disk.after_kill()


WRITTEN = written(30)


def read(disk: MemoryDisk) -> tuple[list[Record], JournalReader]:
    reader = JournalReader(FOLDER, disk=disk)
    return list(reader.records()), reader


def test_cut_at_every_byte_it_reads_to_the_last_whole_record() -> None:
    disk = written(4)
    whole = bytes(disk.seen[FIRST].seen).rstrip(b"\0")
    records, _ = read(disk)
    ends = []
    end = SEGMENT_HEADER_BYTES
    for record in records:
        end += HEADER_BYTES + len(record.payload)
        ends.append(end)
    assert ends[-1] == len(whole)
    # What the constructor synced is known to be durable; everything behind it was killed in the middle of a write.
    for size in range(ends[0], len(whole) + 1):
        for rest in (b"", bytes(SMALL.segment_bytes - size)):
            image = MemoryDisk({FIRST: Content(whole[:size] + rest)})
            recovered = recover(FOLDER, make_tally, disk=image)
            count = sum(end <= size for end in ends)
            assert recovered.ending is not None
            assert recovered.ending.sequence == count
            is_whole = size in ends
            assert (recovered.ending.cut is None) == is_whole
            if not is_whole:
                kept = image.seen[FOLDER / "journal" / "0000000001.mvj.torn"].seen
                assert kept == whole[ends[count - 1] : size].rstrip(b"\0")
            recovered.lock.release()


def test_the_next_run_writes_down_what_was_cut() -> None:
    disk = written(4)
    whole = bytes(disk.seen[FIRST].seen).rstrip(b"\0")
    image = MemoryDisk({FIRST: Content(whole[:-5])})
    recovered = recover(FOLDER, make_tally, disk=image)
    recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=SMALL, disk=image)
    records, reader = read(image)
    assert reader.torn is None
    assert [record.type for record in records[-2:]] == [1, 6]
    assert b'"kept_in":"0000000001.mvj.torn"' in records[-1].payload


@pytest.mark.parametrize("stride", [61, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.leisure])])
def test_no_flipped_bit_in_any_segment_loads_silently(stride: int) -> None:
    disk = written(170, is_closed=True)
    records, reader = read(disk)
    assert len(reader.numbers) >= 2
    durable = max(record.synced_sequence for record in records)
    for path in [path for path in disk.seen if path.suffix == ".mvj"]:
        content = disk.seen[path].seen
        for offset in range(0, len(content), stride):
            content[offset] ^= 1 << offset % 8
            try:
                found, reader = read(disk)
            except SetupError:
                pass
            else:
                assert reader.torn is not None and found == records[: len(found)], f"{path.name} byte {offset}"
                assert len(found) >= durable, f"{path.name} byte {offset}: durable records were taken for a tail"
            content[offset] ^= 1 << offset % 8
    assert read(disk)[0] == records


@settings(max_examples=150)
@given(st.data())
def test_whatever_lies_there_is_read_or_refused_by_a_typed_error(data: st.DataObject) -> None:
    """Bytes of a hand: pieces of a journal in any order, changed, cut, or of something else altogether."""
    whole = bytes(WRITTEN.seen[FIRST].seen).rstrip(b"\0")
    piece = st.builds(
        lambda start, length: whole[start : start + length], st.integers(0, len(whole)), st.integers(0, 700)
    )
    pieces = data.draw(st.lists(st.one_of(piece, st.binary(max_size=80), st.just(bytes(64))), max_size=6))
    keeps_header = data.draw(st.booleans())
    content = (whole[:SEGMENT_HEADER_BYTES] if keeps_header else b"") + b"".join(pieces)
    disk = MemoryDisk({FIRST: Content(content)})
    if data.draw(st.booleans()):
        snapshot = data.draw(st.binary(max_size=300))
        disk.seen[FOLDER / "journal" / f"{data.draw(st.integers(0, 60)):020}.mvs"] = Content(snapshot)
    try:
        recovered = recover(FOLDER, make_tally, disk=disk)
    except SetupError:
        assert not disk.locked
        return
    journal = recovered.begin(FOLDER, RUN, monotonic_ns=0, wall_ns=0, settings=SMALL, disk=disk)
    journal.close()
    records, reader = read(disk)
    assert reader.torn is None and records[-1].sequence == journal.sequence


def test_a_past_that_was_rewritten_check_sums_and_all_has_another_digest() -> None:
    disk = written(50, is_closed=True)
    records, _ = read(disk)
    content = disk.seen[FIRST].seen
    header = decode_header(bytes(content[:SEGMENT_HEADER_BYTES]), path=FIRST)
    assert header is not None
    previous, at = header.crc, SEGMENT_HEADER_BYTES
    for record in records:
        payload = record.payload.replace(b'"000007"', b'"000008"')
        end = at + HEADER_BYTES + len(payload)
        covered = bytes(content[at : at + COVERED.size - 4]) + CRC.pack(previous)
        previous = crc32(payload, crc32(covered, previous))
        content[at:end] = covered + CRC.pack(previous) + payload
        at = end
    with pytest.raises(CorruptJournal, match="digest"):
        read(disk)


def test_a_segment_made_ahead_and_not_used_is_no_fault() -> None:
    disk = written(5)
    disk.seen[FOLDER / "journal" / "0000000002.mvj"] = Content(bytes(SMALL.segment_bytes))
    records, reader = read(disk)
    assert reader.torn is None and records[-1].sequence == len(records)
    assert recover(FOLDER, make_tally, disk=disk).ending is not None
    assert sorted(disk.names(FOLDER / "journal")) == ["0000000001.mvj"]


def test_a_sequence_gap_between_segments_is_corruption() -> None:
    disk = written(330, is_closed=True)
    numbers = read(disk)[1].numbers
    assert len(numbers) >= 4
    second, third = (FOLDER / "journal" / f"{number:010}.mvj" for number in (2, 3))
    disk.seen[second], disk.seen[third] = disk.seen[third], disk.seen[second]
    try:
        read(disk)
    except SetupError as error:
        assert error.code == "E_JOURNAL_CORRUPT"
    else:
        raise AssertionError("two segments changed places unseen")
