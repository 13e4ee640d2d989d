"""A journal as files that other tools read: SQLite, JSON Lines, CSV, and Parquet where pyarrow is installed.

Two tables. `records` has one row for each record, its content as JSON text. `fields` has one row for each value inside,
by its path (`3.detail`): `text` is exact whatever the size, `number` is the same as an integer where 64 bits hold it and
empty otherwise, so that sums are typed and wei above 2^63 are never rounded. Parquet has two columns more: `decimal` of
38 digits, and `uint256` as 32 bytes, which sort as numbers do; a wider decimal some readers turn into a float.

The journal is read once, and never held whole.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from agent.journal.records import DIGEST, TYPES, Record

RECORD_COLUMNS = ("sequence", "kind", "monotonic_ns", "wall_ns", "content")
FIELD_COLUMNS = ("sequence", "path", "text", "number")
BATCH_ROWS = 20_000
_INT64_MAX = 2**63 - 1
_DECIMAL_MAX = 10**38 - 1
_UINT256_MAX = 2**256 - 1
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


class Sink(Protocol):
    """One file that is being written."""

    def add(self, records: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None: ...
    def close(self) -> None: ...


def export(records: Iterable[Record], folder: Path) -> tuple[int, list[Path]]:
    """Write all files; each is complete or not there. OSError or sqlite3.Error where the disk says no.

    Gives the number of records, and the files.
    """
    kinds: dict[str, Callable[[Path], Sink]] = {
        "records.sqlite": _Sqlite,
        "records.jsonl": _JsonLines,
        "records.csv": lambda path: _Csv(path, RECORD_COLUMNS, is_fields=False),
        "fields.csv": lambda path: _Csv(path, FIELD_COLUMNS, is_fields=True),
    }
    if importlib.util.find_spec("pyarrow") is not None:
        kinds["records.parquet"] = lambda path: _Parquet(path, is_fields=False)
        kinds["fields.parquet"] = lambda path: _Parquet(path, is_fields=True)
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    sinks: list[Sink] = []
    try:
        for name, kind in kinds.items():
            part = folder / f"{name}.partial"
            part.unlink(missing_ok=True)
            parts.append(part)
            sinks.append(kind(part))
        count = _fill(records, sinks)
        while sinks:
            sinks.pop().close()
        return count, [part.replace(part.with_suffix("")) for part in parts]
    finally:
        for sink in sinks:
            sink.close()
        for part in parts:
            part.unlink(missing_ok=True)


def _fill(records: Iterable[Record], sinks: Sequence[Sink]) -> int:
    count = 0
    rows: list[RecordRow] = []
    fields: list[FieldRow] = []

    def flush() -> None:
        for sink in sinks:
            sink.add(rows, fields)
        rows.clear()
        fields.clear()

    for record in records:
        count += 1
        rows.append((record.sequence, kind_of(record), record.monotonic_ns, record.wall_ns, content_of(record)))
        fields.extend(field_rows(record))
        if len(fields) >= BATCH_ROWS:
            flush()
    flush()
    return count


def kind_of(record: Record) -> str:
    """The word for a record's type."""
    return TYPES[record.type]


def content_of(record: Record) -> str:
    """The payload as JSON text; a digest, which is bytes, in hexadecimal."""
    return json.dumps(record.payload.hex()) if record.type == DIGEST else record.payload.decode()


def record_object(record: Record) -> dict[str, object]:
    """A record as JSON; times as text, which any reader keeps exact."""
    return _object(
        (record.sequence, kind_of(record), record.monotonic_ns, record.wall_ns, content_of(record))
    )  # fmt: skip


def field_rows(record: Record) -> Iterator[FieldRow]:
    """Every value in a record by its path."""
    for path, value in _leaves(json.loads(content_of(record)), ""):
        is_number = isinstance(value, int) and not isinstance(value, bool)
        text = value if isinstance(value, str) else json.dumps(value)
        yield record.sequence, path, text, value if is_number and abs(value) <= _INT64_MAX else None


def _object(row: RecordRow) -> dict[str, object]:
    sequence, kind, monotonic_ns, wall_ns, content = row
    return {
        "sequence": sequence,
        "kind": kind,
        "monotonic_ns": str(monotonic_ns),
        "wall_ns": str(wall_ns),
        "content": json.loads(content),
    }


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


class _Sqlite:
    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(_SCHEMA)

    def add(self, records: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None:
        with self._database:
            self._database.executemany("insert into records values (?, ?, ?, ?, ?)", records)
            self._database.executemany("insert into fields values (?, ?, ?, ?)", fields)

    def close(self) -> None:
        self._database.close()


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def add(self, records: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None:
        self._file.writelines(json.dumps(_object(row), ensure_ascii=False) + "\n" for row in records)

    def close(self) -> None:
        self._file.close()


class _Csv:
    def __init__(self, path: Path, columns: Sequence[str], *, is_fields: bool) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._is_fields = is_fields
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def add(self, records: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None:
        self._writer.writerows(fields if self._is_fields else records)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, *, is_fields: bool) -> None:
        arrow = self._arrow = importlib.import_module("pyarrow")
        self._is_fields = is_fields
        integers = {"sequence", "monotonic_ns", "wall_ns", "number"}
        columns = [
            (name, arrow.int64() if name in integers else arrow.string())
            for name in (FIELD_COLUMNS if is_fields else RECORD_COLUMNS)
        ]
        if is_fields:
            columns += [("decimal", arrow.decimal128(38, 0)), ("uint256", arrow.binary(32))]
        self._schema = arrow.schema(columns)
        self._writer = importlib.import_module("pyarrow.parquet").ParquetWriter(path, self._schema, compression="zstd")

    def add(self, records: Sequence[RecordRow], fields: Sequence[FieldRow]) -> None:
        rows: Sequence[tuple[Any, ...]] = [(*row, *_exact(row)) for row in fields] if self._is_fields else records
        columns = list(zip(*rows, strict=True)) or [()] * len(self._schema)
        arrays = [
            self._arrow.array(list(column), type=kind) for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._writer.write_table(self._arrow.table(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _exact(row: FieldRow) -> tuple[Any, bytes | None]:
    """The exact forms of an integer, or of an amount that stands as decimal text; None where it is none or too large."""
    text = row[2]
    digits = text[1:] if text.startswith("-") else text
    # Text that only looks like a number would come back as another text; at most 78 digits are 256 bits.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 78) or str(int(text)) != text:
        return None, None
    value = int(text)
    decimal = Decimal(value) if abs(value) <= _DECIMAL_MAX else None
    return decimal, value.to_bytes(32, "big") if 0 <= value <= _UINT256_MAX else None
