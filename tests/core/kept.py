"""What a journal and a snapshot do to whatever the core says and knows: it comes back as it was, of its own kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from agent.core.effects.chain import Drop
from agent.core.effects.control import Alarm, ModeChanged
from agent.core.effects.orders import Refuse

Kept = TypeVar("Kept")


def as_kept(one: Kept) -> Kept:
    """The same, written and read; it must be equal to it, and each field of the type that it is said to be of."""
    read: Any = msgspec.json.decode(msgspec.json.encode(one), type=type(one))
    assert read == one
    return one


def effects_as_kept(effects: Iterable[Any]) -> None:
    """Each of them; and what is meant for a person has words."""
    for effect in effects:
        assert isinstance(effect, msgspec.Struct)
        as_kept(effect)
        assert not isinstance(effect, Alarm | ModeChanged | Refuse | Drop) or effect.detail, effect
