"""The order in which a spoiled connection announces heads. Pure: heads in, heads out."""

from __future__ import annotations

from collections import deque

from agent.devnet.faults.script import FaultKind


class HeadLine:
    """Heads of one connection, between the node and the client."""

    def __init__(self) -> None:
        self._late: deque[str] = deque()
        self._swapped: str | None = None

    def pass_on(self, head: str, *, kind: FaultKind | None, lag: int) -> list[str]:
        """What the client gets when the node announces `head`, in order; `lag` heads are held back."""
        if kind is FaultKind.HEAD_SWAP and self._swapped is None:
            self._swapped = head
            return []
        arriving = [] if kind is FaultKind.HEAD_SKIP else [head]
        if self._swapped is not None:
            arriving.append(self._swapped)
            self._swapped = None
        if kind is FaultKind.HEAD_DUPLICATE:
            arriving = [head, *arriving]
        self._late.extend(arriving)
        passed = []
        while len(self._late) > lag:
            passed.append(self._late.popleft())
        return passed
