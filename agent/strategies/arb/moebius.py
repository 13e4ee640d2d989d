"""Chains of linear-fractional swaps, in exact integers: composition, optimum, bound.

A hop out(x) = a x / (b + c x) composed with another is again one. The profit out(x) - x of the chain is concave;
its best real input is where the slope is 1. Each integer swap pays at most what the real one does, so the best real
profit, floored, bounds every integer input. Derivation: Moebius composition, as used for constant-product routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from typing import NamedTuple


class Chain(NamedTuple):
    """out(x) = a x / (b + c x)."""

    a: int
    b: int
    c: int


def compose(hops: Iterable[tuple[int, int, int]]) -> Chain:
    """The chain of hops (a, b, c), first hop first."""
    a, b, c = 1, 1, 0
    for hop_a, hop_b, hop_c in hops:
        c = hop_b * c + hop_c * a
        a *= hop_a
        b *= hop_b
    return Chain(a, b, c)


def best_input_floor(chain: Chain) -> int:
    """Real optimum, floored; 0 where no input pays."""
    if chain.a <= chain.b:
        return 0
    return (isqrt(chain.a * chain.b) - chain.b) // chain.c


def profit_bound(chain: Chain) -> int:
    """No integer input earns more than this: the real best profit, floored."""
    if chain.a <= chain.b:
        return 0
    return (chain.a + chain.b - isqrt(4 * chain.a * chain.b)) // chain.c
