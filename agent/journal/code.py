"""Which code decided: a hash of the sources of everything that a step depends on."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import agent.core

PACKAGES = ("core", "eth")
"""The core, and what it imports from below."""


@cache
def code_hash() -> bytes:
    """BLAKE2b-256 over names and contents, in order of name."""
    digest = hashlib.blake2b(digest_size=32)
    root = Path(agent.core.__file__).parent.parent
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.digest()
