"""Old payloads stay readable, newer and unknown ones are refused by name."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest

from agent.core.effects import Effect
from agent.core.effects.control import Alarm
from agent.core.events import Event
from agent.core.events.control import HaltAsked
from agent.errors import SetupError
from agent.journal.errors import UnknownFormat, UnknownKind
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Record
from agent.journal.recovery import recover
from agent.journal.schema import SCHEMA, Schema, decode_effects, decode_event
from agent.journal.segments import FORMAT
from tests.journal import kinds
from tests.journal.worlds import begin, make_tally, write_run


def record(payload: object, kind: int = EVENT, schema: int = SCHEMA) -> Record:
    return Record(kind, 7, 0, 0, json.dumps(payload).encode(), 0, schema)


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_every_kind_of_every_schema_is_read(schema: int) -> None:
    """A field that was there is there still, or its up-caster says where it went."""
    events = {kind.__struct_config__.tag for kind in kinds.kinds_of(Event)}
    effects = {kind.__struct_config__.tag for kind in kinds.kinds_of(Effect)}
    for line in kinds.golden(schema).read_text().splitlines():
        payload = json.loads(line)
        if payload["type"] in events:
            back: Any = decode_event(record(payload, schema=schema))
        else:
            assert payload["type"] in effects
            (back,) = decode_effects(record([payload], EFFECTS, schema))
        if schema == SCHEMA:
            again = json.loads(msgspec.json.encode(back))
            changed = {name for name, value in payload.items() if again.get(name) != value}
            assert not changed, f"{payload['type']}: raise SCHEMA and add an up-caster for {sorted(changed)}"


def test_the_golden_file_of_this_schema_holds_every_kind() -> None:
    held = {json.loads(line)["type"] for line in kinds.golden(SCHEMA).read_text().splitlines()}
    there = {kind.__struct_config__.tag for union in (Event, Effect) for kind in kinds.kinds_of(union)}
    assert there == held, "python -m tests.journal.kinds, before anyone has a journal; else a new schema"


def test_an_older_payload_is_brought_up_step_by_step_and_only_its_kind() -> None:
    def rename(old: dict[str, Any]) -> dict[str, Any]:
        return {"type": old["type"], "by": old["who"], "cause": old["cause"]}

    def split(old: dict[str, Any]) -> dict[str, Any]:
        return {"type": old["type"], "by": old["by"], "reason": old["cause"]}

    def quiet(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "severity": "notice"}

    schema = Schema(3, {("halt", 1): rename, ("halt", 2): split, ("alarm", 2): quiet})
    old = {"type": "halt", "who": "person", "cause": "end"}
    assert decode_event(record(old, schema=1), schema=schema) == HaltAsked("person", "end")
    newer = {"type": "halt", "by": "person", "cause": "end"}
    assert decode_event(record(newer, schema=2), schema=schema) == HaltAsked("person", "end")
    alarm = {"type": "alarm", "code": "X", "subject": "s", "detail": "d"}
    stop = {"type": "stop", "by": "a", "reason": "b"}
    effects = decode_effects(record([alarm, stop], EFFECTS, 1), schema=schema)
    assert effects[0] == Alarm("notice", "X", "s", "d")


def test_what_is_newer_or_unknown_is_refused() -> None:
    with pytest.raises(UnknownFormat) as newer:
        decode_event(record({"type": "halt"}, schema=SCHEMA + 1))
    assert newer.value.version == SCHEMA + 1
    for payload, kind in (({"type": "comet"}, EVENT), ([{"type": "comet"}], EFFECTS)):
        with pytest.raises(UnknownKind) as unknown:
            (decode_event if kind == EVENT else decode_effects)(record(payload, kind))
        assert (unknown.value.kind, unknown.value.sequence) == ("comet", 7)
    with pytest.raises(UnknownKind, match="reason"):
        decode_event(record({"type": "halt", "by": "x"}))


def test_a_journal_with_an_unknown_kind_is_not_started_from(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal._append(EVENT, b'{"type":"comet"}', 0, 0)
    journal.close()
    with pytest.raises(UnknownKind, match="comet"):
        recover(tmp_path, make_tally)
    assert len(list(JournalReader(tmp_path).records())) == 4, "it can be looked at all the same"


def test_a_segment_of_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = write_run(tmp_path).path
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, 8, FORMAT + 1)
    with pytest.raises(SetupError) as broken:
        path.write_bytes(content)
        list(JournalReader(tmp_path).records())
    assert broken.value.code == "E_JOURNAL_CORRUPT", "a number that its check sum does not cover is damage"
    struct.pack_into("<I", content, 132, crc32(content[:132]))
    path.write_bytes(content)
    with pytest.raises(UnknownFormat, match=f"format {FORMAT + 1}") as refused:
        list(JournalReader(tmp_path).records())
    assert refused.value.version == FORMAT + 1
