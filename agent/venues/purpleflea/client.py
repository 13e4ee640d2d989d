"""The connection to the venue: bytes to the protocol, its events to the engine, and a new connection after each end.

Theory of operation
-------------------
A frame is decoded, handed on and answered in one synchronous call out of the socket's own callback: no queue, no task,
no await lies between a tick and its order. What the protocol has to say itself leaves before what the events cause, so
that subscriptions are ahead of the questions of a reconciliation.

After an end the client waits U(0, min(60 s, 2^n)) and tries again, the whole range being drawn from so that a thousand
agents do not come back together. n starts anew only after 30 s of a live session with data: a peer that accepts and closes
at once is not called without pause. A refused key, or another instance that took the session over, is final.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from agent.core.effects.control import Alarm
from agent.core.effects.orders import Amend, CancelOrder, OrderEffect, Place, Reconnect
from agent.core.events import Event, Stamp
from agent.core.events.orders import CancelReject, Fill, OrderAck, Reject, SendResult, SessionDown
from agent.errors import ProtocolError, Rejected, SetupError
from agent.ports.clock import SYSTEM_CLOCK, Clock
from agent.ports.entropy import SYSTEM_ENTROPY, Entropy
from agent.ports.network import HandshakeRefused, Network, WebSocket
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.last_guard import LastGuard
from agent.venues.purpleflea.latency import Stages
from agent.venues.purpleflea.protocol import Phase, PurpleFleaProtocol

LONGEST_PAUSE_NS = 60_000_000_000
STABLE_NS = 30_000_000_000
_POLL_S = 0.25
_LEAST_S = 0.001
_REQUESTS: dict[type, Literal["place", "cancel", "amend"]] = {Place: "place", CancelOrder: "cancel", Amend: "amend"}
_ANSWERS = frozenset((OrderAck, Reject, Fill, CancelReject))
_FINAL_CODES = frozenset(f"E_HTTP_{status}" for status in (401, 403))

OnEvents = Callable[[list[Event], Stamp], None]
"""Takes the events of one frame with the times it arrived at; the stamp's `seq` is 0, for the journal to give."""


