"""Mean reversion fitted to samples: x' = a + b·x + ε by least squares, read as an Ornstein-Uhlenbeck process.

Sampled every dt, the process is exactly such a regression with b = e^(-κ dt). θ = a/(1-b) is its mean, σeq² = var/(1-b²)
the variance it settles to, ln 2/κ its half-life. It reverts only where 0 < b < 1; a trend gives b >= 1 and no answer.
The regression is exact in rationals, since its sums cancel: with prices near 10⁵ and moves near 1, binary64 would lose
half its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import log, sqrt

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady

_LEAST_PAIRS = 3


class Regression(msgspec.Struct, frozen=True, gc=False):
    """The least squares fit over `n` pairs of neighbours, exactly; `var_eps` is SSE/(n-2)."""

    n: int
    a: Fraction
    b: Fraction
    var_eps: Fraction


class MeanReversion(msgspec.Struct, frozen=True, gc=False):
    """The process: its mean, speed (1/s), half-life (s), spread at rest, noise (per √s), and where it is now."""

    theta: float
    kappa: float
    half_life: float
    sigma_eq: float
    sigma: float
    z_last: float
    """Distance of the last sample from the mean, in `sigma_eq`."""


def regress(series: Sequence[int | Fraction]) -> Regression | NotReady:
    """Fit each sample to the one before it."""
    n = len(series) - 1
    if n < _LEAST_PAIRS:
        return NotReady(Lack.SAMPLES)
    # Shifted by the first sample: the same fit, with shorter numbers.
    origin = series[0]
    shifted = [Fraction(sample - origin) for sample in series]
    before, after = shifted[:-1], shifted[1:]
    sum_x, sum_y = sum(before), sum(after)
    sum_xx = sum(x * x for x in before)
    sum_xy = sum(x * y for x, y in zip(before, after, strict=True))
    determinant = n * sum_xx - sum_x * sum_x
    if determinant == 0:
        return NotReady(Lack.VARIATION)
    b = Fraction(n * sum_xy - sum_x * sum_y) / determinant
    a = (sum_y - b * sum_x) / n
    errors = sum(((y - a - b * x) ** 2 for x, y in zip(before, after, strict=True)), Fraction(0))
    return Regression(n, a + origin * (1 - b), b, errors / (n - 2))


def mean_reversion(series: Sequence[int | Fraction], dt: float) -> MeanReversion | NotReady:
    """The process behind samples taken every `dt` seconds."""
    fit = regress(series)
    if isinstance(fit, NotReady):
        return fit
    if not 0 < fit.b < 1:
        return NotReady(Lack.REVERSION)
    if fit.var_eps == 0:
        return NotReady(Lack.VARIATION)
    if not dt > 0:
        return NotReady(Lack.DOMAIN)
    theta = fit.a / (1 - fit.b)
    kappa = -log(fit.b) / dt
    sigma_eq = sqrt(fit.var_eps / (1 - fit.b * fit.b))
    return MeanReversion(
        theta=float(theta),
        kappa=kappa,
        half_life=log(2) / kappa,
        sigma_eq=sigma_eq,
        sigma=sigma_eq * sqrt(2 * kappa),
        z_last=float(series[-1] - theta) / sigma_eq,
    )
