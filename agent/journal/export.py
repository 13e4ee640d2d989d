"""A journal as files that other tools read: SQLite, JSON Lines, CSV, and Parquet where pyarrow is installed.

Two tables. `records` has one row for each record, its content as JSON text. `fields` has one row for each value inside,
by its path (`3.detail`): `text` is exact whatever the size, `number` is the same as an integer where 64 bits hold it and
empty otherwise, so that sums are typed and wei above 2^63 are never rounded.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.journal.records import DIGEST, TYPES, Record

RECORD_COLUMNS = ("sequence", "kind", "monotonic_ns", "wall_ns", "content")
FIELD_COLUMNS = ("sequence", "path", "text", "number")
_INT64_MAX = 2**63 - 1
_SCHEMA = """
create table records (
  sequence integer primary key, kind text not null, monotonic_ns integer not null, wall_ns integer not null,
  content text not null
);
create table fields (
  sequence integer not null references records (sequence), path text not null, text text not null, number integer
);
create index fields_by_path on fields (path, text);
"""
RecordRow = tuple[int, str, int, int, str]
FieldRow = tuple[int, str, str, int | None]


def export(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write all files; each is complete or not there. OSError or sqlite3.Error where the disk says no."""
    rows: list[RecordRow] = [
        (record.sequence, kind_of(record), record.monotonic_ns, record.wall_ns, content_of(record))
        for record in records
    ]
    fields = [row for record in records for row in field_rows(record)]
    writers: dict[str, Callable[[Path], None]] = {
        "records.sqlite": lambda path: _sqlite(path, rows, fields),
        "records.jsonl": lambda path: _json_lines(path, records),
        "records.csv": lambda path: _csv(path, RECORD_COLUMNS, rows),
        "fields.csv": lambda path: _csv(path, FIELD_COLUMNS, fields),
    }
    if importlib.util.find_spec("pyarrow") is not None:
        writers["records.parquet"] = lambda path: _parquet(path, RECORD_COLUMNS, rows)
        writers["fields.parquet"] = lambda path: _parquet(path, FIELD_COLUMNS, fields)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        for name, write in writers.items():
            part = folder / f"{name}.partial"
            part.unlink(missing_ok=True)
            written.append(part)
            write(part)
        return [part.replace(part.with_suffix("")) for part in written]
    finally:
        for part in written:
            part.unlink(missing_ok=True)


def kind_of(record: Record) -> str:
    """The word for a record's type."""
    return TYPES[record.type]


def content_of(record: Record) -> str:
    """The payload as JSON text; a digest, which is bytes, in hexadecimal."""
    return json.dumps(record.payload.hex()) if record.type == DIGEST else record.payload.decode()


def record_object(record: Record) -> dict[str, object]:
    """A record as JSON; times as text, which any reader keeps exact."""
    return {
        "sequence": record.sequence,
        "kind": kind_of(record),
        "monotonic_ns": str(record.monotonic_ns),
        "wall_ns": str(record.wall_ns),
        "content": json.loads(content_of(record)),
    }


def field_rows(record: Record) -> Iterator[FieldRow]:
    """Every value in a record by its path."""
    for path, value in _leaves(json.loads(content_of(record)), ""):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        text = value if isinstance(value, str) else json.dumps(value)
        yield record.sequence, path, text, value if is_number and abs(value) <= _INT64_MAX else None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        yield path, value
        return
    for key, item in items:
        yield from _leaves(item, f"{path}.{key}" if path else str(key))


def _sqlite(path: Path, rows: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None:
    database = sqlite3.connect(path)
    try:
        database.executescript(_SCHEMA)
        with database:
            database.executemany("insert into records values (?, ?, ?, ?, ?)", rows)
            database.executemany("insert into fields values (?, ?, ?, ?)", fields)
    finally:
        database.close()


def _json_lines(path: Path, records: Sequence[Record]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record_object(record), ensure_ascii=False) + "\n" for record in records)


def _csv(path: Path, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _parquet(path: Path, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    kinds = {
        "sequence": arrow.int64(),
        "monotonic_ns": arrow.int64(),
        "wall_ns": arrow.int64(),
        "number": arrow.int64(),
    }
    table = arrow.table(
        {
            name: arrow.array(list(column), type=kinds.get(name, arrow.string()))
            for name, column in zip(columns, by_column, strict=True)
        }
    )
    parquet.write_table(table, path)
