"""Chains of constant-product swaps, in exact integers: composition, optimum, bound, integer correction.

A hop out(x) = a x / (b + c x) composed with another is again one. The profit out(x) - x of the chain is concave;
its best real input is where the slope is 1. Each integer swap pays at most what the real one does, so the best real
profit, floored, bounds every integer input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

Hops = Sequence[tuple[int, int, int]]
"""(a, b, c) of each hop, first hop first."""

NEAR = (0, -1, 1, -2, 2, -3, 3)
"""Shifts of a token amount around the real optimum; nearest first."""
_FAR = 256
_MAX_ROUNDS = 16


class Optimum(NamedTuple):
    """Best real input, floored, and the bound on the profit of any integer input, floored."""

    amount_in: int
    profit_bound: int


def compose(hops: Hops) -> tuple[int, int, int]:
    """The chain of hops as one: (a, b, c)."""
    a, b, c = hops[0]
    for hop_a, hop_b, hop_c in hops[1:]:
        c = hop_b * c + hop_c * a
        a *= hop_a
        b *= hop_b
    return a, b, c


def real_optimum(hops: Hops) -> Optimum | None:
    """The closed form; None where no input pays, not even an infinitely small one."""
    a, b, c = compose(hops)
    if a <= b:
        return None
    root = isqrt(4 * a * b)
    return Optimum(((root >> 1) - b) // c, (a + b - root) // c)


def run(hops: Hops, amount: int) -> int:
    """Output of the chain for an integer input, each hop floored."""
    for a, b, c in hops:
        amount = a * amount // (b + c * amount)
    return amount


def pull_back(hops: Hops, amount: int) -> int | None:
    """Smallest input whose floored output of the chain reaches `amount`; None if none does. Rounds up."""
    for a, b, c in reversed(hops):
        room = a - c * amount
        if room <= 0:
            return None
        amount = -(-amount * b // room)
    return amount


def correct_near(hops: Hops, start: int, bound: int) -> int:
    """The best integer input near the real optimum `start`, the smallest of those found that pay as much.

    The profit of integer inputs is a sawtooth: all inputs between two that reach the next unit of a coarse token pay
    for nothing. So the candidates are the smallest inputs that reach each nearby amount of each token on the way.
    Stops as soon as the bound is reached: nothing better exists.
    """
    best = start
    best_profit = run(hops, start) - start
    for _ in range(_MAX_ROUNDS):
        if best_profit >= bound:
            return best
        around = amount = best
        for index, (a, b, c) in enumerate(hops):
            amount = a * amount // (b + c * amount)
            first = hops[: index + 1]
            for shift in NEAR:
                candidate = pull_back(first, amount + shift) if amount + shift > 0 else None
                if candidate is not None:
                    profit = run(hops, candidate) - candidate
                    if profit > best_profit or (profit == best_profit and candidate < best):
                        best, best_profit = candidate, profit
        if best == around:
            return best
    return best


def correct_far(hops: Hops, start: int, bound: int) -> int:
    """As `correct_near`, then every amount of the coarsest token at which the real profit still beats the best found.

    The smallest best input is the smallest one for its own amount of every token on the way, so scanning one token
    suffices; the coarsest has the fewest amounts. The scan is cut at 2 x 256 amounts: it is about single units.
    """
    a, b, c = compose(hops)
    best = correct_near(hops, start, bound)
    best_profit = run(hops, best) - best
    gap = bound + 1 - best_profit
    if gap <= 1:
        return best
    amounts = [start]
    for hop in hops:
        amounts.append(run((hop,), amounts[-1]))
    index = min(range(1, len(amounts)), key=amounts.__getitem__)
    first, middle = hops[:index], amounts[index]
    # Near its top the real profit falls by c d^2 / sqrt(a b) at a distance d.
    reach = isqrt(gap * isqrt(a * b) // c) + 1
    width = min(_FAR, reach * middle // start + 2) if start else _FAR
    for target in range(max(1, middle - width), middle + width + 1):
        candidate = pull_back(first, target)
        if candidate is not None:
            profit = run(hops, candidate) - candidate
            if profit > best_profit or (profit == best_profit and candidate < best):
                best, best_profit = candidate, profit
    return correct_near(hops, best, bound)
