"""The shell around an order-book venue: events of the client in, effects of the core out, strategies in between.

Theory of operation. All of it runs in the callback of the socket: a frame's events are stepped, their effects sent, then
the strategies of the symbol look at what the core now believes and say what they want, which is stepped and sent in turn.
Where the journal promises to survive a loss of power, places and amendments wait until their record does; nothing else
waits for anything. A beat every 50 ms goes through the core like any event and is what the guard hears; where the core
stands still, so does the beat. When core or journal fail, the connection is thrown away with whatever the kernel still
holds.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer, ModeChanged, PositionAdopted, Stop
from agent.core.effects.orders import Amend, CancelAll, Notify, OrderEffect, Place, Refuse
from agent.core.events import Event, Stamp
from agent.core.events.control import TimerFired
from agent.core.events.orders import Fill, SendResult
from agent.core.session import FULL
from agent.core.step import Core
from agent.engine.stepping import StepJournal, Stepper
from agent.engine.timers import Timers
from agent.journal.writer import NEEDS_SYNC
from agent.ports.clock import Clock

BEAT_S = 0.05
STALL_NS = 250_000_000
"""No event for so long, with a beat each `BEAT_S`: the process did not run, and what waits for it meanwhile is old."""
KEPT_ALARMS = 1_000
KEPT_MODES = 1_000
KEPT_FILLS = 100_000


class OrderClient(Protocol):
    """The venue's connection, as far as effects go."""

    def send(self, effect: OrderEffect, stamp: Stamp) -> SendResult | None: ...
    def abort(self) -> None: ...
    def distrust(self, reason: str) -> list[Event]:
        """Throw every book away and ask for it anew; what the core must hear of it."""


class Trader(Protocol):
    """A strategy at work: looks at the core after an event and says what it wants."""

    name: str

    def on_event(self, event: Event, core: Core, stamp: Stamp) -> Iterable[Event]: ...
    def on_refused(self, refusal: Refuse) -> None: ...


class Watcher(Protocol):
    """Whoever follows the core from outside: told after each step, and at each beat behind the step of its timer."""

    def stepped(self, stamp: Stamp) -> None: ...
    def beat(self, core: Core, stamp: Stamp) -> Event | None:
        """What this is told back to the core, if anything."""


WhenSynced = Callable[[Callable[[BaseException | None], None]], None]
"""Calls back, from any thread, when everything recorded so far survives what the journal promises."""


