"""Bytes to frames: typed where they are in order, one of two exceptions where they are not."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from agent.venues.purpleflea.strict import DIGITS, Malformed, Shapes
from agent.venues.purpleflea.wire import Inbound


class _Head(msgspec.Struct, frozen=True):
    type: str


class UnknownType(Exception):
    """A frame of a type that the contract does not know: counted, and otherwise ignored."""


class Decoder:
    """From bytes to a frame. `kinds` is the union of what is understood."""

    __slots__ = ("_decode", "_known", "_shapes", "_types")

    def __init__(self, kinds: Any = Inbound) -> None:
        self._decode = msgspec.json.Decoder(kinds).decode
        self._types = frozenset(str(kind.__struct_config__.tag) for kind in get_args(kinds) or (kinds,))
        self._shapes = Shapes()
        self._known = self._shapes.known

    def decode(self, data: bytes) -> Any:
        """The frame. Raises Malformed or UnknownType, and nothing else, whatever the bytes are."""
        is_plain = data.translate(None, DIGITS) in self._known or self._shapes.check(data)
        try:
            frame = self._decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._reason(data, error) from None
        if not is_plain:
            _refuse_odd_text(frame)
        return frame

    def _reason(self, data: bytes, error: Exception) -> Exception:
        if isinstance(error, msgspec.ValidationError):
            try:
                kind = _HEAD.decode(data).type
            except (msgspec.MsgspecError, ValueError):
                return Malformed("no type")
            if kind not in self._types:
                return UnknownType()
            return Malformed(f"{kind}: a field is missing or out of its range")
        return Malformed("not JSON")


_HEAD = msgspec.json.Decoder(_Head)


def _refuse_odd_text(value: Any) -> None:
    """Ids and codes are printable ASCII: what a terminal or a log would act on is refused before it gets there."""
    if isinstance(value, str):
        if not (value.isascii() and value.isprintable()):
            raise Malformed("an id or code is not printable ASCII")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _refuse_odd_text(getattr(value, name))
    elif isinstance(value, list | tuple):
        for one in value:
            _refuse_odd_text(one)
