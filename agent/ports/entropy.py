"""Randomness, for what must not be predictable or not be in step with others: jitter, connection ids, secrets.

Nothing that decides about an order draws a number: the ids of orders are functions of the run and the journal.
"""

from __future__ import annotations

import secrets
from typing import Protocol


class Entropy(Protocol):
    """Uniform draws."""

    def below(self, bound: int) -> int:
        """An integer in [0, bound); `bound` is at least 1, else ValueError."""

    def token(self, size: int) -> bytes:
        """`size` random bytes."""


class SystemEntropy:
    """The operating system's."""

    def below(self, bound: int) -> int:
        return secrets.randbelow(bound)

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)


SYSTEM_ENTROPY = SystemEntropy()
"""For whoever is told of no other; it has no state."""
