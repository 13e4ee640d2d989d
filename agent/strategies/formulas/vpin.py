"""How one-sided the volume is: VPIN (Easley, López de Prado, O'Hara, Review of Financial Studies 25(5), 2012).

Volume is cut into buckets of equal size, trades split at their edges; VPIN is Σ|B - S| / (n·V) over the last n. Where
the venue says who took, that is exact. Where it does not, bulk classification calls V·Φ(ΔP/σ) of a bar's volume bought.
"""

from __future__ import annotations

from fractions import Fraction
from math import erfc, sqrt

import msgspec

from agent.core.instruments import Side
from agent.strategies.formulas.readiness import Lack, NotReady


class SignedVpin(msgspec.Struct):
    """By the side that took, in whole lots."""

    bucket_lots: int
    n: int
    buckets: list[tuple[int, int]] = []
    """Bought and sold of the last n full buckets."""
    bought_lots: int = 0
    """Of the bucket that is being filled."""
    sold_lots: int = 0

    def add(self, aggressor: Side, lots: int) -> None:
        """Take in a trade. One larger than all n buckets fills them all, and its rest the next."""
        is_buy = aggressor is Side.BUY
        room = self.bucket_lots - self.bought_lots - self.sold_lots
        while lots >= room:
            if is_buy:
                self.bought_lots += room
            else:
                self.sold_lots += room
            lots -= room
            self.buckets.append((self.bought_lots, self.sold_lots))
            self.bought_lots = self.sold_lots = 0
            room = self.bucket_lots
            if lots >= room * (self.n + 1):
                # Only the last n count, and each of them is the same.
                lots = room * self.n + lots % room
        if is_buy:
            self.bought_lots += lots
        else:
            self.sold_lots += lots
        del self.buckets[: -self.n]

    def value(self) -> Fraction | NotReady:
        """Within 0 and 1, once n buckets are full."""
        if len(self.buckets) < self.n:
            return NotReady(Lack.SAMPLES)
        return Fraction(sum(abs(bought - sold) for bought, sold in self.buckets), self.n * self.bucket_lots)


class BulkVpin(msgspec.Struct):
    """By the move of the price over each bar. `sigma` is the standard deviation of those moves."""

    bucket_volume: float
    n: int
    sigma: float
    buckets: list[tuple[float, float]] = []
    bought: float = 0.0
    filled: float = 0.0

    def add(self, move: float, volume: float) -> None:
        """Take in a bar. Its share of buys is the same in every bucket it reaches."""
        if not self.sigma > 0 or not volume > 0:
            return
        share = erfc(-move / self.sigma / sqrt(2)) / 2
        room = self.bucket_volume - self.filled
        while volume >= room:
            self.bought += room * share
            volume -= room
            self.buckets.append((self.bought, self.bucket_volume - self.bought))
            self.bought = self.filled = 0.0
            room = self.bucket_volume
            if volume >= room * (self.n + 1):
                volume = room * self.n + volume % room
        self.bought += volume * share
        self.filled += volume
        del self.buckets[: -self.n]

    def value(self) -> float | NotReady:
        """Within 0 and 1, once n buckets are full."""
        if not self.sigma > 0:
            return NotReady(Lack.VARIATION)
        if len(self.buckets) < self.n:
            return NotReady(Lack.SAMPLES)
        return sum(abs(bought - sold) for bought, sold in self.buckets) / (self.n * self.bucket_volume)
