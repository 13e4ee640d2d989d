"""What a payload means: one number for all kinds, and the steps that bring an older one up to it.

A change of a kind's fields that old payloads do not fit raises `SCHEMA` by one and adds an up-caster for that kind. The
casters are kept for ever: a journal of any earlier schema of this format stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agent.core.effects import Effect
from agent.core.events import Event
from agent.journal.errors import CorruptJournal, UnknownFormat, UnknownKind
from agent.journal.records import EFFECTS, Record

SCHEMA = 1
Caster = Callable[[dict[str, Any]], dict[str, Any]]


class Schema(msgspec.Struct, frozen=True):
    """`casters[kind, n]` turns a value of that kind from schema n into n + 1; a kind without one did not change."""

    version: int
    casters: Mapping[tuple[str, int], Caster]


PRESENT = Schema(SCHEMA, {})
_event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_effects_decoder: msgspec.json.Decoder[tuple[Effect, ...]] = msgspec.json.Decoder(tuple[Effect, ...])


def decode_event(record: Record, *, path: str = "", schema: Schema = PRESENT) -> Event:
    """The event of a record. Raises UnknownFormat, UnknownKind or CorruptJournal."""
    try:
        if record.schema == schema.version:
            return _event_decoder.decode(record.payload)
        event: Event = msgspec.convert(_cast(msgspec.json.decode(record.payload), record, path, schema), type=Event)
        return event
    except msgspec.MsgspecError as error:
        raise _refusal(record, path, error) from None


def decode_effects(record: Record, *, path: str = "", schema: Schema = PRESENT) -> tuple[Effect, ...]:
    """The effects of a record. Raises as `decode_event` does."""
    try:
        if record.schema == schema.version:
            return _effects_decoder.decode(record.payload)
        old = msgspec.json.decode(record.payload)
        return msgspec.convert([_cast(one, record, path, schema) for one in old], type=tuple[Effect, ...])
    except msgspec.MsgspecError as error:
        raise _refusal(record, path, error) from None


def _cast(value: Any, record: Record, path: str, schema: Schema) -> Any:
    if record.schema > schema.version:
        raise UnknownFormat(
            f"record {record.sequence} has schema {record.schema}; this code reads up to {schema.version}",
            path=path,
            version=record.schema,
            hint="read it with the version of mev-agent that wrote it",
        )
    for version in range(record.schema, schema.version):
        caster = schema.casters.get((value.get("type", ""), version))
        if caster is not None:
            value = caster(value)
    return value


def _refusal(record: Record, path: str, error: msgspec.MsgspecError) -> UnknownKind | CorruptJournal:
    """The check sum was right, so these bytes were written: by code that knew a kind or a field that this one does not."""
    try:
        value = msgspec.json.decode(record.payload)
    except msgspec.MsgspecError:
        return CorruptJournal(f"record {record.sequence} is no JSON", path=path, sequence=record.sequence)
    values = value if record.type == EFFECTS and isinstance(value, list) else [value]
    kinds = ", ".join(sorted({str(one.get("type", "")) for one in values if isinstance(one, dict)}))
    return UnknownKind(
        f"record {record.sequence} ({kinds}) is nothing this code knows: {error}",
        path=path,
        sequence=record.sequence,
        kind=kinds,
    )
