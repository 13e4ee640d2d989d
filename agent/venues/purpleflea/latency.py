"""What each stage of an order takes, counted exactly in logarithmic buckets.

Theory of operation
-------------------
The hot path appends one tuple of clock readings to a list, nothing more; the timer beside it sums them up later. A
histogram has 32 buckets for each doubling, so that a percentile read from it is at most 3.2 % above the true one, while
counts and the greatest value are exact. It is of fixed size however long the agent runs, and two of them add up.

    received -> decoded -> stepped -> sent -> acked
    |  decode  |   step   |  send  |  venue  |
    |           tick_to_order      |
"""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA = "mev-agent/latency/1"
_SUB_BITS = 5
_SUBS = 1 << _SUB_BITS
_PENDING_MAX = 65_536
_IN_FLIGHT_MAX = 4_096
STAGES = ("decode", "step", "send", "tick_to_order", "venue")


class Percentiles(msgspec.Struct, frozen=True):
    """Nanoseconds; each percentile is the upper end of its bucket, the greatest value is exact."""

    n: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int


class Histogram(msgspec.Struct):
    """Durations of one stage in ns, counted by bucket."""

    counts: dict[int, int] = {}
    n: int = 0
    max_ns: int = 0

    def add(self, duration_ns: int) -> None:
        """Count one; a negative one, which only a broken clock makes, counts as 0."""
        value = max(duration_ns, 0)
        shift = max(value.bit_length() - _SUB_BITS - 1, 0)
        bucket = (shift << _SUB_BITS) + (value >> shift)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.n += 1
        if value > self.max_ns:
            self.max_ns = value

    def at(self, per_mille: int) -> int:
        """The nearest-rank percentile, as the upper end of its bucket; 0 where nothing was counted."""
        rank = -(-self.n * per_mille // 1_000)
        for bucket in sorted(self.counts):
            rank -= self.counts[bucket]
            if rank <= 0:
                return min(_upper_end(bucket), self.max_ns)
        return 0

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.n += other.n
        self.max_ns = max(self.max_ns, other.max_ns)

    def percentiles(self) -> Percentiles:
        return Percentiles(self.n, self.at(500), self.at(990), self.at(999), self.max_ns)


class Stages:
    """The stages of orders. The readings are the caller's; nothing here looks at a clock."""

    def __init__(self) -> None:
        self.histograms: dict[str, Histogram] = {stage: Histogram() for stage in STAGES}
        self.dropped = 0
        """Readings for which there was no room: nobody drained."""
        self._readings: list[tuple[int, int, int, int]] = []
        self._answers: list[int] = []
        self._in_flight: dict[str, int] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether an order is out whose answer is to be timed."""
        return bool(self._in_flight)

    def sent(self, client_order_id: str, received_ns: int, decoded_ns: int, stepped_ns: int, sent_ns: int) -> None:
        """An order left, caused by the frame that was received then."""
        if len(self._readings) < _PENDING_MAX:
            self._readings.append((received_ns, decoded_ns, stepped_ns, sent_ns))
        else:
            self.dropped += 1
        if len(self._in_flight) < _IN_FLIGHT_MAX:
            self._in_flight[client_order_id] = sent_ns

    def answered(self, client_order_id: str, received_ns: int) -> None:
        """The first answer about an order; later ones are not timed."""
        sent_ns = self._in_flight.pop(client_order_id, None)
        if sent_ns is not None and len(self._answers) < _PENDING_MAX:
            self._answers.append(received_ns - sent_ns)

    def forget_in_flight(self) -> None:
        """The connection ended: the answers will come by another one, and would time the outage."""
        self._in_flight.clear()

    def drain(self) -> None:
        """Sum up what was noted; off the hot path."""
        readings, self._readings = self._readings, []
        answers, self._answers = self._answers, []
        decode, step, send, whole, venue = (self.histograms[stage] for stage in STAGES)
        for received_ns, decoded_ns, stepped_ns, sent_ns in readings:
            decode.add(decoded_ns - received_ns)
            step.add(stepped_ns - decoded_ns)
            send.add(sent_ns - stepped_ns)
            whole.add(sent_ns - received_ns)
        for answer_ns in answers:
            venue.add(answer_ns)

    def document(self) -> dict[str, Any]:
        """All of it as plain data for a file: percentiles, and the buckets they come from."""
        self.drain()
        stages = {
            stage: {
                **msgspec.to_builtins(histogram.percentiles()),
                "buckets": [[_upper_end(bucket), histogram.counts[bucket]] for bucket in sorted(histogram.counts)],
            }
            for stage, histogram in self.histograms.items()
        }
        return {"schema": SCHEMA, "stages": stages, "dropped": self.dropped}


def _upper_end(bucket: int) -> int:
    """The greatest value that falls into a bucket."""
    shift = max((bucket >> _SUB_BITS) - 1, 0)
    return ((bucket - (shift << _SUB_BITS) + 1) << shift) - 1
