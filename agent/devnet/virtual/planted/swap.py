"""How a planted bug is written down."""

from __future__ import annotations

from typing import Any, NamedTuple


class Swap(NamedTuple):
    """`owner.attribute` becomes `replacement`."""

    owner: Any
    attribute: str
    replacement: Any


class Bug(NamedTuple):
    """A bug by name, what it does, and what has to be replaced for it."""

    name: str
    what: str
    swaps: tuple[Swap, ...]


def bug(name: str, what: str, *swaps: tuple[Any, str, Any]) -> Bug:
    return Bug(name, what, tuple(Swap(*swap) for swap in swaps))
