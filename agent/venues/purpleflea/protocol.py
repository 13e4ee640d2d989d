"""The protocol `pf.v1` without sockets and clocks: frames in, events out; effects in, frames out.

Theory of operation
-------------------
One object serves an account for as long as the agent lives, through all of its connections. `opened` starts one and
`closed` ends it. Between them every frame goes through `frame`, every effect of the core through `send`, and at
`next_deadline_ns` somebody calls `tick`. What the protocol itself has to say (subscriptions, pings, a book asked for
anew) lies in `outbox` after each of these calls. Where the connection cannot be trusted any more, `must_close` says
why: the caller then throws it away.

    CLOSED --opened--> HELLO --hello--> LIVE
                         |                ^ a late hello
                         +--2 s without--> ARTICLE: market data only

Each SessionUp is followed by exactly one SessionDown, whatever ended it first. A frame that is not well formed is
counted; too many of them in a minute end the session, because a peer we do not understand is not one to trade with.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Literal

from agent.core.effects.control import Alarm
from agent.core.effects.orders import OrderEffect
from agent.core.events import Event, Stamp
from agent.core.events.orders import Asked, SessionDown
from agent.core.instruments import Instrument
from agent.venues.purpleflea import article, encoder, session, wire, wire_orders
from agent.venues.purpleflea.decoder import Decoder, UnknownType
from agent.venues.purpleflea.listing import Listing
from agent.venues.purpleflea.market_data import MarketData, Now
from agent.venues.purpleflea.markets import Markets
from agent.venues.purpleflea.offset import OffsetEstimate
from agent.venues.purpleflea.options import Options
from agent.venues.purpleflea.private import PrivateReader
from agent.venues.purpleflea.questions import Questions
from agent.venues.purpleflea.sender import UNACKED, Sender
from agent.venues.purpleflea.strict import Malformed

_MS = 1_000_000
_NEVER_NS = 1 << 62
_NOTHING: list[Event] = []


class Phase(Enum):
    CLOSED = "closed"
    HELLO = "hello"
    LIVE = "live"
    ARTICLE = "article"


class PurpleFleaProtocol:
    """See the module. All times are arguments: monotonic and wall time in nanoseconds."""

    def __init__(self, options: Options, instruments: Iterable[Instrument] = ()) -> None:
        self.options = options
        self.phase = Phase.CLOSED
        self.outbox: list[bytes] = []
        """Frames of the protocol's own, to be sent before anything that the events cause."""
        self.alarms: list[Alarm] = []
        """For people; whoever drains it shows them."""
        self.must_close = ""
        """Why the connection has to be thrown away; empty while it may stay."""
        self.counters: Counter[str] = Counter()
        self.markets = Markets()
        self.offset = OffsetEstimate()
        self.features: frozenset[str] = frozenset()
        self._questions = Questions()
        self._private = PrivateReader(self.markets, self._questions)
        self._now = Now()
        self._data = MarketData(
            self.markets,
            options.symbols,
            options,
            now=self._now,
            outbox=self.outbox,
            counters=self.counters,
            malformed=self._malformed,
        )
        self.book_of = self._data.book_of
        """The adapter's own book of a symbol."""
        self._listing = Listing(self.markets, options.symbols, self.define)
        self._decoder = Decoder()
        self._article_decoder = Decoder(article.ArticleInbound)
        self._decode: Callable[[bytes], Any] = self._decode_nothing
        self._is_up = False
        """A SessionUp was said, and no SessionDown after it."""
        self._is_final = False
        """A SessionDown was said that is terminal."""
        self._epoch_ended = ""
        self._highest_epoch = 0
        self._heard_ns = self._hello_by_ns = self._ping_at_ns = _NEVER_NS
        self._heartbeat_ns = 1_000 * _MS
        self._malformed_at: deque[int] = deque(maxlen=max(1, options.malformed_per_minute))
        self._handlers = self._table()
        self._sender = Sender(self.markets, self._questions, self._private, self._data, options)
        self.send: Callable[[OrderEffect, Stamp], bytes] = self._sender.send
        """The frame for an effect of the step with this stamp; see `Sender.send`."""
        for instrument in instruments:
            self.define(instrument)

    # The connection

    @property
    def heard_ns(self) -> int | None:
        """Monotonic time of the last frame of a session that is live; None without one."""
        return self._heard_ns if self.phase is Phase.LIVE else None

    @property
    def epoch(self) -> int:
        """The session epoch; 0 without a session."""
        return self._private.epoch

    @property
    def last_exec_seq(self) -> int:
        """The highest execution seen, for the header that resumes a session."""
        return self._private.last_exec_seq

    @property
    def resume(self) -> str:
        """The value of the header that resumes a session; empty before the first one."""
        return f"{self._highest_epoch}:{self._private.last_exec_seq}" if self._highest_epoch else ""

    @property
    def may_place(self) -> bool:
        """Whether the peer has proved that it acknowledges orders."""
        return self._sender.may_place

    def define(self, instrument: Instrument) -> None:
        """A market that is known before the venue names it. ValueError for a symbol that cannot stand in a frame."""
        encoder.known_symbol(instrument.symbol)
        self.markets.define(instrument)
        self._data.define(instrument.symbol)

    def remember(self, client_order_id: str, symbol: str) -> None:
        """An order of an earlier run that may still be heard of."""
        self.markets.remember(client_order_id, symbol)

    def opened(self, monotonic_ns: int, wall_ns: int) -> None:
        """A connection stands; the venue has `hello_within_ms` to say hello."""
        self._enter(Phase.HELLO)
        self.must_close = self._epoch_ended = ""
        self.outbox.clear()
        self._is_up = self._is_final = False
        self._decode = self._decode_hello
        self._private.epoch = 0
        self._now.monotonic_ns, self._now.wall_ns = monotonic_ns, wall_ns
        self._heard_ns = monotonic_ns
        self._hello_by_ns = monotonic_ns + self.options.hello_within_ms * _MS
        self._ping_at_ns = _NEVER_NS
        self._malformed_at.clear()
        self._data.restart()

    def closed(self, code: int | None, reason: str) -> list[Event]:
        """The connection ended; `code` is the WebSocket's, None where it just broke."""
        why = session.final_close(code, self._epoch_ended)
        if why:
            return self._end(why, is_terminal=True)
        return self._end(f"closed {code}" if code is not None else reason or "the connection broke")

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._sender.may_place = phase is Phase.LIVE or (phase is Phase.ARTICLE and self.options.allow_unacked_orders)

    def _end(self, reason: str, *, is_terminal: bool = False) -> list[Event]:
        """SessionDown where the session was up, and always where none may follow; the connection has to go."""
        self._enter(Phase.CLOSED)
        self._decode = self._decode_nothing
        self.must_close = self.must_close or reason
        self._hello_by_ns = self._ping_at_ns = self._heard_ns = _NEVER_NS
        self._questions.forget()
        self.offset.forget_pending()
        self._data.restart()
        if self._is_final or not (self._is_up or is_terminal):
            return []
        self._is_up = False
        self._is_final = is_terminal
        return [SessionDown(reason=reason, is_terminal=is_terminal)]

    # Frames in

    def frame(self, data: bytes, monotonic_ns: int, wall_ns: int) -> list[Event]:
        """What a frame says; empty for one that says nothing new. Never raises, whatever the bytes are."""
        now = self._now
        self._heard_ns = now.monotonic_ns = monotonic_ns
        now.wall_ns = wall_ns
        try:
            frame = self._decode(data)
            return self._handlers[type(frame)](frame)
        except ValueError as error:
            return self._malformed(error)
        except UnknownType:
            self.counters["unknown_type" if self._is_listening else "out_of_session"] += 1
            return _NOTHING

    def _decode_hello(self, data: bytes) -> Any:
        """Before the hello nothing else is heard."""
        frame = self._decoder.decode(data)
        if type(frame) is not wire.Hello:
            raise UnknownType
        return frame

    def _decode_nothing(self, data: bytes) -> Any:
        """The session was ended by us; what is still in the pipe will be told again in the next one."""
        raise UnknownType

    @property
    def _is_listening(self) -> bool:
        return self.phase is Phase.LIVE or self.phase is Phase.ARTICLE

    def answer(self, data: bytes, asked: Asked) -> list[Event]:
        """The same for an answer that came by REST, with when it was asked. Raises Malformed and other ValueErrors."""
        self._private.answer_asked = asked
        try:
            frame = self._decoder.decode(data)
            if not isinstance(frame, wire_orders.WireOrderState | wire_orders.WireOpenOrders | wire_orders.WireAccount):
                raise Malformed("no answer to a question")
            return self._handlers[type(frame)](frame)
        except UnknownType:
            raise Malformed("no answer to a question") from None
        finally:
            self._private.answer_asked = None

    def tick(self, monotonic_ns: int, wall_ns: int) -> list[Event]:
        """What the passing of time alone brings about."""
        self._now.monotonic_ns, self._now.wall_ns = monotonic_ns, wall_ns
        if self.phase is Phase.HELLO and monotonic_ns >= self._hello_by_ns:
            return self._enter_article()
        if self.phase is not Phase.LIVE:
            return []
        if monotonic_ns - self._heard_ns >= self.options.missed_heartbeats * self._heartbeat_ns:
            self.counters["silent"] += 1
            return self._end("silent: no frame for three heartbeats")
        if monotonic_ns >= self._ping_at_ns:
            self._ping_at_ns = monotonic_ns + min(self._heartbeat_ns, self.options.ping_ms * _MS)
            self.outbox.append(encoder.ping(self.offset.ping(monotonic_ns, wall_ns), wall_ns))
        events = self._listing.tick(self._venue_ns) if self._listing.next_ns <= self._venue_ns else []
        return events + self._data.tick()

    def distrust(self, reason: str, monotonic_ns: int, wall_ns: int) -> list[Event]:
        """No book is to be believed, whatever it shows: each is asked for anew."""
        self._now.monotonic_ns, self._now.wall_ns = monotonic_ns, wall_ns
        return self._data.distrust(reason) if self.phase is Phase.LIVE else []

    @property
    def next_deadline_ns(self) -> int:
        """Monotonic time at which `tick` is due; it may turn out that nothing is."""
        if self.phase is Phase.HELLO:
            return self._hello_by_ns
        if self.phase is not Phase.LIVE:
            return _NEVER_NS
        silent_ns = self._heard_ns + self.options.missed_heartbeats * self._heartbeat_ns
        return min(silent_ns, self._ping_at_ns, self._data.next_deadline_ns)

    # Session frames

    def _hello(self, frame: wire.Hello) -> list[Event]:
        if self.phase is Phase.LIVE:
            raise Malformed("a second hello")
        if frame.protocol != session.PROTOCOL:
            return self._end("it speaks another protocol", is_terminal=True)
        if frame.session_epoch < self._highest_epoch:
            return self._end("its epoch went back")
        options = self.options
        events: list[Event] = [SessionDown(reason="a hello after all")] if self._is_up else []
        self._enter(Phase.LIVE)
        self._decode = self._decoder.decode
        self._private.epoch = self._highest_epoch = frame.session_epoch
        self.features = frozenset(frame.features)
        self._hello_by_ns = _NEVER_NS
        self._heartbeat_ns = frame.heartbeat_ms * _MS
        self._ping_at_ns = self._now.monotonic_ns
        self._is_up = True
        self.outbox += session.opening(options)
        self._data.subscribed()
        best = self.offset.best
        offset_ns = frame.server_ts_ns - self._now.wall_ns if best is None else best.offset_ns
        return [*events, session.up(frame, options, offset_ns)]

    def _enter_article(self) -> list[Event]:
        self._enter(Phase.ARTICLE)
        self._decode = self._article_decoder.decode
        self._hello_by_ns = _NEVER_NS
        self._is_up = True
        self.outbox.append(session.article_opening(self.options))
        self._alarm("warning", UNACKED, "no hello within its time: market data only, no orders")
        return [session.article_up(self.options)]

    def _replay_done(self, frame: wire_orders.WireReplayDone) -> list[Event]:
        if not frame.complete:
            self._alarm("critical", "REPLAY_INCOMPLETE", "the venue no longer keeps all executions that were asked for")
        return self._private.replay_done(frame)

    def _subscribed(self, frame: wire.Subscribed | article.ArticleSubscribed) -> list[Event]:
        events: list[Event] = []
        for refused in frame.rejected:
            self.counters["subscription_refused"] += 1
            self._alarm("warning", "SUBSCRIPTION_REFUSED", f"{refused.channel} {refused.symbol} {refused.code}".strip())
            if refused.channel in ("orders", "fills"):
                return self._end(f"the channel {refused.channel} is refused: {refused.code}", is_terminal=True)
            if refused.channel == "orderbook":
                events += self._data.stale(refused.symbol, f"refused {refused.code}")
        return events

    def _epoch_is_over(self, frame: wire.EpochEnded) -> list[Event]:
        if frame.session_epoch < self._private.epoch:
            return _NOTHING
        self._epoch_ended = frame.reason
        return self._end(f"epoch ended: {frame.reason}", is_terminal=frame.reason != "fence")

    def _pong(self, frame: wire.Pong) -> list[Event]:
        offset = self.offset.pong(frame.id, frame.server_ts_ns, self._now.monotonic_ns, self._now.wall_ns)
        if offset is None:
            return _NOTHING
        self._data.offset_ns = offset.offset_ns
        if abs(offset.offset_ns) - offset.round_trip_ns // 2 > self.options.offset_max_ms * _MS:
            self._alarm("warning", "CLOCK_OFFSET", f"the venue's clock differs by {offset.offset_ns // _MS} ms")
        return [offset]

    def _ping(self, frame: wire.Ping) -> list[Event]:
        self.outbox.append(encoder.pong(frame.id, self._now.wall_ns))
        return _NOTHING

    def _error(self, frame: wire.WireError) -> list[Event]:
        self.counters["error_frames"] += 1
        events = self._private.error(frame)
        if frame.fatal:
            return events + self._end(f"the venue ended it: {frame.code}")
        return events

    def _status(self, frame: wire.WireStatus) -> list[Event]:
        return self._listing.status(frame, self._venue_ns)

    def _drain(self, frame: wire.Drain) -> list[Event]:
        self.counters["drain"] += 1
        self._alarm("notice", "DRAIN", f"the venue restarts in {frame.in_ms} ms")
        return self._listing.restarting()

    @property
    def _venue_ns(self) -> int:
        """The venue's clock now, as far as it is known."""
        return self._now.wall_ns + (self._data.offset_ns or 0)

    # Article mode

    def _article_tick(self, frame: article.ArticleTick) -> list[Event]:
        events = article.tick(frame, self.markets, self._now.wall_ns)
        if events is None:
            self.counters["unknown_symbol"] += 1
            return _NOTHING
        return events

    def _article_fill(self, frame: article.ArticleFill) -> list[Event]:
        self.counters["article_fills"] += 1
        self._alarm("critical", "FILL_WITHOUT_ID", "a fill that cannot be told from another; it was not booked")
        return _NOTHING

    # Counting

    def _malformed(self, error: ValueError) -> list[Event]:
        """One more; too many end the session."""
        self.counters["malformed"] += 1
        self.counters[f"malformed: {error}"] += 1
        times = self._malformed_at
        is_full = len(times) == times.maxlen and self._now.monotonic_ns - times[0] < 60_000 * _MS
        times.append(self._now.monotonic_ns)
        if is_full and self.phase is not Phase.CLOSED:
            self._alarm("critical", "MALFORMED", f"too many frames that are not well formed; the last: {error}")
            return self._end("too many malformed frames")
        return _NOTHING

    def _alarm(self, severity: Literal["notice", "warning", "critical"], code: str, detail: str) -> None:
        if len(self.alarms) < 256:
            self.alarms.append(Alarm(severity, code, "purpleflea", detail))

    def _ignore(self, frame: object) -> list[Event]:
        return _NOTHING

    def _table(self) -> dict[type, Callable[[Any], list[Event]]]:
        private, data = self._private, self._data
        return {
            wire.Hello: self._hello,
            wire.Subscribed: self._subscribed,
            wire.Unsubscribed: self._ignore,
            wire.Tick: data.ticker,
            wire.WireSnapshot: data.snapshot,
            wire.WireDelta: data.delta,
            wire.Trade: data.trade,
            wire_orders.WireFill: private.fill,
            wire_orders.WireReject: private.reject,
            wire_orders.WireAck: private.ack,
            wire_orders.WireCanceled: private.canceled,
            wire_orders.WireCancelReject: private.cancel_reject,
            wire_orders.WireAmended: private.amended,
            wire_orders.WireAmendReject: private.amend_reject,
            wire_orders.WireFenceDone: private.fence_done,
            wire_orders.WireOrderState: private.order_state,
            wire_orders.WireOpenOrders: private.open_orders,
            wire_orders.WireReplayDone: self._replay_done,
            wire_orders.WireAccount: private.account,
            wire_orders.WireBust: private.busted,
            wire_orders.WireCorrect: private.busted,
            wire.Ping: self._ping,
            wire.Pong: self._pong,
            wire.EpochEnded: self._epoch_is_over,
            wire.CodAck: self._ignore,
            wire.DeadmanAck: self._ignore,
            wire.WireError: self._error,
            wire.WireInstrument: self._listing.instrument,
            wire.WireStatus: self._status,
            wire.Drain: self._drain,
            article.ArticleTick: self._article_tick,
            article.ArticleFill: self._article_fill,
            article.ArticleReject: self._ignore,
            article.ArticleSubscribed: self._subscribed,
        }