class VenueShell:
    """Owns the order of things for one account. `client` is set before the first event."""

    def __init__(
        self,
        core: Core,
        journal: StepJournal,
        clock: Clock,
        *,
        traders: Sequence[Trader] = (),
        watcher: Watcher | None = None,
        when_synced: WhenSynced | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.core = core
        self.client: OrderClient | None = None
        self.stepper = Stepper(
            core,
            journal,
            clock,
            act=self._act,
            on_broken=self._on_broken,
            on_stepped=None if watcher is None else watcher.stepped,
        )
        self.counts: Counter[str] = Counter()
        """Effects by kind, refusals by code."""
        self.alarms: deque[Alarm] = deque(maxlen=KEPT_ALARMS)
        self.modes: deque[ModeChanged] = deque(maxlen=KEPT_MODES)
        self.fills: dict[tuple[str, str], Fill] = {}
        """By symbol and trade, the latest `KEPT_FILLS`: a frame may come twice."""
        self.fills_total = 0
        self.stopped: Stop | None = None
        self.on_stopped = asyncio.Event()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timers = Timers(self._loop, clock, lambda name: self.tell(TimerFired(name)))
        self._traders = tuple(traders)
        self._watcher = watcher
        self._when_synced = when_synced
        self._held = 0
        """Effects that wait for their record, or behind one that does."""
        self._say = say
        self._beating: asyncio.TimerHandle | None = None

    def join(self, trader: Trader) -> None:
        """One more strategy at work; it hears of events from the next one on."""
        self._traders = (*self._traders, trader)

    def start(self) -> None:
        """Begin to beat."""
        self._beating = self._loop.call_later(BEAT_S, self._beat)

    def close(self) -> None:
        """No timer fires after this."""
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None
        self._timers.close()

    def on_events(self, events: list[Event], stamp: Stamp) -> None:
        """The client's: what one frame came to."""
        for event in events:
            self.tell(event)

    def tell(self, event: Event) -> None:
        """The same as `take`, for callbacks: a failure was acted on where it came up, and the loop has no use for it."""
        if self.stepper.broken is None:
            try:
                self.take(event)
            except BaseException:
                if self.stepper.broken is None:
                    raise

    def take(self, event: Event) -> None:
        """Step one event, then let the strategies look. Raises what made the core stop, and CoreStopped afterwards."""
        self._notice_stall()
        self.stepper.take(event)
        if type(event) is Fill and (event.symbol, event.trade_id) not in self.fills:
            self.fills[event.symbol, event.trade_id] = event
            self.fills_total += 1
            if len(self.fills) > KEPT_FILLS:
                del self.fills[next(iter(self.fills))]
        try:
            for trader in self._traders:
                for wish in trader.on_event(event, self.core, self.stepper.last):
                    self._notice_stall()  # it may have stood still while the strategy thought: the wish is as old
                    self.stepper.take(wish)
        except BaseException as error:
            self.stepper.fail(error)  # what a strategy believes is suspect as well, and its orders are at the venue
            raise

    # Inside

    def _notice_stall(self) -> None:
        """The process may have stood still. Frames that waited look new and are not: first all is read again."""
        last_ns = self.stepper.last.monotonic_ns
        for_ns = self._clock.monotonic_ns() - last_ns
        if for_ns <= STALL_NS or not last_ns:
            return
        self.counts["stall"] += 1
        self.alarm(Alarm("warning", "STALL", "process", f"it did not run for {for_ns // 1_000_000} ms"))
        stale = [] if self.client is None else self.client.distrust("stall")
        self.stepper.take(*stale, TimerFired(FULL))

    def _beat(self) -> None:
        self._beating = self._loop.call_later(BEAT_S, self._beat)
        self.tell(TimerFired("beat"))
        if self._watcher is not None and self.stepper.broken is None:
            told = self._watcher.beat(self.core, self.stepper.last)
            if told is not None:
                self.tell(told)

    def _act(self, effect: Effect, stamp: Stamp) -> None:
        kind = type(effect)
        if kind is Place and self._when_synced is None:
            self._send(effect, stamp)
        elif kind is ArmTimer:
            self._timers.arm(effect)  # type: ignore[arg-type] # `kind` says so, for a tenth of isinstance
        elif kind is DisarmTimer:
            self._timers.disarm(effect)  # type: ignore[arg-type] # as above
        elif isinstance(effect, Alarm):
            self.alarm(effect)
        elif isinstance(effect, ModeChanged):
            self.modes.append(effect)
            self._say(
                f"mode {effect.mode}{' ' + effect.symbol if effect.symbol else ''}  by {effect.by}: {effect.detail}"
            )
        elif isinstance(effect, Refuse):
            self.counts[effect.code] += 1
            for trader in self._traders:
                trader.on_refused(effect)
        elif isinstance(effect, Stop):
            self.stopped = effect
            self.on_stopped.set()
            self._say(f"HALTED by {effect.by}: {effect.reason}")
        elif isinstance(effect, Notify | PositionAdopted):
            return  # for those who read the journal; strategies see the state
        elif self._when_synced is not None and (kind in NEEDS_SYNC or (self._held and kind is not CancelAll)):
            # Nothing overtakes a place that waits: a question or a cancel behind it would be answered as if it were not.
            self._held += 1
            self._when_synced(partial(self._tell_synced, effect, stamp))
        else:
            self._send(effect, stamp)

    def _tell_synced(self, effect: Effect, stamp: Stamp, failure: BaseException | None) -> None:
        """On the journal's thread."""
        self._loop.call_soon_threadsafe(self._synced, failure, effect, stamp)

    def _synced(self, failure: BaseException | None, effect: Effect, stamp: Stamp) -> None:
        """The record of the effect survives a loss of power now, or never will."""
        self._held -= 1
        if failure is not None:
            self.stepper.fail(failure)
        elif self.stepper.broken is None and self._is_still_meant(effect):
            self._send(effect, stamp)

    def _is_still_meant(self, effect: Effect) -> bool:
        """Whether an order that waited for its record is still one that the core believes to be on its way.

        Else it was given up meanwhile (no answer came to what had not been sent): now it would be an order that the books
        do not count.
        """
        desk = self.core.desk
        if desk is None or not isinstance(effect, Place | Amend) or desk.orders.is_on_its_way(effect):
            return True
        self.alarm(Alarm("warning", "SYNCED_TOO_LATE", effect.client_order_id, "not sent"))
        return False

    def _send(self, effect: Effect, stamp: Stamp) -> None:
        if self.client is None:
            return
        self.counts[type(effect).__name__] += 1
        failed = self.client.send(effect, stamp)  # type: ignore[arg-type] # what is left are a venue's
        if failed is not None:
            self.stepper.take(failed)

    def alarm(self, alarm: Alarm) -> None:
        """Keep it, count it, and tell a person; the client has alarms of its own."""
        self.alarms.append(alarm)
        self.counts[f"alarm {alarm.code}"] += 1
        if alarm.severity != "notice":
            self._say(f"{alarm.severity} {alarm.code} {alarm.subject}: {alarm.detail}")

    def _on_broken(self, error: BaseException) -> None:
        self.close()
        if self.client is not None:
            self.client.abort()
        self.on_stopped.set()
