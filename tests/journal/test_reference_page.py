"""The page that gives the format byte by byte: a reader made from it alone reads what the writer wrote."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from zlib import crc32

from agent.journal.records import HEADER_BYTES, TYPES
from agent.journal.segments import FORMAT, SEGMENT_HEADER_BYTES
from agent.journal.snapshots import newest_snapshots
from agent.ports.disk import SYSTEM_DISK
from tests.journal.worlds import Tally, begin, tick

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "journal.md").read_text()


def fields(heading: str) -> dict[str, tuple[int, int]]:
    """Offset and length of each field of the first table below a heading, by the beginning of its description."""
    table = PAGE.split(f"## {heading}\n")[1]
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ([^|]+) \|$", table.split("\n## ")[0], re.MULTILINE)
    assert rows
    expected = int(rows[0][0])
    found = {}
    for offset, length, text in rows:
        assert int(offset) == expected, f"{heading}: {text} does not follow the field before"
        expected += int(length)
        found[text] = int(offset), int(length)
    return found


def value(content: bytes, field: tuple[int, int], at: int = 0) -> int:
    return int.from_bytes(content[at + field[0] : at + sum(field)], "little")


def by_start(table: dict[str, tuple[int, int]], start: str) -> tuple[int, int]:
    return next(field for text, field in table.items() if text.startswith(start))


def test_a_reader_made_from_the_page_reads_every_record(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    for number in range(50):
        tick(journal, machine, number)
    journal.close(state=machine.state())
    content = (tmp_path / "journal" / "0000000001.mvj").read_bytes()

    header = fields("Segment")
    assert sum(by_start(header, "zeros")) == value(content, by_start(header, "length of the header"))
    assert value(content, by_start(header, "format")) == FORMAT
    crc = value(content, by_start(header, "CRC-32"))
    assert crc == crc32(content[: by_start(header, "CRC-32")[0]])
    start, length = by_start(header, "last digest")
    digest = content[start : start + length]

    record = fields("Record")
    length_of, type_of = by_start(record, "length"), by_start(record, "type")
    covered = by_start(record, "CRC-32")[0]
    at, hashed, count = SEGMENT_HEADER_BYTES, 0, 0
    assert sum(by_start(record, "CRC-32")) == HEADER_BYTES
    while at < len(content):
        count += 1
        body = at + HEADER_BYTES
        end = body + value(content, length_of, at)
        assert value(content, by_start(record, "sequence"), at) == count
        assert value(content, by_start(record, "CRC of the record before"), at) == crc
        crc = crc32(content[body:end], crc32(content[at : at + covered], crc))
        assert value(content, by_start(record, "CRC-32"), at) == crc
        if value(content, type_of, at) == 4:
            digest = hashlib.blake2b(digest + content[hashed:at], digest_size=16).digest()
            assert content[body:end] == digest
            hashed = end
        at = end
    assert count == journal.sequence


def test_the_page_lists_every_type_of_record() -> None:
    listed = dict(re.findall(r"^\| (\d+) \| ([a-z]+) \| ", PAGE, re.MULTILINE))
    assert {int(number): name for number, name in listed.items()} == TYPES


def test_the_page_gives_a_snapshots_fields(tmp_path: Path) -> None:
    journal, machine = begin(tmp_path), Tally()
    tick(journal, machine, 1)
    journal.close(state=machine.state())
    (snapshot,) = newest_snapshots(tmp_path / "journal", SYSTEM_DISK)
    (path,) = (tmp_path / "journal").glob("*.mvs")
    content, table = path.read_bytes(), fields("Snapshot")
    assert value(content, by_start(table, "sequence")) == snapshot.sequence
    assert value(content, by_start(table, "CRC")) == snapshot.crc
    assert value(content, by_start(table, "run epoch")) == 1
    run_bytes = value(content, by_start(table, "length"))
    assert content[66 + run_bytes : -32] == machine.state()
    assert content[-32:] == hashlib.blake2b(content[:-32], digest_size=32).digest()
