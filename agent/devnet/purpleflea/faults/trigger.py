"""When a fault acts: filters first, then the window of time, the count, and its own dice."""

from __future__ import annotations

import random
from typing import NamedTuple

from agent.devnet.purpleflea.faults.model import Fault
from agent.ports.clock import Clock


class Subject(NamedTuple):
    """What a fault may act on: a frame or request, by whom and about what."""

    kind: str
    account: str = ""
    symbol: str | None = None
    order: str | None = None


class Trigger:
    """One fault's memory. Each has a random stream of its own, so that adding a fault changes no other."""

    def __init__(self, fault: Fault, clock: Clock, *, seed: int, index: int) -> None:
        self.fault = fault
        self._clock = clock
        self._begun_ns = clock.monotonic_ns()
        own = fault.when.seed if fault.when.seed is not None else f"{seed} {index} {fault.knob}"
        self.random = random.Random(f"fault {own}")
        self.seen = 0
        self.fired = 0
        self._left = fault.when.count if fault.when.count is not None else 1 if fault.knob == "F5" else None

    @property
    def at_ns(self) -> int:
        """Monotonic time from which it may act."""
        return self._begun_ns + int((self.fault.when.at_s or 0.0) * 1e9)

    def matches(self, subject: Subject) -> bool:
        """True where the filters let it through."""
        fault = self.fault
        return (
            (fault.kind is None or fault.kind == subject.kind)
            and (fault.symbol is None or fault.symbol == subject.symbol)
            and _fits(fault.order, subject.order)
            and _fits(fault.account, subject.account)
        )

    def fires(self, subject: Subject) -> bool:
        """True where the fault acts on this occasion, which is counted."""
        if not self.matches(subject):
            return False
        now_ns, when = self._clock.monotonic_ns(), self.fault.when
        if now_ns < self.at_ns or (when.for_s is not None and now_ns > self.at_ns + int(when.for_s * 1e9)):
            return False
        self.seen += 1
        if self.seen <= when.after_n or self._left == 0:
            return False
        if when.probability < 1.0 and self.random.random() >= when.probability:
            return False
        self.count()
        return True

    def end(self) -> None:
        """It acts no more."""
        self._left = 0

    def count(self) -> None:
        """It acted once more."""
        self.fired += 1
        if self._left is not None:
            self._left -= 1


def _fits(pattern: str | None, value: str | None) -> bool:
    if pattern is None:
        return True
    if value is None:
        return False
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
