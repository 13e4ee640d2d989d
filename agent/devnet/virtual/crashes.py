"""The named points at which a process can die, and one death that is planned at one of them.

Theory of operation. Whatever a process writes or sends passes a point before and a point behind, and each has a name that
says what it is: "before the record of Fill", "behind Place", "before disk sync of mvj". A world counts how often each is
passed. So a first world without a death says which points there are, and then one world for each of them dies there: no
point is left to chance. In every world a death may be drawn at the same points besides (`host.kill_in_step`,
`host.kill_at_send`, `host.power_at_send`).
"""

from __future__ import annotations

import msgspec


class ProcessDied(BaseException):
    """The process is killed here; no handler of the agent may take it."""


class PowerLost(ProcessDied):
    """The machine goes off here."""

    def __init__(self) -> None:
        super().__init__("loss of power")


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """A death at the `nth` time that a point is passed."""

    point: str
    nth: int = 1
    takes_power: bool = False


class CrashPoints:
    """Of one machine."""

    def __init__(self, planned: Crash | None = None) -> None:
        self._planned = planned
        self.passed: dict[str, int] = {}
        """How often each was passed."""
        self.has_struck = False
        self._death: ProcessDied | None = None
        """Of the process that is dead and has not been cleared away yet: it does nothing more on its way out."""

    def at(self, point: str) -> None:
        """The process passes a point. Raises ProcessDied where it dies there, and PowerLost where the machine goes off."""
        if self._death is not None:
            raise self._death
        count = self.passed[point] = self.passed.get(point, 0) + 1
        planned = self._planned
        if planned is not None and point == planned.point and count == planned.nth:
            self.has_struck = True
            self.die(PowerLost() if planned.takes_power else ProcessDied(point))

    def die(self, death: ProcessDied) -> None:
        """Raises `death`, here and wherever the process comes by until `clear`."""
        self._death = death
        raise death

    def clear(self) -> None:
        """The dead process is gone."""
        self._death = None
