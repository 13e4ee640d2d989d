"""How long to wait before the next connection: doubling, jittered, starting anew after one that stood.

Jitter keeps a thousand agents from coming back in the same millisecond after a provider's restart.
"""

from __future__ import annotations

import random

FIRST_PAUSE_MS = 250
LONGEST_PAUSE_MS = 15_000


class Pauses:
    """The pauses of one feed."""

    def __init__(self, jitter: random.Random | None = None) -> None:
        self._jitter = random.Random() if jitter is None else jitter
        self._failures = 0

    def next_s(self, *, had_connected: bool) -> float:
        """Seconds to wait after a connection that stood for a while (True) or was never made."""
        self._failures = 1 if had_connected else self._failures + 1
        longest_ms = min(FIRST_PAUSE_MS << min(self._failures - 1, 10), LONGEST_PAUSE_MS)
        return self._jitter.uniform(longest_ms / 2, longest_ms) / 1_000
