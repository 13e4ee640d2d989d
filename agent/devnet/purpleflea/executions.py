"""What happened to an account, numbered for ever: the proof that a client missed nothing.

`exec_seq` starts at 1, rises by one with every frame that carries it, and is never reset: not by a new login, not by
a fence. Frames are kept for a day, so that a client asks for what it missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

RETENTION_NS = 24 * 3600 * 1_000_000_000
REPLAYED_KINDS = frozenset({"order_ack", "fill", "order_canceled", "order_amended", "trade_bust", "trade_correct"})


class Executions:
    """One account's numbered frames."""

    def __init__(self, *, retention_ns: int = RETENTION_NS) -> None:
        self.last_seq = 0
        self._retention_ns = retention_ns
        self._kept: deque[tuple[int, int, dict[str, Any]]] = deque()

    def number(self, frame: dict[str, Any], mono_ns: int) -> dict[str, Any]:
        """Give the frame its number and keep it; the same dictionary is handed back."""
        self.last_seq += 1
        frame["exec_seq"] = self.last_seq
        self._kept.append((self.last_seq, mono_ns, frame))
        while self._kept[0][1] < mono_ns - self._retention_ns:
            self._kept.popleft()
        return frame

    @property
    def first_kept(self) -> int:
        """The lowest number that can still be replayed; one above the last where none can."""
        return self._kept[0][0] if self._kept else self.last_seq + 1

    def since(self, first_seq: int) -> Iterator[dict[str, Any]]:
        """Copies of the kept frames from `first_seq` on, marked as replayed."""
        skipped = max(0, first_seq - self.first_kept)
        for index in range(skipped, len(self._kept)):
            yield {**self._kept[index][2], "replayed": True}
