"""Why a decision was taken: the records that led to it, oldest first.

Theory of operation. A decision is an effect. It is named by what it is about (an opportunity or bundle, a client order
id, a signal) or by its place, `sequence.index`: the record of its event, and which of the step's effects it was. From
there the chain goes three ways: back to the event that was stepped, whether or not that names the subject; to every
record that names the subject, or what became the subject's other name (a venue's order id, the id after an amendment);
and back to the market event that a strategy or a signal says it decided on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from agent.errors import UsageError
from agent.journal.reader import JournalReader
from agent.journal.records import EFFECTS, EVENT, Record

NAMES = ("id", "client_order_id", "new_client_order_id", "order_id", "request_id", "signal_id", "subject")
"""Fields that name one thing; those of one object name the same one."""
ORIGINS = ("decided_seq", "input_seq")
"""Fields that say on which event it was decided."""
_PLACE = re.compile(r"(\d+)\.(\d+)")
PREFIX_MIN = 6
"""A beginning of an id stands for it from this length on."""


class Link(msgspec.Struct, frozen=True):
    """One record of the chain. Of a step's effects only those that belong to it are in `content`, by their index."""

    record: Record
    content: dict[str, Any] | list[Any]
    indexes: tuple[int, ...] = ()
    is_cause: bool = False
    """It is here for what came of it; it does not name the subject."""


def why(reader: JournalReader, subject: str) -> list[Link]:
    """The chain of a decision; empty where nothing names it.

    Raises UsageError for a place that holds no effect, and for a beginning that several ids have.
    """
    place = _PLACE.fullmatch(subject)
    if place is None:
        links = list(_about(reader, {_whole(reader, subject)}, until=None))
    else:
        links = _of_place(reader, int(place[1]), int(place[2]))
    return sorted([*links, *_origins(reader, links)], key=lambda link: link.record.sequence)


def _whole(reader: JournalReader, subject: str) -> str:
    """The one word of the journal that is `subject`, or begins with it; itself where there is none."""
    found: set[str] = set()
    beginning = subject.encode()
    for record in reader.records():
        if record.type in (EVENT, EFFECTS) and beginning in record.payload:
            found.update(word for word in _words(json.loads(record.payload)) if word.startswith(subject))
            if subject in found:
                return subject
    if len(found) > 1 and len(subject) >= PREFIX_MIN:
        several = ", ".join(sorted(found)[:3])
        raise UsageError(f"{subject} is the beginning of {len(found)} ids", hint=f"name one: {several} ...")
    return found.pop() if len(subject) >= PREFIX_MIN and found else subject


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _words(item)


def _of_place(reader: JournalReader, sequence: int, index: int) -> list[Link]:
    """What led to effect `index` of the step of event `sequence`, and nothing behind it."""
    event, effects = _step_at(reader, sequence)
    decided = [] if effects is None else json.loads(effects.payload)
    if event is None or effects is None or index >= len(decided):
        raise UsageError(
            f"no effect {index} belongs to record {sequence}",
            hint="name an event's sequence and the index of one of its effects, as `journal tail` shows them",
        )
    ids = _ids(decided[index])
    links = list(_about(reader, ids, until=event.sequence - 1)) if ids else []
    return [
        *links,
        Link(event, json.loads(event.payload), is_cause=not ids or not _names(json.loads(event.payload), ids)),
        Link(effects, [decided[index]], (index,)),
    ]


def _step_at(reader: JournalReader, sequence: int) -> tuple[Record | None, Record | None]:
    event = None
    for record in reader.records(above=max(0, sequence - 1)):
        if event is None:
            if record.type != EVENT:
                break
            event = record
        elif record.type == EFFECTS:
            return event, record
        elif record.type == EVENT:
            break
    return event, None


def _about(reader: JournalReader, ids: set[str], *, until: int | None) -> Iterator[Link]:
    """Every record that names one of `ids`, which grow on the way; before a step's effects the event, in any case."""
    ids = set(ids)
    event: Record | None = None
    for record in reader.records():
        if until is not None and record.sequence > until:
            return
        if record.type == EVENT:
            event = record
        if not any(one.encode() in record.payload for one in ids):
            continue  # most of them, and most cheaply
        if record.type == EVENT:
            content = json.loads(record.payload)
            if _names(content, ids):
                event = None
                yield Link(record, content)
        elif record.type == EFFECTS:
            effects = json.loads(record.payload)
            indexes = tuple(index for index, effect in enumerate(effects) if _names(effect, ids))
            if indexes:
                if event is not None:
                    yield Link(event, json.loads(event.payload), is_cause=True)
                yield Link(record, [effects[index] for index in indexes], indexes)


def _names(value: Any, ids: set[str]) -> bool:
    """Whether it names any of `ids`; other names of the same thing are then added to them."""
    if isinstance(value, str):
        return value in ids
    if not isinstance(value, dict | list):
        return False
    is_named = False
    if isinstance(value, dict) and not ids.isdisjoint(own := _ids(value)):
        ids |= own
        is_named = True
    for item in value.values() if isinstance(value, dict) else value:
        is_named = _names(item, ids) or is_named
    return is_named


def _ids(value: dict[str, Any]) -> set[str]:
    found = (value.get(name) for name in NAMES)
    return {name for name in found if isinstance(name, str) and name}


def _origins(reader: JournalReader, links: list[Link]) -> Iterator[Link]:
    """The events that the chain's own say they were decided on, and so on back."""
    known = {link.record.sequence for link in links}
    wanted = {sequence for link in links for sequence in _origins_of(link.content)}
    while wanted - known:
        sequence = (wanted - known).pop()
        known.add(sequence)
        record = next(reader.records(above=sequence - 1), None)
        if record is not None and record.type == EVENT:
            link = Link(record, json.loads(record.payload), is_cause=True)
            wanted |= set(_origins_of(link.content))
            yield link


def _origins_of(content: dict[str, Any] | list[Any]) -> Iterator[int]:
    for one in content if isinstance(content, list) else [content]:
        for name in ORIGINS:
            sequence = one.get(name)
            if isinstance(sequence, int) and sequence > 0:
                yield sequence
