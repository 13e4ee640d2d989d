"""Which signals are let in: authentic, well formed, short-lived, from fresh input, seen for the first time, in budget.

A producer is a program that may be wrong, slow, restarted or talked into something; what it can do here is bounded by
its budgets and by the pre-trade checks behind. Nothing is charged to a producer whose code over the signal does not
hold, or anybody could use up another's budget.

Replays. An id is remembered for `REPLAY_WINDOW_NS`. Where the memory is full, only ids are forgotten whose signal
cannot be alive any more, because a copy of such a one is refused as expired; if there is none, the new one is refused.
"""

from __future__ import annotations

import msgspec

from agent.core.codes import Code
from agent.core.events import Stamp
from agent.core.events.market import SignalIn
from agent.core.instruments import Instrument, Side

Refusal = tuple[Code, str]

MAX_LIFE_NS = 600_000_000_000
"""Ten minutes: what is wished for longer should be wished again, from newer input."""
MAX_INPUT_AGE_NS = 5_000_000_000
REPLAY_WINDOW_NS = 86_400_000_000_000
MAX_SEEN = 16_384
"""More than ten minutes of signals of every producer at its rate; some 2 MB."""
NANO = 1_000_000_000
_NANOSECONDS_PER_DAY = 86_400 * NANO
_PPM = 1_000_000
_HEX = frozenset("0123456789abcdef")
_ID_DIGITS = 32


class ProducerBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What one producer may ask for. A second's signals may come at once."""

    signals_per_s: int
    notional_atoms_per_day: int


class ProducerUsage(msgspec.Struct):
    """What a producer has used. Tokens are billionths of a signal, at a monotonic time; the day is UTC."""

    tokens_nano: int
    at_ns: int
    day: int = 0
    notional_atoms: int = 0


class AdmissionState(msgspec.Struct):
    """What admission remembers; `seen` holds the wall time of each id's admission, oldest first."""

    producers: dict[str, ProducerUsage] = {}
    seen: dict[str, int] = {}
    replayed: int = 0
    """Signals that came again and were ignored."""


