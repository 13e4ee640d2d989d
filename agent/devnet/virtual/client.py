"""The process's client of the venue: connects, greets, pings, sends, and tells what became of it.

It stands in the place of the agent's own, with events instead of bytes (`wire_world.py` has the agent's own). What it may
do is what any client of the contract may: lose a connection, not know whether a request was written, ask a question on a
second way whose answer overtakes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from agent.core.effects import Effect
from agent.core.effects import orders as requests
from agent.core.events import Event
from agent.core.events import orders as events
from agent.devnet.virtual.clock import VirtualClock
from agent.devnet.virtual.faults import Faults
from agent.devnet.virtual.link import End
from agent.devnet.virtual.network import Refused, VirtualNetwork
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.schedule import Schedule
from agent.devnet.virtual.venue import Hello, Ping, Pong, Question, Venue

NS_PER_S = 1_000_000_000
VENUE_URL = "wss://venue.test/ws"
SILENCE_NS = 3 * NS_PER_S
HELLO_NS = 2 * NS_PER_S
"""A venue that does not greet within this is not one that orders may be sent to."""
PING_NS = NS_PER_S
BACK_OFF_NS_MAX = 4 * NS_PER_S
ORDERS: dict[type, Literal["place", "cancel", "amend"]] = {
    requests.Place: "place",
    requests.CancelOrder: "cancel",
    requests.Amend: "amend",
}


class Process(Protocol):
    """What the client needs of the process it belongs to."""

    @property
    def clock(self) -> VirtualClock: ...
    @property
    def last_seq(self) -> int:
        """Of the last stepped event."""

    def take(self, *taken: Event) -> None: ...
    def on_sent(self, effect: Effect) -> None: ...
    def later(self, delay_ns: int, call: Callable[..., object], *args: Any) -> None: ...


class _Connection:
    """One connection, so that what an old one still says is told apart."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.socket: End | None = None
        self.is_greeted = False

    def on_frame(self, data: Any) -> None:
        self._client.on_frame(self, data)

    def on_close(self, code: int | None, reason: str) -> None:
        self._client.on_close(self, reason)


class Client:
    """Of one machine; each process begins it anew."""

    def __init__(
        self, process: Process, schedule: Schedule, network: VirtualNetwork, venue: Venue, faults: Faults,
        profile: Profile, jitter: random.Random,
    ) -> None:  # fmt: skip
        self._process = process
        self._schedule = schedule
        self._network = network
        self._venue = venue
        self._faults = faults
        self._profile = profile
        self._jitter = jitter
        self.is_forbidden = False
        """The venue refused the key for good: the process does not connect again."""
        self._connection: _Connection | None = None
        self._epoch = 0
        self._heard_ns = 0
        self._failures_to_connect = 0

    def begin(self) -> None:
        """A new process."""
        self.is_forbidden = False
        self._epoch = 0
        self._failures_to_connect = 0
        self._process.later(0, self.connect)
        self._process.later(PING_NS, self.ping)

    def abort(self) -> None:
        """The process is gone, or broken: the kernel closes what it had."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.socket is not None:
            connection.socket.abort()

    # In

    def on_frame(self, connection: _Connection, data: Any) -> None:
        if connection is not self._connection:
            return
        self._heard_ns = self._schedule.now_ns
        if isinstance(data, Pong):
            now_ns = self._process.clock.monotonic_ns()
            middle_wall_ns = self._process.clock.wall_ns() - (now_ns - data.sent_ns) // 2
            self._process.take(
                events.ClockOffset(offset_ns=data.server_wall_ns - middle_wall_ns, round_trip_ns=now_ns - data.sent_ns)
            )
            return
        if isinstance(data, events.SessionDown):
            self._lose(connection, data)
            return
        if isinstance(data, Hello):
            connection.is_greeted = True
            self._epoch = data.up.epoch
            offset_ns = data.server_wall_ns - self._process.clock.wall_ns()
            self._process.take(msgspec.structs.replace(data.up, server_offset_ns=offset_ns))
            return
        if isinstance(data, events.FenceDone):
            self._epoch = data.epoch
        self._process.take(data)

    def on_close(self, connection: _Connection, reason: str) -> None:
        if connection is self._connection:
            self._lose(connection, events.SessionDown(reason=reason))

    def _lose(self, connection: _Connection, event: events.SessionDown) -> None:
        self._connection = None
        if connection.socket is not None:
            connection.socket.abort()
        self.is_forbidden = self.is_forbidden or event.is_terminal
        self._process.take(event)
        self._back_off()

    # Connecting

    def connect(self) -> None:
        if self._connection is not None or self.is_forbidden:
            return
        connection = _Connection(self)
        try:
            connection.socket = self._network.connect(VENUE_URL, {}, connection)
        except (ConnectionError, Refused):
            self._failures_to_connect += 1
            self._back_off()
            return
        self._failures_to_connect = 0
        self._connection = connection
        self._heard_ns = self._schedule.now_ns
        self._process.later(HELLO_NS, self._expect_hello, connection)

    def _expect_hello(self, connection: _Connection) -> None:
        if connection is self._connection and not connection.is_greeted:
            self._lose(connection, events.SessionDown(reason="no hello"))

    def reconnect(self) -> None:
        if self._connection is not None:
            self._lose(self._connection, events.SessionDown(reason="what was missed cannot be had"))

    def _back_off(self) -> None:
        most_ns = min(BACK_OFF_NS_MAX, self._profile.pause_ns << min(5, self._failures_to_connect))
        self._process.later(self._jitter.randrange(most_ns), self.connect)

    def ping(self) -> None:
        connection = self._connection
        if connection is not None and connection.socket is not None:
            if self._schedule.now_ns - self._heard_ns > SILENCE_NS:
                self._lose(connection, events.SessionDown(reason="silent"))
            else:
                connection.socket.send(Ping(self._process.clock.monotonic_ns()))
        self._process.later(PING_NS, self.ping)

    # Out

    def send(self, effect: Any) -> None:
        connection = self._connection
        socket = connection.socket if connection is not None else None
        request = ORDERS.get(type(effect))
        asked = events.Asked(self._process.last_seq, True, self._epoch)
        if request is not None and socket is not None and self._faults.strikes("network.unsure_send"):
            if self._faults.choose("network.unsure_send", 2):
                self._process.on_sent(effect)
                socket.send(Question(effect, asked))
            self._process.take(events.SendResult(effect.client_order_id, request, "maybe"))
        elif socket is not None and socket.is_open:
            self._process.on_sent(effect)
            socket.send(Question(effect, asked))
        elif request is not None:
            self._process.take(events.SendResult(effect.client_order_id, request, "clean"))
        if self._profile.asks_twice and isinstance(effect, requests.QueryStatus | requests.QueryOpen):
            self._ask_by_http(effect, events.Asked(asked.seq, False, self._epoch))

    def _ask_by_http(self, effect: Effect, asked: events.Asked) -> None:
        """The same question on another way: its answer may overtake, and may outlive the connection."""
        if self._faults.strikes("http.lose_request"):
            return
        slow_ns = self._faults.span_ns("http.slow", 4 * NS_PER_S) if self._faults.strikes("http.slow") else 0
        self._process.later(self._profile.latency_base_ns, self._answer_by_http, effect, asked, slow_ns)

    def _answer_by_http(self, effect: Effect, asked: events.Asked, slow_ns: int) -> None:
        if self._venue.is_up and not self._faults.strikes("http.lose_answer"):
            answer = self._venue.reply(effect, asked, asked.epoch)
            self._process.later(self._profile.latency_base_ns + slow_ns, self._process.take, answer)
