"""How fast requests may follow: the smaller of what is configured and what the venue's headers say."""

from __future__ import annotations

from collections.abc import Mapping

_MINUTE_NS = 60_000_000_000
_SECOND_NS = 1_000_000_000


class Pacing:
    """A bucket of one minute's requests, which fills evenly. Monotonic times; nothing here waits."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._level_ns = 0
        """Up to when the requests so far have used the time."""
        self._blocked_until_ns = 0

    def wait_ns(self, monotonic_ns: int) -> int:
        """How long the next request has to wait; it is counted."""
        at_ns = max(monotonic_ns, self._blocked_until_ns, self._level_ns - _MINUTE_NS)
        self._level_ns = max(self._level_ns, at_ns) + _MINUTE_NS // self.per_minute
        return at_ns - monotonic_ns

    def heard(self, headers: Mapping[str, str], monotonic_ns: int, wall_ns: int) -> None:
        """`X-RateLimit-Limit`, `-Remaining` and `-Reset` (Unix s) of an answer; what cannot be read says nothing."""
        limit, remaining, reset_s = (
            _number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if limit:
            self.per_minute = min(self.per_minute, limit)
        if remaining == 0 and reset_s is not None:
            wait_ns = reset_s * _SECOND_NS - wall_ns
            # A reset of hours is a lie or another unit; the venue still says 429 if it means it.
            if 0 < wait_ns <= 2 * _MINUTE_NS:
                self._blocked_until_ns = max(self._blocked_until_ns, monotonic_ns + wait_ns)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 16 else None
