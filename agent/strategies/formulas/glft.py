"""Quotes of a market maker far from any horizon (Guéant, "Optimal market making", arXiv 1605.01862, (4.6), (4.7)).

    c1 = ln(1 + ξΔ/k) / (ξΔ)
    c2 = sqrt( γ/(2AΔk) · (1 + ξΔ/k)^(k/(ξΔ) + 1) )
    δbid = c1 + (Δ/2) σ c2 + q σ c2        δask = c1 + (Δ/2) σ c2 - q σ c2

With ξ to 0, c1 is 1/k and the power is e. ξ = γ and Δ = 1 is the model of Guéant, Lehalle and Fernandez-Tapia (2013).
"""

from __future__ import annotations

from math import e, exp, isfinite, log1p, sqrt

from agent.strategies.formulas.quotes import Quotes
from agent.strategies.formulas.readiness import Lack, NotReady


class Glft(Quotes, frozen=True, gc=False):
    """The quotes and what they are made of: half the spread without inventory, and the shift by one unit of it."""

    c1: float
    c2: float
    half_spread: float
    skew_per_unit: float


def glft(
    mid: float, inventory: float, *, gamma: float, xi: float, sigma: float, rate: float, k: float, size: float
) -> Glft | NotReady:
    """Asymptotic quotes for `inventory` base units and orders of `size`.

    `gamma`, `xi`: aversion to the risk of price and of fills, 1/(price·base). `sigma`: price per √s. `rate`: fills per
    second at the middle (A), which fall off with distance by `k`, 1/price. All in the same unit of price: a k
    calibrated in half ticks doubles every quote.
    """
    if not (gamma > 0 and xi >= 0 and sigma >= 0 and rate > 0 and k > 0 and size > 0):
        return NotReady(Lack.DOMAIN)
    step = xi * size
    if step > 0:
        logarithm = log1p(step / k)
        c1 = logarithm / step
        power = exp((k / step + 1) * logarithm)
    else:
        c1, power = 1 / k, e
    c2 = sqrt(gamma / (2 * rate * size * k) * power)
    skew_per_unit = sigma * c2
    half_spread = c1 + size / 2 * skew_per_unit
    delta_bid = half_spread + inventory * skew_per_unit
    delta_ask = half_spread - inventory * skew_per_unit
    if not isfinite(delta_bid + delta_ask + mid):
        return NotReady(Lack.DOMAIN)
    return Glft(mid - delta_bid, mid + delta_ask, delta_bid, delta_ask, c1, c2, half_spread, skew_per_unit)
