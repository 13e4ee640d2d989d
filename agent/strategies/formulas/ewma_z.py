"""How unusual a sample is against an exponentially weighted mean and variance of those before it.

Finch's incremental form (2009), after West (1979): d = x - m; m += α d; v = (1 - α)(v + α d²). The score is taken before
the sample enters, or an outlier would partly hide itself.

Everything is counted from the first sample, by an exact difference: with prices near 10⁵ and moves near 1, binary64
would otherwise lose five digits of each distance before the first step.
"""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady


class EwmaZ(msgspec.Struct):
    """Mean and variance so far. `alpha` within 0 and 1 is the weight of a new sample, `warmup` how many must be in."""

    alpha: float
    warmup: int
    count: int = 0
    origin: int | Fraction = 0
    """The first sample."""
    offset: float = 0.0
    """The mean, counted from there."""
    variance: float = 0.0

    @property
    def mean(self) -> float:
        return float(self.origin + Fraction(self.offset))

    def update(self, sample: int | Fraction) -> float | NotReady:
        """The sample's score, in standard deviations; then it enters."""
        if self.count == 0:
            self.origin = sample
            self.count = 1
            return NotReady(Lack.SAMPLES)
        distance = float(sample - self.origin) - self.offset
        score: float | NotReady
        if self.count < self.warmup:
            score = NotReady(Lack.SAMPLES)
        elif self.variance > 0:
            score = distance / sqrt(self.variance)
        else:
            score = NotReady(Lack.VARIATION)
        self.offset += self.alpha * distance
        self.variance = (1 - self.alpha) * (self.variance + self.alpha * distance * distance)
        self.count += 1
        return score
