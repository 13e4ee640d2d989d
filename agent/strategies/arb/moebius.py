"""Chains of constant-product swaps, in exact integers: composition, optimum, bound, integer correction.

A hop out(x) = a x / (b + c x) composed with another is again one. The profit out(x) - x of the chain is concave;
its best real input is where the slope is 1. Each integer swap pays at most what the real one does, so the best real
profit, floored, bounds every integer input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

Hops = Sequence[tuple[int, int, int]]
"""(a, b, c) of each hop, first hop first."""

_MISSES = 2
_NEAR = 3
_FAR = 256
_MAX_ROUNDS = 16


def compose(hops: Hops) -> tuple[int, int, int]:
    """The chain of hops as one: (a, b, c)."""
    a, b, c = hops[0]
    for hop_a, hop_b, hop_c in hops[1:]:
        c = hop_b * c + hop_c * a
        a *= hop_a
        b *= hop_b
    return a, b, c


def real_optimum(hops: Hops) -> tuple[int, int] | None:
    """(best real input, bound on the profit of any integer input), both floored; None where no input pays at all."""
    a, b, c = compose(hops)
    if a <= b:
        return None
    root = isqrt(4 * a * b)
    return ((root >> 1) - b) // c, (a + b - root) // c


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
    """The best integer input near the real optimum `start`.

    The profit of integer inputs is a sawtooth: all inputs between two that reach the next unit of a coarse token pay
    for nothing. So the candidates are the smallest inputs that reach each amount of the coarsest token on the way; over
    these the profit is concave but for the roundings of the finer tokens, so a climb of a few units finds its top.
    Stops as soon as the bound is reached: nothing better exists.
    """
    amounts = _amounts(hops, start)
    best, best_profit = start, amounts[-1] - start
    index = min(range(1, len(amounts)), key=amounts.__getitem__)
    first, rest = hops[:index], hops[index:]
    for target, direction in ((amounts[index] + 1, 1), (amounts[index], -1)):
        misses = 0
        while misses < _MISSES and target > 0 and best_profit < bound:
            candidate = pull_back(first, target)
            if candidate is None:
                break
            profit = run(rest, target) - candidate
            if profit > best_profit:
                best, best_profit, misses = candidate, profit, 0
            else:
                misses += 1
            target += direction
    return best


def correct_far(hops: Hops, start: int, bound: int) -> int:
    """The best integer input found by a wider scan, the smallest of those that pay as much.

    First every token's nearby amounts to a fixed point; then every amount of the coarsest token at which the real
    profit still beats the best found. The smallest best input is the smallest one for its own amount of every token on
    the way, so scanning one token suffices, and the coarsest has the fewest amounts. It is cut at `_FAR` either way.
    """
    a, b, c = compose(hops)
    best = _settle(hops, start, bound)
    gap = bound + 1 - (run(hops, best) - best)
    if gap <= 1:
        return best
    amounts = _amounts(hops, start)
    index = min(range(1, len(amounts)), key=amounts.__getitem__)
    # Near its top the real profit falls by c d^2 / sqrt(a b) at a distance d.
    reach = isqrt(gap * isqrt(a * b) // c) + 1
    width = min(_FAR, reach * amounts[index] // start + 2) if start else _FAR
    targets = range(max(1, amounts[index] - width), amounts[index] + width + 1)
    return _settle(hops, _best_of(hops, hops[:index], targets, best), bound)


def _settle(hops: Hops, start: int, bound: int) -> int:
    """Move to the best of the smallest inputs for nearby amounts of each token, to a fixed point."""
    best = start
    for _ in range(_MAX_ROUNDS):
        around = best
        amounts = _amounts(hops, around)
        if amounts[-1] - around >= bound:
            return best
        for index in range(1, len(amounts)):
            targets = range(max(1, amounts[index] - _NEAR), amounts[index] + _NEAR + 1)
            best = _best_of(hops, hops[:index], targets, best)
        if best == around:
            return best
    return best


def _best_of(hops: Hops, first: Hops, targets: range, best: int) -> int:
    """The best of `best` and the smallest inputs that reach each target after the hops `first`."""
    rank = (run(hops, best) - best, -best)
    for target in targets:
        candidate = pull_back(first, target)
        if candidate is not None:
            rank = max(rank, (run(hops, candidate) - candidate, -candidate))
    return -rank[1]


def _amounts(hops: Hops, start: int) -> list[int]:
    """Amount before the first hop, then after each, floored."""
    amounts = [start]
    for a, b, c in hops:
        start = a * start // (b + c * start)
        amounts.append(start)
    return amounts
