"""The venue's own dead-man timer: armed again only while the agent's beats are good.

So the death of agent, guard or machine ends in cancellation, at the venue's doing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent.guard.peer import PeerFault
from agent.guard.venue_client import VenueClient

PERIOD_S = 5.0


class Deadman(threading.Thread):
    """Asks `is_beating` each 5 s, and before it arms for the first time."""

    def __init__(self, client: VenueClient, timeout_ms: int, is_beating: Callable[[], bool]) -> None:
        super().__init__(name="deadman", daemon=True)
        self._client = client
        self._timeout_ms = timeout_ms
        self._is_beating = is_beating
        self._ended = threading.Event()
        self.times_armed = 0
        self.last_fault = ""

    def run(self) -> None:
        while not self._ended.is_set():
            if self._is_beating():
                self._try(self._timeout_ms)
            self._ended.wait(PERIOD_S if self.times_armed and not self.last_fault else 0.25)

    def _try(self, timeout_ms: int) -> None:
        try:
            self._client.arm_deadman(timeout_ms)
            self.times_armed += 1
            self.last_fault = ""
        except PeerFault as fault:
            self.last_fault = str(fault)

    def stop(self) -> None:
        """It is left to run out: what it then cancels should not be there."""
        self._ended.set()
