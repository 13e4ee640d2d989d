"""The clock, as the first of the ways out of the program."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Durations are differences of `monotonic_ns`, instants are `wall_ns`; the two never meet in one subtraction."""

    def monotonic_ns(self) -> int: ...
    def wall_ns(self) -> int: ...


class SystemClock:
    """The machine's own clocks, without a call between: an order's way reads them seven times."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)


SYSTEM_CLOCK = SystemClock()
"""For whoever is told of no other; it has no state."""
