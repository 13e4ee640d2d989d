"""Time that only the simulation moves, and clocks that show it wrongly.

A `Timeline` is the one true time of a world. Each machine in the world has a `VirtualClock` on it, whose two readings
can be disturbed apart: the wall clock steps, drifts and is set back; the monotonic one starts anew with a boot and
stands still while the machine is suspended.
"""

from __future__ import annotations

PPM = 1_000_000
WALL_START_NS = 1_772_582_400_000_000_000
"""2026-03-04 00:00:00 UTC, where every world begins unless it is told otherwise."""
BOOT_NS = 3_600_000_000_000
"""A machine has been up for an hour when its world begins, so that a clock's zero is not the world's."""


class Timeline:
    """The true time of a world in nanoseconds since its beginning. It never goes back."""

    __slots__ = ("now_ns",)

    def __init__(self) -> None:
        self.now_ns = 0

    def advance_to(self, instant_ns: int) -> None:
        """Go on to this instant; one that has passed already changes nothing."""
        if instant_ns > self.now_ns:
            self.now_ns = instant_ns


class VirtualClock:
    """One machine's two clocks: the simulated form of `agent.ports.clock.Clock`."""

    __slots__ = ("_boot_ns", "_drift_from_ns", "_drift_ppm", "_timeline", "_wall_ns")

    def __init__(self, timeline: Timeline, *, wall_ns: int = WALL_START_NS) -> None:
        self._timeline = timeline
        self._boot_ns = timeline.now_ns - BOOT_NS
        self._wall_ns = wall_ns - timeline.now_ns
        self._drift_ppm = 0
        self._drift_from_ns = timeline.now_ns

    def monotonic_ns(self) -> int:
        return self._timeline.now_ns - self._boot_ns

    def wall_ns(self) -> int:
        now_ns = self._timeline.now_ns
        return now_ns + self._wall_ns + (now_ns - self._drift_from_ns) * self._drift_ppm // PPM

    def step_wall(self, by_ns: int) -> None:
        """Set the wall clock forward or back; the monotonic one does not notice."""
        self._wall_ns += by_ns

    def drift_wall(self, ppm: int) -> None:
        """From now on the wall clock gains this much on true time."""
        self._wall_ns = self.wall_ns() - self._timeline.now_ns
        self._drift_from_ns = self._timeline.now_ns
        self._drift_ppm = ppm

    def mend_wall(self) -> None:
        """Set the wall clock right again."""
        self._wall_ns = WALL_START_NS
        self._drift_ppm = 0

    def suspend(self, for_ns: int) -> None:
        """The machine slept: the true time and the wall clock went on, the monotonic one stood."""
        self._boot_ns += for_ns

    def reboot(self) -> None:
        """The monotonic clock begins anew."""
        self._boot_ns = self._timeline.now_ns
