"""A guard in virtual time: its process, and the link of the agent's process to it.

The simulated form of `agent.ports.processes.Guard`; tests/ports/ runs it and the real link through the same cases.

Theory of operation. The guard outlives the agent's processes, as the real one does, and links to one at a time. It
gives a pulse when its world lets it, hears beats, and can fall silent, protect nobody, trip, or die. What it would do at
the venue when it trips is not played here: that a death of the agent trips it would end every world at the first kill.
Real processes show it, in tests/guard/.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from agent.core.events import Event
from agent.core.events.control import GuardGone, GuardPulse
from agent.errors import SetupError
from agent.ports.processes import Figures, GuardListener

BEATS_KEPT = 16
TRIPPED, ENDED = "the guard has tripped", "the guard's process ended"


class VirtualLink:
    """The agent's end. Nothing of it waits, and a guard that is gone costs nothing."""

    def __init__(self, guard: VirtualGuard, listener: GuardListener, *, must_reduce: bool) -> None:
        self._guard = guard
        self._listener = listener
        self._is_over = False
        self.is_armed = guard.is_armed
        self.must_reduce = must_reduce

    def store_progress(self, event_seq: int, crc: int) -> None:
        self._guard.progress = event_seq, crc

    def beat(self, figures: Figures) -> None:
        if not self._is_over:
            self._guard.beats.append(figures)

    async def leave(self) -> None:
        if not self._is_over:
            self._end()
            self._guard.good_byes += 1

    def abandon(self) -> None:
        if not self._is_over:
            self._end()

    def told_pulse(self, *, is_armed: bool) -> None:
        """The guard gives a sign of life."""
        if not self._is_over:
            self.is_armed = is_armed
            self._listener.on_pulse(is_armed)

    def told_gone(self, reason: str) -> None:
        """The guard protects this run no more."""
        if not self._is_over:
            self._end()
            self._listener.on_gone(reason)

    def _end(self) -> None:
        self._is_over = True
        self.is_armed = False
        self._guard.unlink(self)


class Ears:
    """Makes events of what the guard tells a process."""

    def __init__(self, take: Callable[[Event], None]) -> None:
        self._take = take

    def on_pulse(self, is_armed: bool) -> None:
        self._take(GuardPulse(is_armed))

    def on_gone(self, reason: str) -> None:
        self._take(GuardGone(reason))


class VirtualGuard:
    """The guard's process."""

    def __init__(self) -> None:
        self.is_armed = True
        """It reaches the venue."""
        self.is_alive = True
        self.beats: deque[Figures] = deque(maxlen=BEATS_KEPT)
        """What it was told last, oldest first."""
        self.progress = 0, 0
        """Event and check sum that the core stands at, as in shared memory."""
        self.good_byes = 0
        self._link: VirtualLink | None = None

    def watch(self, listener: GuardListener, *, must_reduce: bool = False) -> VirtualLink:
        """A process of the agent asks to be watched. Raises SetupError where no guard lives."""
        if not self.is_alive:
            raise SetupError("no guard listens", code="E_NO_GUARD")
        self._link = link = VirtualLink(self, listener, must_reduce=must_reduce)
        return link

    def unlink(self, link: VirtualLink) -> None:
        """The link is over, or the process that had it is dead."""
        if self._link is link:
            self._link = None

    def pulse(self) -> None:
        """A sign of life to whoever is linked."""
        if self.is_alive and self._link is not None:
            self._link.told_pulse(is_armed=self.is_armed)

    def trip(self) -> None:
        """It latches, and says so in its last pulse."""
        if self._link is not None:
            self._link.told_gone(TRIPPED)

    def die(self) -> None:
        """Its process ends; the kernel tells the agent's at once."""
        self.is_alive = False
        if self._link is not None:
            self._link.told_gone(ENDED)
