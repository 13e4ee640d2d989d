"""Read `--assume`: slots that a person allows to be taken as zero where a case lacks them.

The file is JSON: a list of [address, slot] pairs, or any object that holds such lists under keys named `overrides` or
`missing`, however deep; so the oracle's file and a report of ours both serve.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from agent.errors import ConfigError
from agent.eth.hexes import to_address
from agent.sim.simulator import Slot

_KEYS = frozenset({"overrides", "missing"})


def read_assumed(path: Path | None) -> frozenset[Slot]:
    """The slots of the file, empty without one. ConfigError says what is wrong with it."""
    if path is None:
        return frozenset()
    try:
        tree = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the assumed slots: {error.strerror}", where=str(path)) from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error}", where=str(path), hint="give [[address, slot], …]") from error
    pairs = tree if isinstance(tree, list) and _is_pairs(tree) else list(_find(tree))
    try:
        return frozenset(_slot(pair) for pair in pairs)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"not a slot: {error}", where=str(path), hint='a pair is ["0x…", "0x…"]') from error


def _is_pairs(tree: list[Any]) -> bool:
    return all(isinstance(pair, list) and len(pair) == 2 for pair in tree)


def _find(tree: Any) -> Iterator[list[Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in _KEYS and isinstance(value, list) and _is_pairs(value):
                yield from value
            else:
                yield from _find(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _find(value)


def _slot(pair: list[Any]) -> Slot:
    address, slot = pair
    if slot is None:
        return Slot(to_address(address), None)
    return Slot(to_address(address), int(slot, 16) if isinstance(slot, str) else int(slot))
