"""How far the venue's clock is from ours, by its answers to pings.

Of the last 60 round trips the one with the least delay is believed: what makes a round trip long also makes it uneven,
and half of its length bounds the error. A step of our own wall clock makes all earlier samples wrong, so they go.
"""

from __future__ import annotations

from collections import deque

import msgspec

from agent.core.events.orders import ClockOffset

KEPT = 60
_STEP_NS = 100_000_000
_PENDING_MAX = 64


class _Sent(msgspec.Struct, frozen=True, gc=False):
    monotonic_ns: int
    wall_ns: int


class OffsetEstimate:
    """Pings go out by `ping`, their answers come in by `pong`."""

    def __init__(self) -> None:
        self._samples: deque[ClockOffset] = deque(maxlen=KEPT)
        self._pending: dict[int, _Sent] = {}
        self._count = 0
        self._origin_ns = 0
        self.best: ClockOffset | None = None

    def ping(self, monotonic_ns: int, wall_ns: int) -> int:
        """The id of a ping that leaves now."""
        self._count += 1
        self._pending[self._count] = _Sent(monotonic_ns, wall_ns)
        if len(self._pending) > _PENDING_MAX:
            self._pending.pop(next(iter(self._pending)))
        return self._count

    def pong(self, number: object, server_ns: int, monotonic_ns: int, wall_ns: int) -> ClockOffset | None:
        """The estimate where this answer changed it. An answer to nothing that was asked is not believed."""
        sent = self._pending.pop(number, None) if isinstance(number, int) else None
        if sent is None:
            return None
        # Taken from the wall clock at sending and the monotonic one since: no step between can get in.
        round_trip_ns = monotonic_ns - sent.monotonic_ns
        origin_ns = wall_ns - monotonic_ns
        if self._samples and abs(origin_ns - self._origin_ns) > _STEP_NS:
            self._samples.clear()
            self.best = None
        if not self._samples:
            self._origin_ns = origin_ns
        if abs(sent.wall_ns - sent.monotonic_ns - self._origin_ns) > _STEP_NS:
            return None
        offset = ClockOffset(server_ns - sent.wall_ns - round_trip_ns // 2, round_trip_ns)
        self._samples.append(offset)
        best = min(self._samples, key=lambda one: one.round_trip_ns)
        if best is self.best:
            return None
        self.best = best
        return best

    def forget_pending(self) -> None:
        """The connection ended: its pings will not be answered."""
        self._pending.clear()
