"""One example of every kind of event and effect, made from its fields; and the golden file of a schema.

    python -m tests.journal.kinds

writes the file of the present schema anew. That is right only while nobody has a journal of this schema yet: a kind
that changes afterwards needs a new schema number, an up-caster, and a file of its own.
"""

from __future__ import annotations

import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from agent.core.effects import Effect
from agent.core.events import Event
from agent.journal.schema import SCHEMA

FOLDER = Path(__file__).parent / "golden"
LARGE = 2**80
"""More than 64 bits hold, as amounts in wei are."""


def kinds_of(union: Any) -> list[type[msgspec.Struct]]:
    return sorted(typing.get_args(union), key=lambda kind: kind.__struct_config__.tag)


def example(kind: Any) -> Any:
    """A value of that type, with nothing left at its default."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return example(next(one for one in arguments if one is not type(None)))
    if origin is typing.Literal:
        return arguments[-1]
    if origin is tuple:
        inner = arguments[:-1] if arguments[-1] is ... else arguments
        return tuple(example(one) for one in inner)
    if origin in (list, set, frozenset):
        return origin([example(arguments[0])])
    if origin is dict:
        return {example(arguments[0]): example(arguments[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: example(hints[name]) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    return {int: LARGE, str: "text", bool: True, bytes: b"\x00\xff"}[kind]


def golden(schema: int) -> Path:
    return FOLDER / f"schema-{schema}.jsonl"


def lines() -> list[bytes]:
    """Each kind's example as it would stand in a record."""
    examples = [example(kind) for union in (Event, Effect) for kind in kinds_of(union)]
    return [msgspec.json.encode(one) for one in examples]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    golden(SCHEMA).write_bytes(b"\n".join(lines()) + b"\n")
