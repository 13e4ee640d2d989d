"""When the agent must be stopped: pure decisions over what the guard sees, on a monotonic clock it is given.

Theory of operation. Three kinds of evidence, each for another way to fail. *Life*: a beat each 50 ms, made by a step
of the core; none for 250 ms, or the process gone, is a dead or hung agent. *Progress*: a beat is itself an event, so
the event number inside must rise with every beat, and the word that the core stores after each step must keep up with
it; a thread that beats on while the core hangs fails here. *Truth*: what the guard reads at the venue with its own
key; an agent that lies about its orders, fills or losses fails here. One piece of bad evidence is enough, and nothing
takes a trip back.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.guard.order_ids import IssuedIds, parse
from agent.guard.protocol import NO_VENUE, Beat, Bye, Hello
from agent.guard.truth import Truth

MS_NS = 1_000_000
SECOND_NS = 1_000_000_000
FROZEN_BEATS = 5
"""Beats in a row without progress that are taken for a hung core: as long as the deadline for no beat at all."""
DIGEST_FROZEN_NS = 2 * SECOND_NS
"""The journal's digest moves each 100 ms or 256 records; twenty of those without a change, while events come."""
CLOCK_SLACK_NS = 5 * MS_NS
UNKNOWN_ORDER_READS = 2
"""Reads in a row that must show an order the agent never issued: one may have been answered before its beat."""


class Trip(NamedTuple):
    """Why everything is stopped; `code` is a stable word."""

    code: str
    detail: str


class WatchLimits(NamedTuple):
    """What the guard holds the agent to. 0 switches a bound off; amounts in atoms of the quote currency."""

    beat_deadline_ms: int = 250
    max_exposure: int = 0
    max_day_loss: int = 0
    max_orders_per_s: int = 0
    exec_lag_ms: int = 5_000
    max_venue_age_ms: int = 0


State = Literal["idle", "armed", "left", "tripped"]


