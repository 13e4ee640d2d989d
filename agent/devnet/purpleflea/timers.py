"""What the venue will do later, in order: a heap that real or virtual time drives."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One appointment; `cancel` makes it nothing."""

    __slots__ = ("action", "at_ns")

    def __init__(self, at_ns: int, action: Callable[[], None]) -> None:
        self.at_ns = at_ns
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Timers:
    """Appointments by monotonic time; equal times run in the order they were made."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._made = 0
        self.on_earlier: Callable[[], None] = lambda: None
        """Called when a new appointment is the next one, so that whoever waits can wait less."""

    def at(self, mono_ns: int, action: Callable[[], None]) -> Timer:
        self._made += 1
        timer = Timer(mono_ns, action)
        is_next = not self._heap or mono_ns < self._heap[0][0]
        heapq.heappush(self._heap, (mono_ns, self._made, timer))
        if is_next:
            self.on_earlier()
        return timer

    def next_ns(self) -> int | None:
        """When the next appointment is due."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, mono_ns: int) -> None:
        """Do what is due; what an action makes anew for the same instant is done too."""
        while (due := self.next_ns()) is not None and due <= mono_ns:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action()
