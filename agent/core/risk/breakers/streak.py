"""Breaker 4: losing episodes in a row pause trading; the third pause of a UTC day halts it.

A loss adds one, a gain sets to zero, a result of exactly zero changes nothing. Only a loss can trip, and not while a
pause runs: what is closed during it counts, but does not make it longer. When the pause ends the count starts again.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from agent.core.risk.countdown import Countdown
from agent.core.risk.profiles import SECOND_NS

PAUSE_NS = 300 * SECOND_NS
PAUSES_MAX = 3
"""The pause of a day that is one too many."""


class StreakTrip(Enum):
    """What a losing episode set off."""

    PAUSE = "pause"
    HALT = "halt"


class Streak(msgspec.Struct, kw_only=True):
    """The count, the pause that runs, and the pauses of the day."""

    count: int = 0
    pause: Countdown | None = None
    pauses_today: int = 0
    tripped_day: int | None = None
    """The UTC day of the halt, while it holds."""

    def on_episode(self, result_atoms: int, limit: int, day: int, now_ns: int) -> StreakTrip | None:
        """Count one. What it trips, if it does; `now_ns` is monotonic, and `on_time` was called with it."""
        if result_atoms > 0:
            self.count = 0
        if result_atoms >= 0:
            return None
        self.count += 1
        if self.pause is not None or self.tripped_day is not None or self.count < limit:
            return None
        self.pause = Countdown(PAUSE_NS, now_ns)
        self.pauses_today += 1
        if self.pauses_today < PAUSES_MAX:
            return StreakTrip.PAUSE
        self.tripped_day = day
        return StreakTrip.HALT

    def on_time(self, now_ns: int) -> bool:
        """True where a pause ends now."""
        if self.pause is None or not self.pause.is_over(now_ns):
            return False
        self.pause = None
        self.count = 0
        return True

    def on_day(self) -> None:
        """Pauses are counted per day; one that runs goes on."""
        self.pauses_today = 0

    def on_restart(self, last_ns: int, now_ns: int) -> None:
        """A pause goes on with what was left at the last event before the stop."""
        if self.pause is not None:
            self.pause.resume(last_ns, now_ns)

    def reset(self) -> None:
        """Arm it again; a pause that runs ends too."""
        self.tripped_day = None
        self.pause = None
        self.count = 0
