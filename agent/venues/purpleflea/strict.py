"""What the JSON decoder lets pass and the contract does not: repeated keys, deep nesting, text that is not UTF-8.

Theory of operation
-------------------
The decoder checks syntax, types and numbers. Whether a key comes twice it does not say, and looking costs more than
decoding. But frames of one kind differ in their digits alone: with the digits taken out, a venue's whole traffic comes
down to a few hundred texts ("shapes"). A shape that was looked at once need not be looked at again. Keys that differ in
their digits alone become alike by this, so a shape is remembered only if it is in order without them: then every frame of
that shape is, too. Text with a backslash is never remembered, because digits are part of its meaning.

Depth is looked at before anything is parsed: a parser written in C answers deep nesting with the end of the process where
some library has raised the interpreter's recursion limit.
"""

from __future__ import annotations

import json
from typing import Any

FRAME_BYTES_MAX = 1 << 20
DEPTH_MAX = 8
_REMEMBERED = 2_048
DIGITS = b"0123456789"
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Malformed(ValueError):
    """A frame that the contract does not allow. The text is ours, never the peer's."""


class Shapes:
    """The shapes that are in order; one object for each connection's decoder."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: set[bytes] = set()
        """For whoever looks into it before asking, as the hot path does."""

    def check(self, data: bytes) -> bool:
        """Whether every string in it is plain ASCII without escapes. Raises Malformed, before anything is parsed."""
        shape = data.translate(None, DIGITS)
        if shape in self.known:
            return True
        if len(data) > FRAME_BYTES_MAX:
            raise Malformed("more than 1 MiB")
        is_plain = data.isascii() and b"\\" not in data and b"\x7f" not in data
        if not is_plain or not _is_in_order(shape):
            _look_closely(data)
            return is_plain
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known.add(shape)
        return True


def _is_in_order(text: bytes) -> bool:
    """Whether a text without escapes certainly repeats no key and is not nested deeply."""
    pieces = text.split(b'"')
    outside = pieces[::2]
    if not len(pieces) % 2 or not _is_shallow(b"".join(outside)):
        return False
    # A string before a colon is a key. Keys of different objects may be alike, but then a closer look is due.
    keys = [key for key, behind in zip(pieces[1::2], outside[1:], strict=True) if behind.lstrip().startswith(b":")]
    return len(set(keys)) == len(keys)


def _is_shallow(outside: bytes) -> bool:
    """Whether brackets (strings are taken out already) are balanced and at most `DEPTH_MAX` deep."""
    brackets = outside.translate(_ONE_BRACKET, _NOT_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def _look_closely(data: bytes) -> None:
    """The same by a full parse; any text."""
    # With escaped backslashes and then escaped quotes gone, every quote that is left begins or ends a string.
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    if not len(pieces) % 2 or not _is_shallow(b"".join(pieces[::2])):
        raise Malformed("nested too deeply, or not JSON")
    try:
        text = data.decode()
        json.loads(text, object_pairs_hook=_unique, parse_constant=_refused, parse_int=str, parse_float=str)
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except json.JSONDecodeError:
        raise Malformed("not JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise Malformed("a key comes twice")


def _refused(constant: str) -> Any:
    raise Malformed("not a finite number")