class Pauses:
    """How long to wait: full jitter over a range that doubles."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self.attempt = 0

    def next_ns(self, *, was_stable: bool) -> int:
        """The pause after an end; `was_stable` starts the range anew."""
        if was_stable:
            self.attempt = 0
        longest_ns = min(LONGEST_PAUSE_NS, 1_000_000_000 << min(self.attempt, 10))
        self.attempt += 1
        return self._entropy.below(longest_ns + 1)


class PurpleFleaClient:
    """One account's connection. `run` it as a task, `send` what the core asks for, `stop` it."""

    def __init__(
        self,
        protocol: PurpleFleaProtocol,
        network: Network,
        url: str,
        credentials: Credentials,
        on_events: OnEvents,
        *,
        clock: Clock = SYSTEM_CLOCK,
        entropy: Entropy = SYSTEM_ENTROPY,
        stages: Stages | None = None,
        on_alarm: Callable[[Alarm], None] | None = None,
        connect_within_s: float = 10.0,
    ) -> None:
        self.protocol = protocol
        self.stages = Stages() if stages is None else stages
        self.final_reason = ""
        """Why there will be no further connection; empty while there may be."""
        self.connections = 0
        self.last_problem = ""
        self._network = network
        self._url = url
        self._credentials = credentials
        self._on_events = on_events
        self._on_alarm = on_alarm
        self.last_guard = LastGuard(
            protocol.options.caps, protocol.markets, protocol.book_of, on_alarm=on_alarm or (lambda alarm: None)
        )
        self._clock = clock
        self._monotonic_ns = clock.monotonic_ns
        self._wall_ns = clock.wall_ns
        self._pauses = Pauses(entropy)
        self._connect_within_s = connect_within_s
        self._socket: WebSocket | None = None
        self._ended: asyncio.Event = asyncio.Event()
        self._stopping = asyncio.Event()
        self._live_since_ns: int | None = None
        self._early: list[bytes] | None = None
        """Frames that came before the handshake's caller had the socket: what they cause could not be sent yet."""
        self._early_close: tuple[int | None, str] | None = None
        """The end, where it came that early, too."""
        self._failure: BaseException | None = None
        self._received_ns = self._decoded_ns = 0

    # For the engine

    def send(self, effect: OrderEffect, stamp: Stamp) -> SendResult | None:
        """Put an effect on the wire, at once, unless the last guard knows better.

        None: it was handed to the kernel, which proves nothing. A SendResult `clean`: no byte of it left. Only places,
        cancels and amends have one; the other effects are asked again by the core's own timers.
        """
        request = _REQUESTS.get(type(effect))
        socket = self._socket
        if type(effect) is Reconnect:
            self.last_problem = effect.reason
            self._give_up()
            return None
        if socket is None:
            return None if request is None else _clean(effect, request)
        stepped_ns = self._monotonic_ns()
        if request is not None and not self.last_guard.passes(effect, stepped_ns):
            return _clean(effect, request)
        try:
            data = self.protocol.send(effect, stamp)
        except Rejected:
            return None if request is None else _clean(effect, request)
        if not data:
            return None
        if not socket.send(data):
            return None if request is None else _clean(effect, request)
        if request == "place":
            self.stages.sent(
                effect.client_order_id,  # type: ignore[union-attr] # a place has one
                self._received_ns,
                self._decoded_ns,
                stepped_ns,
                self._monotonic_ns(),
            )
        return None

    def distrust(self, reason: str) -> list[Event]:
        """Every book may be old: throw them away and ask for them anew. The events are the caller's to step."""
        events = self.protocol.distrust(reason, self._monotonic_ns(), self._wall_ns())
        self._flush()
        return events

    async def run(self) -> None:
        """Connect, and connect again, until `stop` or a final reason. The session's ends come as events."""
        while not self._stopping.is_set() and not self.final_reason:
            least_ns = await self._one_connection()
            if self._failure is not None:
                raise self._failure
            if self.final_reason or self._stopping.is_set():
                return
            was_stable = self._live_since_ns is not None and self._monotonic_ns() - self._live_since_ns >= STABLE_NS
            pause_ns = max(self._pauses.next_ns(was_stable=was_stable), least_ns)
            try:
                async with asyncio.timeout(pause_ns / 1e9):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End the session with a good-bye; `run` returns."""
        self._stopping.set()
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Throw the connection away, with what the kernel has not sent; `run` returns."""
        self._stopping.set()
        if self._socket is not None:
            self._socket.abort()

    # For the socket

    def on_frame(self, data: bytes) -> None:
        if self._early is not None:
            self._early.append(data)
            return
        received_ns = self._monotonic_ns()
        wall_ns = self._wall_ns()
        protocol = self.protocol
        events = protocol.frame(data, received_ns, wall_ns)
        self._received_ns = received_ns
        self._decoded_ns = self._monotonic_ns()
        if protocol.outbox:
            self._flush()
        if events:
            if self.stages.is_waiting:
                self._note_answers(events, received_ns)
            if protocol.must_close:
                self._note_end(events)
            try:
                self._on_events(events, Stamp(0, received_ns, wall_ns))
            except BaseException as error:
                # The engine's state is not to be trusted any more: no further frame reaches it, and `run` says why.
                self._failure = error
                self._give_up()
                raise
            if protocol.outbox:
                self._flush()
        if protocol.must_close:
            self._give_up()

    def on_close(self, code: int | None, reason: str) -> None:
        if self._early is not None:
            self._early_close = (code, reason)
            return
        self._socket = None
        self._ended.set()
        events = self.protocol.closed(code, "stopped" if self._stopping.is_set() else reason)
        if self._failure is None:
            self._tell(events)
        self._pass_alarms()

    async def _one_connection(self) -> int:
        """From the handshake to the end. The least time to wait afterwards, as the peer asked for it."""
        self._ended.clear()
        self._live_since_ns = None
        headers = self._credentials.headers()
        headers["Sec-WebSocket-Protocol"] = "pf.v1"
        if self.protocol.resume:
            headers["X-Session-Resume"] = self.protocol.resume
        # The protocol must be ready for frames that come with the answer to the handshake.
        self.protocol.opened(self._monotonic_ns(), self._wall_ns())
        self._early, self._early_close = [], None
        try:
            socket = await self._network.open_websocket(
                self._url, headers=headers, listener=self, timeout_s=self._connect_within_s
            )
        except ProtocolError as error:
            self._early = None
            return self._refused(error)
        except SetupError as error:
            self._early = None
            self.last_problem = error.message
            self._tell(self.protocol.closed(None, error.message))
            return 0
        self._catch_up(socket)
        await self._watch()
        return 0

    def _catch_up(self, socket: WebSocket) -> None:
        """The connection can be sent on: take what came before that, in its order."""
        self._socket = socket
        self.connections += 1
        early, self._early = self._early or [], None
        for data in early:
            self.on_frame(data)
        if self._early_close is not None:
            self.on_close(*self._early_close)
        elif self._stopping.is_set():
            socket.close()

    async def _watch(self) -> None:
        """Let time pass for the protocol until the connection ends."""
        while not self._ended.is_set():
            wait_ns = self.protocol.next_deadline_ns - self._monotonic_ns()
            try:
                async with asyncio.timeout(min(max(wait_ns / 1e9, _LEAST_S), _POLL_S)):
                    await self._ended.wait()
            except TimeoutError:
                self._let_time_pass()

    def _let_time_pass(self) -> None:
        if self._failure is not None:
            return
        now = self._now()
        events = self.protocol.tick(now.monotonic_ns, now.wall_ns)
        if self._live_since_ns is None and self.protocol.phase in (Phase.LIVE, Phase.ARTICLE):
            self._live_since_ns = now.monotonic_ns
        self._flush()
        self._tell(events)
        self._flush()
        self.stages.drain()
        self._pass_alarms()
        if self.protocol.must_close:
            self._give_up()

    def _pass_alarms(self) -> None:
        """What a person must hear of; it waits in the protocol where nobody takes it."""
        if self._on_alarm is not None and self.protocol.alarms:
            alarms = list(self.protocol.alarms)
            self.protocol.alarms.clear()
            for alarm in alarms:
                self._on_alarm(alarm)

    def _refused(self, error: ProtocolError) -> int:
        """The handshake was answered with another status. The least time to wait."""
        self.last_problem = error.message
        if error.code in _FINAL_CODES:
            self.protocol.closed(None, error.message)
            self._tell([SessionDown(reason=f"the key is refused: {error.message}", is_terminal=True)])
            return 0
        self._tell(self.protocol.closed(None, error.message))
        after_s = error.retry_after_s if isinstance(error, HandshakeRefused) else None
        return (after_s or 0) * 1_000_000_000

    def _give_up(self) -> None:
        """The protocol does not trust this connection any more."""
        self.last_problem = self.protocol.must_close or self.last_problem
        if self._socket is not None:
            self._socket.abort()

    def _flush(self) -> None:
        """What the protocol says itself. What does not leave is asked for again by its own deadlines."""
        outbox = self.protocol.outbox
        socket = self._socket
        if socket is None or not outbox:
            return
        for data in outbox:
            socket.send(data)
        outbox.clear()

    def _note_end(self, events: list[Event]) -> None:
        self.stages.forget_in_flight()
        for event in events:
            if type(event) is SessionDown:
                self.last_problem = event.reason
                if event.is_terminal:
                    self.final_reason = event.reason

    def _note_answers(self, events: list[Event], received_ns: int) -> None:
        for event in events:
            if type(event) in _ANSWERS:
                self.stages.answered(event.client_order_id, received_ns)  # type: ignore[union-attr] # those have one

    def _tell(self, events: list[Event]) -> None:
        if events:
            self._note_end(events)
            self._on_events(events, self._now())

    def _now(self) -> Stamp:
        return Stamp(0, self._monotonic_ns(), self._wall_ns())


def _clean(effect: OrderEffect, request: Literal["place", "cancel", "amend"]) -> SendResult:
    return SendResult(
        client_order_id=effect.client_order_id,  # type: ignore[union-attr] # the three requests have one
        request=request,
        result="clean",
    )