class Admission:
    """Lets signals in or says why not."""

    __slots__ = ("_budgets", "state")

    def __init__(self, budgets: dict[str, ProducerBudget], state: AdmissionState | None = None) -> None:
        self._budgets = budgets
        self.state = state if state is not None else AdmissionState()

    def judge(
        self,
        signal: SignalIn,
        now: Stamp,
        *,
        instrument: Instrument | None,
        input_ns: int | None,
        reference_ticks: int | None,
    ) -> Refusal | None:
        """None where it may enter; nothing is charged or remembered before `enter`.

        `input_ns` is the monotonic time of the event it was computed from, None where that is not known. A sale is
        valued at `reference_ticks` where that is above its limit, since a floor bounds no value from above.
        """
        if signal.problem:
            return Code.SIGNAL_MALFORMED, signal.problem
        budget = self._budgets.get(signal.producer)
        if not signal.is_authentic or budget is None:
            return Code.SIGNAL_NOT_AUTHENTIC, f"producer {signal.producer!r}"
        malformed = _malformed(signal)
        if malformed:
            return Code.BAD_FIELD, malformed
        if instrument is None:
            return Code.UNKNOWN_INSTRUMENT, signal.symbol
        if not instrument.min_lots <= signal.lots <= instrument.max_lots:
            return Code.QTY_RANGE, f"{signal.lots} lots of {instrument.min_lots} to {instrument.max_lots}"
        left_ns = signal.expires_ns - now.wall_ns
        if left_ns <= 0:
            return Code.EXPIRED, f"{-left_ns} ns ago"
        if left_ns > MAX_LIFE_NS:
            return Code.SIGNAL_TOO_LONG, f"{left_ns} ns left of at most {MAX_LIFE_NS}"
        if input_ns is None or now.monotonic_ns - input_ns > MAX_INPUT_AGE_NS:
            return Code.SIGNAL_INPUT_OLD, f"input {signal.input_seq} at {input_ns}, now {now.monotonic_ns} ns"
        seen_ns = self.state.seen.get(signal.signal_id)
        if seen_ns is not None and now.wall_ns - seen_ns <= REPLAY_WINDOW_NS:
            self.state.replayed += 1
            return Code.SIGNAL_REPLAYED, signal.signal_id
        return self._within_budget(signal, budget, now, instrument, reference_ticks) or self._room_to_remember(now)

    def enter(self, signal: SignalIn, now: Stamp, *, instrument: Instrument, reference_ticks: int | None) -> None:
        """Charge and remember a signal that `judge` let pass at this very time."""
        usage = self._usage(signal.producer, self._budgets[signal.producer], now)
        usage.tokens_nano -= NANO
        usage.notional_atoms += _notional_atoms(signal, instrument, reference_ticks)
        self.state.seen[signal.signal_id] = now.wall_ns

    def begin(self, now: Stamp) -> None:
        """Go on with a new monotonic origin: tokens of the former run are void, they cannot be dated."""
        for usage in self.state.producers.values():
            usage.tokens_nano, usage.at_ns = 0, now.monotonic_ns

    def _within_budget(
        self, signal: SignalIn, budget: ProducerBudget, now: Stamp, instrument: Instrument, reference_ticks: int | None
    ) -> Refusal | None:
        if signal.side is Side.SELL and reference_ticks is None:
            return Code.STALE_DATA, "no price to value a sale by"
        usage = self._usage(signal.producer, budget, now)
        if usage.tokens_nano < NANO:
            return Code.SIGNAL_BUDGET, f"{budget.signals_per_s} signals a second"
        notional_atoms = usage.notional_atoms + _notional_atoms(signal, instrument, reference_ticks)
        if notional_atoms > budget.notional_atoms_per_day:
            return Code.SIGNAL_BUDGET, f"{notional_atoms} of {budget.notional_atoms_per_day} atoms of value a day"
        return None

    def _usage(self, producer: str, budget: ProducerBudget, now: Stamp) -> ProducerUsage:
        """The producer's usage, brought to now."""
        day = now.wall_ns // _NANOSECONDS_PER_DAY
        capacity = budget.signals_per_s * NANO
        usage = self.state.producers.get(producer)
        if usage is None:
            usage = self.state.producers[producer] = ProducerUsage(capacity, now.monotonic_ns, day)
        elapsed_ns = now.monotonic_ns - usage.at_ns
        usage.tokens_nano = min(capacity, usage.tokens_nano + elapsed_ns * budget.signals_per_s)
        usage.at_ns = now.monotonic_ns
        if usage.day != day:
            usage.day, usage.notional_atoms = day, 0
        return usage

    def _room_to_remember(self, now: Stamp) -> Refusal | None:
        seen = self.state.seen
        while seen:
            oldest = next(iter(seen))
            age_ns = now.wall_ns - seen[oldest]
            if age_ns <= (REPLAY_WINDOW_NS if len(seen) < MAX_SEEN else MAX_LIFE_NS):
                break
            del seen[oldest]
        if len(seen) < MAX_SEEN:
            return None
        return Code.SIGNALS_FULL, f"{len(seen)} ids are remembered"


def _malformed(signal: SignalIn) -> str:
    """What is wrong with a field, or empty."""
    if len(signal.signal_id) != _ID_DIGITS or not _HEX.issuperset(signal.signal_id):
        return "signal_id is not 32 hex digits"
    if signal.lots < 1 or signal.limit_ticks < 1:
        return f"{signal.lots} lots at {signal.limit_ticks} ticks"
    if not 1 <= signal.urgency <= 10:
        return f"urgency {signal.urgency}"
    if not 0 <= signal.max_slippage_ppm < _PPM:
        return f"max_slippage_ppm {signal.max_slippage_ppm}"
    if signal.valid_from_ns >= signal.expires_ns:
        return "valid_from_ns is not before expires_ns"
    return ""


def _notional_atoms(signal: SignalIn, instrument: Instrument, reference_ticks: int | None) -> int:
    price_ticks = signal.limit_ticks
    if signal.side is Side.SELL and reference_ticks is not None:
        price_ticks = max(price_ticks, reference_ticks)
    return instrument.notional_atoms(signal.lots, price_ticks)
