"""The middle weighted by what rests on either side: with I = Qb/(Qb + Qa), I·Pa + (1 - I)·Pb, exactly.

A heavy bid moves it towards the ask, where the next trade is likelier (Stoikov, Quantitative Finance 18(12), 2018).
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady


class WeightedMid(msgspec.Struct, frozen=True, gc=False):
    """The share of the bid in what rests at the touch, and the price."""

    imbalance: Fraction
    price: Fraction


def weighted_mid(bid: int | Fraction, bid_lots: int, ask: int | Fraction, ask_lots: int) -> WeightedMid | NotReady:
    """The weighted middle of a touch."""
    if bid_lots < 0 or ask_lots < 0 or bid_lots + ask_lots == 0:
        return NotReady(Lack.LIQUIDITY)
    imbalance = Fraction(bid_lots, bid_lots + ask_lots)
    return WeightedMid(imbalance, imbalance * ask + (1 - imbalance) * bid)
