"""Requests that withdraw pending bundles, signed ahead by the agent's relay identity with each bundle that it sends.

The guard has no relay key: a relay believes who signed the exact bytes, so the agent writes them down before the bundle
leaves, and the guard hands them in. It hands them to the relays of its own configuration and to nobody else, whatever the
file says. What a relay answers is no evidence; a bundle is over when its block has passed, which a node says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = "mev-agent/bundle-drops/1"
FILE_BYTES_MAX = 4 * 1024 * 1024
ENTRIES_MAX = 4_096
HEADER = "X-Flashbots-Signature"


class Drop(NamedTuple):
    """One request to one relay. `body` is exactly what the signature covers."""

    relay: str
    signature: str
    body: str
    target_block: int


def load(path: Path) -> tuple[Drop, ...]:
    """Nothing where there is no file: then no bundle was sent. Raises ValueError for one that is none, OSError."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    if len(raw) > FILE_BYTES_MAX:
        raise ValueError("a file of bundles to drop is too long")
    content = json.loads(raw)
    rows = content.get("drops") if isinstance(content, dict) and content.get("schema") == SCHEMA else None
    if not isinstance(rows, list) or len(rows) > ENTRIES_MAX:
        raise ValueError("not a file of bundles to drop")
    return tuple(_drop(row) for row in rows)


def _drop(row: Any) -> Drop:
    given = row if isinstance(row, dict) else {}
    relay, signature, body = (given.get(name) for name in ("relay", "signature", "body"))
    block = given.get("target_block")
    if not (isinstance(relay, str) and isinstance(signature, str) and isinstance(body, str) and type(block) is int):
        raise ValueError("a bundle to drop is not whole")
    if not (signature.isascii() and signature.isprintable()):
        raise ValueError("a bundle to drop has a signature that is none")
    return Drop(relay, signature, body, block)
