"""What the checks count: equal orders of the last moment, and entries without a sign of life."""

from __future__ import annotations

import msgspec

from agent.core.instruments import Side

_SELL = Side.SELL

DUPLICATE_WINDOW_NS = 100_000_000
MAX_RECENT = 16_384
"""Far above what any order rate lets out within the window."""

OrderKey = tuple[str, str, Side, int, int]
"""Strategy, symbol, side, price in ticks, lots: what makes two orders the same."""


class RecentOrders(msgspec.Struct):
    """Orders that were let out within the window, oldest first; times are monotonic."""

    times_ns: list[int] = []
    keys: list[OrderKey] = []


class DuplicateWindow:
    """Counts equal orders of the last `DUPLICATE_WINDOW_NS`, one exactly so old included."""

    __slots__ = ("_counts", "state")

    def __init__(self, state: RecentOrders | None = None) -> None:
        self.state = state if state is not None else RecentOrders()
        self._counts: dict[OrderKey, int] = {}
        for key in self.state.keys:
            self._counts[key] = self._counts.get(key, 0) + 1

    def count(self, key: OrderKey, now_ns: int) -> int:
        """How many like this were let out; `MAX_RECENT` where no more can be remembered, which no limit allows."""
        times_ns = self.state.times_ns
        if times_ns and times_ns[0] < now_ns - DUPLICATE_WINDOW_NS:
            self._forget(now_ns - DUPLICATE_WINDOW_NS)
        return self._counts.get(key, 0) if len(times_ns) < MAX_RECENT else MAX_RECENT

    def add(self, key: OrderKey, now_ns: int) -> None:
        """Remember an order that is let out now. Of one that was refused nothing is remembered."""
        self.state.times_ns.append(now_ns)
        self.state.keys.append(key)
        self._counts[key] = self._counts.get(key, 0) + 1

    def begin(self) -> None:
        """Forget everything: after a start the times are of another clock's origin, and longer ago than the window."""
        self.state.times_ns.clear()
        self.state.keys.clear()
        self._counts.clear()

    def _forget(self, before_ns: int) -> None:
        state, counts = self.state, self._counts
        gone = 0
        for time_ns, key in zip(state.times_ns, state.keys, strict=True):
            if time_ns >= before_ns:
                break
            gone += 1
            left = counts[key] - 1
            if left:
                counts[key] = left
            else:
                del counts[key]
        del state.times_ns[:gone], state.keys[:gone]


class RepeatThrottle(msgspec.Struct):
    """Entries of each strategy by side since its last sign of life; [buys, sells]."""

    entries: dict[str, list[int]] = {}

    def count(self, strategy: str, side: Side) -> int:
        both = self.entries.get(strategy)
        return 0 if both is None else both[side is _SELL]

    def add(self, strategy: str, side: Side) -> None:
        self.entries.setdefault(strategy, [0, 0])[side is _SELL] += 1

    def beat(self, strategy: str) -> None:
        """The strategy showed that it has seen what became of its orders."""
        self.entries.pop(strategy, None)
