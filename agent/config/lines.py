"""The line of a key in a TOML text, found with the real parser.

tomllib keeps no positions. So one textual occurrence of the key at a time is renamed and the whole text parsed
again: the occurrence whose renaming makes the value at the path vanish or change is the key. This cannot disagree
with the parser, whatever comments, strings, dotted or inline tables stand around.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

_MARK = "_renamed_to_find_its_line"
_ABSENT = object()


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """1-based line of the deepest key of `path` that stands in `text`; None where none does."""
    document = tomllib.loads(text)
    for depth in range(len(path), 0, -1):
        key = path[depth - 1]
        here = path[:depth]
        if isinstance(key, int) or value_at(document, here) is _ABSENT:
            continue
        line = _line_of_key(text, here, key, value_at(document, here))
        if line is not None:
            return line
    return None


def value_at(document: Any, path: Sequence[str | int]) -> Any:
    """The value at a path; a private mark where there is none."""
    for key in path:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return document


def _line_of_key(text: str, path: Sequence[str | int], key: str, value: Any) -> int | None:
    for found in re.finditer(re.escape(key), text):
        renamed = text[: found.end()] + _MARK + text[found.end() :]
        try:
            document = tomllib.loads(renamed)
        except tomllib.TOMLDecodeError:
            continue
        other = value_at(document, path)
        # A string value that contains the key's word changes too; the key itself makes the value vanish, or,
        # for a table in an array that is then one shorter, makes another one appear.
        if other is _ABSENT or (other != value and not _is_inside_value(value, key)):
            return text.count("\n", 0, found.start()) + 1
    return None


def _is_inside_value(value: Any, key: str) -> bool:
    return key in repr(value)