class Watch:
    """The decision alone: tell it what was seen and when; it answers with the reason to stop, once."""

    def __init__(self, limits: WatchLimits) -> None:
        self.limits = limits
        self.state: State = "idle"
        self.trip: Trip | None = None
        self.hello: Hello | None = None
        self.last_beat: Beat | None = None
        self.last_beat_ns = 0
        self._frozen = 0
        self._lagging_word = 0
        self._digest_since_ns = 0
        self._unheard: tuple[int, int] | None = None
        """The newest execution that the agent had not heard of when it was read, and when that was."""
        self._unknown: dict[str, int] = {}

    def arm(self, hello: Hello, now_ns: int) -> None:
        """A run begins. A watch is for one run: every count of the next one begins anew, in a new watch."""
        if self.state != "idle":
            raise RuntimeError(f"a watch that is {self.state} cannot be armed")
        self.state = "armed"
        self.hello = hello
        self.last_beat_ns = now_ns
        self._digest_since_ns = now_ns

    @property
    def is_beating(self) -> bool:
        """Whether the venue's dead-man timer may be armed again."""
        return self.state == "armed"

    @property
    def wants_shield(self) -> bool:
        """The agent lives, and has lost the venue: somebody else must cancel for it."""
        beat, bound = self.last_beat, self.limits.max_venue_age_ms
        return bool(self.state == "armed" and beat and bound and bound < beat.venue_age_ms < NO_VENUE)

    def on_beat(self, beat: Beat, word: tuple[int, int], now_ns: int) -> Trip | None:
        """`word` is the progress word as it stood after the beat was taken in."""
        if self.state != "armed" or self.hello is None:
            return None
        last = self.last_beat
        if beat.run_epoch != self.hello.run_epoch:
            return self.stop("epoch", f"a beat of run epoch {beat.run_epoch}, armed is {self.hello.run_epoch}")
        expected_seq = 1 if last is None else last.seq + 1
        if beat.seq != expected_seq:
            return self.stop("beat_sequence", f"beat {beat.seq} where {expected_seq} belongs: replayed or lost")
        if beat.build != self.hello.build:
            return self.stop("build", "the hash of code and configuration changed during the run")
        if beat.monotonic_ns > now_ns + CLOCK_SLACK_NS:
            return self.stop("beat_time", "a beat from the future")
        if last is not None and beat.monotonic_ns < last.monotonic_ns:
            return self.stop("beat_time", "a beat older than the one before it")
        progress = self._check_progress(beat, word, now_ns)
        self.last_beat = beat
        if self._unheard is not None and beat.exec_seq >= self._unheard[0]:
            self._unheard = None
        # The beat's own time counts: one that lay in the socket while the agent hung proves nothing.
        self.last_beat_ns = max(self.last_beat_ns, min(beat.monotonic_ns, now_ns))
        return progress or self._check_claims(beat)

    def _check_progress(self, beat: Beat, word: tuple[int, int], now_ns: int) -> Trip | None:
        last, hello = self.last_beat, self.hello
        assert hello is not None
        last_event_seq = hello.event_seq if last is None else last.event_seq
        if beat.event_seq < last_event_seq:
            return self.stop("event_sequence", f"event {beat.event_seq} after {last_event_seq}")
        self._frozen = self._frozen + 1 if beat.event_seq == last_event_seq else 0
        if self._frozen >= FROZEN_BEATS:
            return self.stop("frozen", f"{FROZEN_BEATS} beats, and the core still stands at event {beat.event_seq}")
        word_seq, word_crc = word
        # The beat is made inside a step, so the word may still be that of the step before.
        self._lagging_word = self._lagging_word + 1 if word_seq + 1 < beat.event_seq else 0
        if self._lagging_word >= FROZEN_BEATS:
            return self.stop("progress", f"beats claim event {beat.event_seq}, the core completed {word_seq}")
        if word_seq == beat.event_seq and word_crc != beat.event_crc:
            return self.stop("progress", f"two records claim to be event {word_seq}")
        digest = hello.digest if last is None else last.digest
        if beat.digest != digest:
            if beat.event_seq == last_event_seq:
                return self.stop("digest", f"the journal's digest changed without an event behind {beat.event_seq}")
            self._digest_since_ns = now_ns
        elif now_ns - self._digest_since_ns > DIGEST_FROZEN_NS:
            return self.stop("digest", f"events come, and the journal's digest stands still at {beat.event_seq}")
        return None

    def _check_claims(self, beat: Beat) -> Trip | None:
        """What the agent itself admits is believed at once."""
        limits = self.limits
        if _is_beyond(beat.exposure, limits.max_exposure, 11, 10):
            return self.stop("exposure", f"the agent says {beat.exposure} of {limits.max_exposure}")
        if _is_beyond(beat.day_loss, limits.max_day_loss, 11, 10):
            return self.stop("day_loss", f"the agent says {beat.day_loss} of {limits.max_day_loss}")
        rate = limits.max_orders_per_s
        if rate and 2 * beat.orders_last_second > 3 * rate:
            return self.stop("order_rate", f"the agent says {beat.orders_last_second} a second of {rate}")
        return None

    def on_time(self, now_ns: int) -> Trip | None:
        """Call it after everything that has arrived was taken in, so that the guard's own pause blames nobody."""
        if self.state != "armed":
            return None
        silent_ns = now_ns - self.last_beat_ns
        if silent_ns > self.limits.beat_deadline_ms * MS_NS:
            return self.stop("silent", f"no beat for {silent_ns // MS_NS} ms")
        if self._unheard is not None:
            exec_seq, since_ns = self._unheard
            if now_ns - since_ns > self.limits.exec_lag_ms * MS_NS:
                return self.stop("execution_lag", f"execution {exec_seq} unheard for {(now_ns - since_ns) // MS_NS} ms")
        return None

    def on_process_gone(self) -> Trip | None:
        return self.stop("process_gone", "the agent's process ended") if self.state == "armed" else None

    def on_socket_closed(self) -> Trip | None:
        return self.stop("socket_closed", "the agent closed its link without a good-bye") if self._is_armed else None

    def on_fault(self, code: str, detail: str) -> Trip | None:
        """A message that the protocol does not allow."""
        return self.stop(f"protocol_{code}", detail) if self._is_armed else None

    def on_bye(self, bye: Bye) -> Trip | None:
        """The run ends in order. What it left behind is still looked for."""
        if not self._is_armed or self.hello is None:
            return None
        expected_seq = 1 if self.last_beat is None else self.last_beat.seq + 1
        if bye.run_epoch != self.hello.run_epoch or bye.seq != expected_seq:
            return self.stop("beat_sequence", "a good-bye of another run or time")
        self.state = "left"
        return None

    def on_truth(self, truth: Truth, now_ns: int) -> Trip | None:
        """What the venue says, read with the guard's own key."""
        if self.state == "left":
            left = [name for name in truth.open_order_ids if parse(name) is not None]
            return self.stop("orders_left", f"{len(left)} orders of an agent, and none is linked") if left else None
        beat = self.last_beat
        if self.state != "armed" or beat is None:
            return None
        limits = self.limits
        if truth.exposure is not None and _is_beyond(truth.exposure, limits.max_exposure, 11, 10):
            return self.stop("exposure", f"the venue says {truth.exposure} of {limits.max_exposure}")
        if truth.day_loss is not None and _is_beyond(truth.day_loss, limits.max_day_loss, 11, 10):
            return self.stop("day_loss", f"the venue says {truth.day_loss} of {limits.max_day_loss}")
        rate = limits.max_orders_per_s
        if rate and 2 * truth.busiest_second > 3 * rate:
            return self.stop("order_rate", f"the venue took {truth.busiest_second} in one second, of {rate}")
        self._note_lag(truth, beat, now_ns)
        return self._check_orders(truth, beat)

    def _note_lag(self, truth: Truth, beat: Beat, now_ns: int) -> None:
        # One execution is followed until it is heard of; in steady traffic there is always a newer one.
        if self._unheard is None and truth.exec_seq > beat.exec_seq:
            self._unheard = (truth.exec_seq, now_ns)

    def _check_orders(self, truth: Truth, beat: Beat) -> Trip | None:
        issued = IssuedIds(beat.run_epoch, beat.next_order)
        unknown = [name for name in truth.open_order_ids if name not in issued]
        self._unknown = {name: self._unknown.get(name, 0) + 1 for name in unknown}
        for name, reads in self._unknown.items():
            if reads >= UNKNOWN_ORDER_READS:
                return self.stop(
                    "unknown_order", f"the account has an order that the agent never issued: {name[:40]!r}"
                )
        return None

    def stop(self, code: str, detail: str) -> Trip | None:
        """Trip for a reason found elsewhere (a person, the latch file). None where it has tripped already."""
        if self.state == "tripped":
            return None
        self.state = "tripped"
        self.trip = Trip(code, detail)
        return self.trip

    @property
    def _is_armed(self) -> bool:
        return self.state == "armed"


def _is_beyond(amount: int, limit: int, numerator: int, denominator: int) -> bool:
    return limit > 0 and amount * denominator >= limit * numerator
