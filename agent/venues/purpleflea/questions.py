"""What was asked and when, by request id: an answer proves no more than the question it belongs to."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.events.orders import Asked

OPEN_MAX = 4_096
UNASKED = Asked(0, False, 0)
"""For an answer to no question of ours: it was asked before everything, by another way, under no epoch."""

Kind = Literal["status", "open_orders", "account", "replay", "fence"]


class Question(msgspec.Struct, frozen=True):
    """`subject` is the order asked about, or the symbol of a fence; `name` is the asker's own word for a fence."""

    kind: Kind
    asked: Asked
    subject: str = ""
    fence: Literal["none", "session", "account"] = "none"
    name: str = ""


class Questions:
    """Those that are not answered. The oldest is forgotten where there are too many: its answer then proves nothing."""

    def __init__(self) -> None:
        self._open: dict[str, Question] = {}
        self._count = 0

    def ask(self, question: Question) -> str:
        """Its request id on the wire."""
        self._count += 1
        request_id = f"q{self._count}"
        self._open[request_id] = question
        if len(self._open) > OPEN_MAX:
            self._open.pop(next(iter(self._open)))
        return request_id

    def answered(self, request_id: str, kind: Kind) -> Question | None:
        """The question, which is closed by this; None where there is none of this kind."""
        found = self._open.get(request_id)
        if found is None or found.kind != kind:
            return None
        return self._open.pop(request_id)

    def is_open(self, request_id: str) -> bool:
        return request_id in self._open

    def forget(self) -> None:
        """The connection ended: what was asked on it will not be answered."""
        self._open.clear()
