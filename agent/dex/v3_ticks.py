"""The initialised ticks of a concentrated-liquidity pool, and how much of them is known.

Immutable: a change makes a new map; pools between two changes share one. Ticks are multiples of the spacing;
`liquidity_net` is added to the active liquidity when the price rises through the tick. A word is 256 tick
positions of the bitmap (v3-core `TickBitmap.sol`); a word that was never read may hold anything.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from agent.dex.tick_math import MAX_TICK, MIN_TICK


class Tick(NamedTuple):
    """One initialised tick. None is "not known": the bitmap shows the tick, its figures were never read."""

    liquidity_net: int | None
    liquidity_gross: int | None


class TickMap:
    """Initialised ticks by position, with the bitmap words that are known (None: all of them)."""

    __slots__ = ("_ordered", "by_tick", "known_words", "step_costs", "tick_spacing")

    def __init__(self, by_tick: dict[int, Tick], *, tick_spacing: int, known_words: frozenset[int] | None) -> None:
        if tick_spacing <= 0:
            raise ValueError(f"tick spacing must be positive, not {tick_spacing}")
        self.by_tick = by_tick
        self.tick_spacing = tick_spacing
        self.known_words = known_words
        self._ordered: list[int] | None = None
        self.step_costs: dict[tuple[int, int, int], tuple[int, int]] = {}
        """(from tick, to tick, liquidity) -> (cost, output) of whole steps; shared by all prices of this map."""

    @classmethod
    def from_nets(
        cls, nets: Iterable[tuple[int, int]], *, tick_spacing: int, known_words: frozenset[int] | None = None
    ) -> TickMap:
        """A map from (tick, liquidityNet) pairs whose gross figures were not read."""
        return cls({tick: Tick(net, None) for tick, net in nets}, tick_spacing=tick_spacing, known_words=known_words)

    @property
    def ordered(self) -> list[int]:
        """Initialised ticks, ascending."""
        if self._ordered is None:
            self._ordered = sorted(self.by_tick)
        return self._ordered

    def word_of(self, tick: int) -> int:
        """Bitmap word of a tick; floors for negative ticks, as the contract compresses."""
        return (tick // self.tick_spacing) >> 8

    def next_stop(self, tick: int, *, zero_for_one: bool) -> tuple[int, bool] | None:
        """(tick, is initialised) where the next step from `tick` ends at most, inside one word; None if it is unknown.

        The same as the contract's nextInitializedTickWithinOneWord, clamped to the tick domain.
        """
        spacing = self.tick_spacing
        ordered = self.ordered
        index = bisect_right(ordered, tick)
        if zero_for_one:
            word = (tick // spacing) >> 8
            if self.known_words is not None and word not in self.known_words:
                return None
            boundary = (word << 8) * spacing
            if index and ordered[index - 1] >= boundary:
                return ordered[index - 1], True
            return max(boundary, MIN_TICK), False
        word = (tick // spacing + 1) >> 8
        if self.known_words is not None and word not in self.known_words:
            return None
        boundary = ((word << 8) + 255) * spacing
        if index < len(ordered) and ordered[index] <= boundary:
            return ordered[index], True
        return min(boundary, MAX_TICK), False

    def next_initialised(self, tick: int, *, zero_for_one: bool) -> int | None:
        """Nearest initialised tick in the direction, whatever lies between; None if there is none in the map."""
        ordered = self.ordered
        index = bisect_right(ordered, tick)
        if zero_for_one:
            return ordered[index - 1] if index else None
        return ordered[index] if index < len(ordered) else None

    def is_known_between(self, tick: int, stop: int) -> bool:
        """Whether every word from the one a step from `tick` reads to the one that holds `stop` is known."""
        if self.known_words is None:
            return True
        first = self.word_of(tick) if stop <= tick else (tick // self.tick_spacing + 1) >> 8
        last = self.word_of(stop)
        return all(word in self.known_words for word in range(min(first, last), max(first, last) + 1))

    def with_liquidity(self, tick_lower: int, tick_upper: int, delta: int) -> TickMap:
        """The map after a position over [lower, upper) changed by `delta` (Mint > 0, Burn < 0)."""
        if not delta:
            return self
        by_tick = dict(self.by_tick)
        self._change(by_tick, tick_lower, delta, delta)
        self._change(by_tick, tick_upper, -delta, delta)
        return TickMap(by_tick, tick_spacing=self.tick_spacing, known_words=self.known_words)

    def _change(self, by_tick: dict[int, Tick], tick: int, net_delta: int, gross_delta: int) -> None:
        if self.known_words is not None and self.word_of(tick) not in self.known_words:
            return  # nothing is claimed about that word, before or after
        before = by_tick.get(tick)
        if before is None:
            # A Burn of a tick that was not there contradicts the map; leave the tick unknown, never negative.
            by_tick[tick] = Tick(net_delta, gross_delta) if gross_delta > 0 else Tick(None, None)
            return
        net = None if before.liquidity_net is None else before.liquidity_net + net_delta
        if before.liquidity_gross is not None:
            gross = before.liquidity_gross + gross_delta
            if gross == 0:
                del by_tick[tick]
            else:
                by_tick[tick] = Tick(net, gross)
        elif net == 0 and gross_delta < 0:
            # Without the gross figure nobody can say whether the tick still stops a step.
            by_tick[tick] = Tick(None, None)
        else:
            by_tick[tick] = Tick(net, None)
