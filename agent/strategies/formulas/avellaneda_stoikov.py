"""Quotes of a market maker with inventory and a horizon (Avellaneda, Stoikov, Quantitative Finance 8(3), 2008).

    r = s - q γ σ² τ
    spread = γ σ² τ + (2/γ) ln(1 + γ/k)

The logarithm is taken by log1p: with γ/k near 10⁻⁹ the plain one is wrong in the eighth digit.
"""

from __future__ import annotations

from math import isfinite, log1p

from agent.strategies.formulas.quotes import Quotes
from agent.strategies.formulas.readiness import Lack, NotReady


class AvellanedaStoikov(Quotes, frozen=True, gc=False):
    """The quotes, with the price at which the inventory is worth its risk, and the whole spread."""

    reservation: float
    spread: float


def avellaneda_stoikov(
    mid: float, inventory: float, *, gamma: float, sigma: float, k: float, tau: float
) -> AvellanedaStoikov | NotReady:
    """Optimal quotes for `inventory` base units and `tau` seconds to go.

    `gamma`: risk aversion, 1/(price·base). `sigma`: price per √s. `k`: decay of fill rate with distance, 1/price.
    """
    if not (gamma > 0 and k > 0 and sigma >= 0 and tau >= 0 and isfinite(mid) and isfinite(inventory)):
        return NotReady(Lack.DOMAIN)
    risk = gamma * sigma * sigma * tau
    spread = risk + 2 / gamma * log1p(gamma / k)
    skew = inventory * risk
    if not isfinite(spread) or not isfinite(skew):
        return NotReady(Lack.DOMAIN)
    delta_bid = spread / 2 + skew
    delta_ask = spread / 2 - skew
    return AvellanedaStoikov(mid - delta_bid, mid + delta_ask, delta_bid, delta_ask, mid - skew, spread)
