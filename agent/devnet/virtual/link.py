"""A connection between two machines, with everything that can befall one.

Theory of operation. Each way of a connection is a `Way`. As TCP promises, frames of one way arrive in order and once,
after a latency with a heavy tail, and a way that is *held* (a partition) delivers late, not never. What TCP does not
promise is drawn: a connection is cut, with any part of what was under way still arriving at the other side, or goes
silent while both ends believe in it (*half open*). On top of that stands what a careless peer does on a healthy
connection: a frame lost, doubled, or overtaken by the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.schedule import Schedule

NS_PER_MS = 1_000_000
HALF = 500_000
"""Parts per million."""
CLOSE_NS_MAX = 40 * NS_PER_MS
"""An end hears of a broken connection within this, if it hears of it at all."""


class Listener(Protocol):
    """What an end tells; as agent.ports.network.WebSocketListener, for frames of any type."""

    def on_frame(self, data: Any) -> None: ...
    def on_close(self, code: int | None, reason: str) -> None: ...


class Latency(msgspec.Struct, frozen=True):
    """How long a frame is under way: at least `base_ns`, exponentially more, and `spike_ns` where that fault strikes."""

    base_ns: int = NS_PER_MS
    mean_ns: int = NS_PER_MS
    spike_ns: int = 400 * NS_PER_MS

    def draw(self, stream: random.Random) -> int:
        return self.base_ns + int(stream.expovariate(1.0) * self.mean_ns) if self.mean_ns else self.base_ns


class Way:
    """One direction. `name` is `up` (to the server) or `down`."""

    __slots__ = ("arrives_ns", "cut_at", "held_until_ns", "is_dead", "name", "received", "sent")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self.received = 0
        self.arrives_ns = 0
        """Arrival of the latest frame: none may come before it."""
        self.held_until_ns = 0
        self.is_dead = False
        self.cut_at: int | None = None
        """Frames from this number on are lost with the connection."""


class End:
    """One end: the simulated form of `agent.ports.network.WebSocket`."""

    def __init__(self, link: Link, way: Way) -> None:
        self._link = link
        self._way = way
        self.listener: Listener | None = None
        self.is_open = True

    def send(self, data: Any) -> bool:
        if not self.is_open:
            return False
        self._link.carry(self._way, data)
        return True

    def close(self, code: int = 1000) -> None:
        if self.is_open:
            self._link.end(self, code, "closed", keeps_sent=True)

    def abort(self) -> None:
        if self.is_open:
            self._link.end(self, None, "aborted", keeps_sent=False)

    def take(self, data: Any) -> None:
        if self.is_open and self.listener is not None:
            self.listener.on_frame(data)

    def hear_close(self, code: int | None, reason: str) -> None:
        if self.is_open:
            self.is_open = False
            if self.listener is not None:
                self.listener.on_close(code, reason)


class Link:
    """A connection: `client` sends up, `server` sends down."""

    def __init__(
        self,
        schedule: Schedule,
        faults: Faults,
        *,
        latency: Latency,
        stream: random.Random,
        on_delivery: Callable[[str], None] | None = None,
    ) -> None:
        self._schedule = schedule
        self._faults = faults
        self._latency = latency
        self._stream = stream
        self._on_delivery = on_delivery
        self.up = Way("up")
        self.down = Way("down")
        self.client = End(self, self.up)
        self.server = End(self, self.down)
        self.is_broken = False

    def carry(self, way: Way, data: Any) -> None:
        """Take a frame from the end that sends on `way`."""
        number = way.sent
        way.sent += 1
        if self.is_broken or way.is_dead:
            return
        strikes = self._faults.strikes
        now_ns = self._schedule.now_ns
        if strikes("network.lose_" + way.name):
            return
        arrives_ns = max(now_ns + self._latency.draw(self._stream), way.held_until_ns)
        if strikes("network.slow"):
            arrives_ns += self._latency.spike_ns
        if strikes("network.hold_" + way.name):
            way.held_until_ns = now_ns + self._faults.span_ns("network.hold", 2_000 * NS_PER_MS)
            arrives_ns = max(arrives_ns, way.held_until_ns)
        if strikes("network.reorder"):
            arrives_ns += self._faults.span_ns("network.reorder", 50 * NS_PER_MS)  # and the next may overtake it
        else:
            arrives_ns = way.arrives_ns = max(arrives_ns, way.arrives_ns)
        self._schedule.at(arrives_ns, self._deliver, way, number, data)
        if strikes("network.duplicate_" + way.name):
            self._schedule.at(
                arrives_ns + self._faults.span_ns("network.duplicate", 100 * NS_PER_MS),
                self._deliver,
                way,
                number,
                data,
            )
        if strikes("network.half_open"):
            self.go_silent()
        elif strikes("network.cut"):
            self.cut()

    def cut(self, reason: str = "connection reset") -> None:
        """Break: of what is under way a random first part still arrives; both ends hear of it a little later."""
        if self.is_broken:
            return
        self.is_broken = True
        for way, end in ((self.up, self.server), (self.down, self.client)):
            way.cut_at = way.sent - self._stream.randint(0, max(0, way.sent - way.received))
            hears_ns = self._schedule.now_ns + self._stream.randint(0, CLOSE_NS_MAX)
            if way.cut_at > way.received:
                hears_ns = max(hears_ns, way.arrives_ns + 1)
            self._schedule.at(hears_ns, end.hear_close, None, reason)

    def go_silent(self) -> None:
        """Half open: whatever is sent from now on vanishes, and nobody is told."""
        self.up.is_dead = self.down.is_dead = True

    def calm(self) -> None:
        """End what lasts: a connection that went silent breaks, so that both ends hear of it; holds end."""
        if self.up.is_dead or self.down.is_dead:
            self.cut("silent connection")
        self.up.held_until_ns = self.down.held_until_ns = 0

    def end(self, end: End, code: int | None, reason: str, *, keeps_sent: bool) -> None:
        """`end` goes: it hears no frame more; the other side gets what was sent before, or any first part of it."""
        is_client = end is self.client
        way, other = (self.up, self.server) if is_client else (self.down, self.client)
        end.is_open = False
        if end.listener is not None:
            self._schedule.at(self._schedule.now_ns, end.listener.on_close, None, reason)
        if self.is_broken:
            return
        self.is_broken = True
        way.cut_at = way.sent if keeps_sent else way.sent - self._stream.randint(0, max(0, way.sent - way.received))
        if not way.is_dead:
            hears_ns = max(self._schedule.now_ns + self._latency.draw(self._stream), way.arrives_ns + 1)
            self._schedule.at(hears_ns, other.hear_close, code, reason)

    def _deliver(self, way: Way, number: int, data: Any) -> None:
        way.received = max(way.received, number + 1)
        if way.cut_at is not None and number >= way.cut_at:
            return
        if self._on_delivery is not None:
            self._on_delivery(way.name)
        (self.server if way is self.up else self.client).take(data)
