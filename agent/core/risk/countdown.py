"""A span of time that runs on the monotonic clock only while the agent lives."""

from __future__ import annotations

import msgspec


class Countdown(msgspec.Struct, gc=False):
    """What was left at a time. Kept as a remainder, so that a restart goes on with it: downtime does not run it down."""

    left_ns: int
    as_of_ns: int
    """Monotonic time at which that much was left."""

    def left_at_ns(self, now_ns: int) -> int:
        """What is left; 0 or less once it has run out."""
        return self.left_ns - (now_ns - self.as_of_ns)

    def is_over(self, now_ns: int) -> bool:
        return now_ns - self.as_of_ns >= self.left_ns

    def resume(self, last_ns: int, now_ns: int) -> None:
        """Go on under a new monotonic clock that shows `now_ns`; the old one was last seen at `last_ns`."""
        self.left_ns = self.left_at_ns(last_ns)
        self.as_of_ns = now_ns
