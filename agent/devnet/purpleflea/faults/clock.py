"""A server's clock that is not the client's: offset, drift and steps of the wall time. Durations stay true."""

from __future__ import annotations

from agent.ports.clock import Clock


class SkewedClock:
    """Another clock, told wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns = 0
        self._drift_ppm = 0
        self._since_ns = clock.monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    def wall_ns(self) -> int:
        drift_ns = (self._clock.monotonic_ns() - self._since_ns) * self._drift_ppm // 1_000_000
        return self._clock.wall_ns() + self._offset_ns + drift_ns

    def skew(self, *, offset_ns: int, drift_ppm: int) -> None:
        """Step by `offset_ns` and run off by `drift_ppm` from now on."""
        now_ns = self._clock.monotonic_ns()
        self._offset_ns += offset_ns + (now_ns - self._since_ns) * self._drift_ppm // 1_000_000
        self._since_ns, self._drift_ppm = now_ns, drift_ppm
