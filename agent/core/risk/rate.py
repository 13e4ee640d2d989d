"""Breaker 3: how many orders a second, and the queue of those that wait for their turn.

Theory of operation. A bucket holds nano-tokens: at `r` orders a second it gains exactly `r` of them each nanosecond, so
there is no rounding and the instant at which the next token is there is exact. A place or an amend costs one token. An
order that finds none waits: reducing ones (class 1) before all others, first come first served inside a class, for at
most its time to live. A token that is there at the instant an order's time ends comes too late for it. On release the
core checks the order again in full; one that is refused then leaves its token to the next.

Cancels have a bucket of their own at twice the rate, so that they are never behind places; cancel-all and the guard
take none. The queue never outlives a session: what was decided before a cut is not sent after it.

`run` brings the queue up to a time. It comes before anything else that happens at that time, under the prices that
held until then.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.codes import Code
from agent.core.instruments import Side
from agent.core.risk.profiles import SECOND_NS, Profile

TOKEN_NANO = 1_000_000_000
REDUCING, OTHER = 1, 2
"""The classes of the queue."""
CANCELS_PER_ORDER = 2
VENUE_SHARE_PERCENT = 80
"""Of the venue's own limit; the rest is kept for cancels."""


class Bucket(msgspec.Struct, gc=False):
    """Tokens of one kind, full at the start. Refill and capacity are one second's worth."""

    per_s: int
    tokens_nano: int
    as_of_ns: int

    def fill(self, now_ns: int) -> None:
        """Bring it up to a monotonic time."""
        if now_ns > self.as_of_ns:
            self.tokens_nano = min(self.per_s * TOKEN_NANO, self.tokens_nano + self.per_s * (now_ns - self.as_of_ns))
            self.as_of_ns = now_ns

    def take(self, now_ns: int) -> int:
        """0 and one token is spent, or the nanoseconds until there is one (rounded up) and none is."""
        self.fill(now_ns)
        lack_nano = TOKEN_NANO - self.tokens_nano
        if lack_nano <= 0:
            self.tokens_nano = -lack_nano
            return 0
        return -(-lack_nano // self.per_s)

    def ready_ns(self) -> int:
        """The first monotonic time at which a token is there, rounded up to the nanosecond."""
        lack_nano = TOKEN_NANO - self.tokens_nano
        return self.as_of_ns if lack_nano <= 0 else self.as_of_ns + -(-lack_nano // self.per_s)

    def set_rate(self, per_s: int, now_ns: int) -> None:
        """Another rate from now on; tokens above the new capacity are lost."""
        self.fill(now_ns)
        self.per_s = per_s
        self.tokens_nano = min(self.tokens_nano, per_s * TOKEN_NANO)


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An order in the queue."""

    id: str
    symbol: str
    side: Side
    queue_class: int
    deadline_ns: int
    """Monotonic: at it the order is denied."""
    touch_ticks: int
    """The price it was decided against."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a waiting order, and when exactly."""

    id: str
    reason: Code | None
    """None: released, its token is spent."""
    at_ns: int


class RateQueue(msgspec.Struct, kw_only=True):
    """Both buckets and the queue."""

    orders: Bucket
    cancels: Bucket
    reducing: list[Waiting] = []
    other: list[Waiting] = []
    ttl_ns: int
    requeue_ticks: int

    @classmethod
    def start(cls, profile: Profile, now_ns: int) -> RateQueue:
        """Full buckets at a profile's rate."""
        orders_per_s = profile.orders_per_s
        cancels_per_s = orders_per_s * CANCELS_PER_ORDER
        return cls(
            orders=Bucket(orders_per_s, orders_per_s * TOKEN_NANO, now_ns),
            cancels=Bucket(cancels_per_s, cancels_per_s * TOKEN_NANO, now_ns),
            ttl_ns=profile.queue_ttl_ns,
            requeue_ticks=profile.requeue_ticks,
        )

    def adopt(self, profile: Profile, now_ns: int, venue_orders_per_s: int = 0, venue_cancels_per_s: int = 0) -> None:
        """Take a profile's rate, or the venue's share where that is smaller (0: it names none). Rounds down, at least 1.

        Orders get four fifths of the venue's rate; cancels their own limit there.
        """
        orders_per_s = profile.orders_per_s
        cancels_per_s = orders_per_s * CANCELS_PER_ORDER
        if venue_orders_per_s:
            orders_per_s = max(1, min(orders_per_s, venue_orders_per_s * VENUE_SHARE_PERCENT // 100))
        if venue_cancels_per_s:
            cancels_per_s = max(1, min(cancels_per_s, venue_cancels_per_s))
        self.orders.set_rate(orders_per_s, now_ns)
        self.cancels.set_rate(cancels_per_s, now_ns)
        self.ttl_ns = profile.queue_ttl_ns
        self.requeue_ticks = profile.requeue_ticks

    @property
    def length(self) -> int:
        return len(self.reducing) + len(self.other)

    def submit(
        self,
        id_: str,
        *,
        symbol: str,
        side: Side,
        is_reducing: bool,
        touch_ticks: int,
        now_ns: int,
        expires_ns: int | None = None,
    ) -> Code | bool:
        """True: a token is spent, send it. False: it waits. A code: refused. The queue was `run` up to `now_ns` before.

        `expires_ns` is monotonic: the end of the signal behind the order.
        """
        if not self.reducing and not self.other and self.orders.take(now_ns) == 0:
            return True
        self.orders.fill(now_ns)
        if self.length >= self.orders.per_s:
            return Code.QUEUE_FULL
        deadline_ns = now_ns + self.ttl_ns
        if expires_ns is not None and expires_ns < deadline_ns:
            deadline_ns = expires_ns
        queue_class = REDUCING if is_reducing else OTHER
        waiting = Waiting(id_, symbol, side, queue_class, deadline_ns, touch_ticks)
        (self.reducing if is_reducing else self.other).append(waiting)
        return False

    def run(self, now_ns: int, recheck: Callable[[Waiting, int], Code | None]) -> list[Outcome]:
        """Release and deny everything that is due at or before `now_ns`, in the order of time.

        `recheck(order, at_ns)` is the full check at its release, the touch included: a code denies it, and its token
        stays.
        """
        outcomes: list[Outcome] = []
        while self.reducing or self.other:
            ready_ns = self.orders.ready_ns()
            deadline_ns = self._first_deadline_ns()
            if deadline_ns <= ready_ns:
                if deadline_ns > now_ns:
                    break
                self._expire(deadline_ns, outcomes)
                continue
            if ready_ns > now_ns:
                break
            queue = self.reducing or self.other
            waiting = queue.pop(0)
            self.orders.fill(ready_ns)
            reason = recheck(waiting, ready_ns)
            if reason is None:
                self.orders.tokens_nano -= TOKEN_NANO
            outcomes.append(Outcome(waiting.id, reason, ready_ns))
        self.orders.fill(now_ns)
        return outcomes

    def has_touch_moved(self, waiting: Waiting, touch_ticks: int) -> bool:
        """The price it was decided against is further away than an order may follow. No price at all is far."""
        return touch_ticks == 0 or abs(touch_ticks - waiting.touch_ticks) > self.requeue_ticks

    def take_cancel(self, now_ns: int) -> int:
        """0: send the cancel. Else nanoseconds after which to ask again."""
        return self.cancels.take(now_ns)

    def withdraw(self, id_: str) -> bool:
        """Take a waiting order out, because it is cancelled. False where it does not wait."""
        for queue in (self.reducing, self.other):
            for index, waiting in enumerate(queue):
                if waiting.id == id_:
                    del queue[index]
                    return True
        return False

    def on_disconnect(self, now_ns: int) -> list[Outcome]:
        """Deny everything that waits."""
        self.orders.fill(now_ns)
        outcomes = [Outcome(waiting.id, Code.NOT_LIVE, now_ns) for waiting in (*self.reducing, *self.other)]
        self.reducing.clear()
        self.other.clear()
        return outcomes

    def on_restart(self, now_ns: int) -> list[Outcome]:
        """A new monotonic clock: tokens are as they were, no refill for the time in between."""
        self.orders.as_of_ns = self.cancels.as_of_ns = now_ns
        return self.on_disconnect(now_ns)

    def next_deadline_ns(self) -> int | None:
        """The monotonic time at which `run` has something to do; None with an empty queue."""
        if not self.reducing and not self.other:
            return None
        return min(self.orders.ready_ns(), self._first_deadline_ns())

    def _first_deadline_ns(self) -> int:
        return min(waiting.deadline_ns for queue in (self.reducing, self.other) for waiting in queue)

    def _expire(self, deadline_ns: int, outcomes: list[Outcome]) -> None:
        for queue in (self.reducing, self.other):
            late = [waiting for waiting in queue if waiting.deadline_ns <= deadline_ns]
            if late:
                outcomes += [Outcome(waiting.id, Code.QUEUE_TTL, deadline_ns) for waiting in late]
                queue[:] = [waiting for waiting in queue if waiting.deadline_ns > deadline_ns]


assert TOKEN_NANO == SECOND_NS, "a rate per second is then a number of nano-tokens per nanosecond"
