"""The best size of a cycle, with exact amounts: what it pays is re-quoted to the wei before it is returned.

1. Locate the real optimum: closed form where every hop is one curve (`moebius`), else cell by cell (`locate`).
2. Correct for integers: with a coarse token between, whole stretches of inputs pay the same, so candidates are the
   smallest inputs that reach each nearby amount of each token on the way.
3. Re-quote exactly. An optimum at the edge of what is known of a pool is the best inside, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd
from typing import NamedTuple

from agent.dex.pool import Completeness
from agent.dex.pool_set import PoolSet
from agent.strategies.arb import moebius
from agent.strategies.arb.locate import Route, locate
from agent.strategies.arb.opportunity import Cycle, Leg

_COMPLETE = Completeness.COMPLETE
# Making a named tuple through its own constructor takes twice as long.
_make = tuple.__new__
PIPS = 1_000_000
_MISSES = 2
_NEAR = 3
_FAR = 96
_MAX_ROUNDS = 12

_Correct = Callable[[Route, tuple[int, ...], int | None], tuple[int, ...]]


class Sized(NamedTuple):
    """A cycle at its best size. All amounts are exact."""

    amounts: tuple[int, ...]
    """Amount before the first hop, then after each."""
    upper_bound: int | None
    """No integer input earns more; None where unknown state spoils the proof."""
    limited_by_state: bool
    """The best size lies at the edge of what is known; more may be behind it."""

    @property
    def gross(self) -> int:
        """Profit in units of the start token, before gas."""
        return self.amounts[-1] - self.amounts[0]


def route_of(cycle: Cycle, pools: PoolSet) -> Route | None:
    """The cycle's pools at this state; None if one of them is not here."""
    route = []
    for hop in cycle.hops:
        pool = pools.get(hop.pool)
        if pool is None:
            return None
        route.append((pool, hop.token_in))
    return route


def legs_of(cycle: Cycle, route: Route, amounts: Sequence[int]) -> tuple[Leg, ...]:
    """The legs of a sized cycle."""
    return tuple(
        Leg(hop.pool, pool.kind, hop.token_in, amounts[i], hop.token_out, amounts[i + 1])
        for i, (hop, (pool, _)) in enumerate(zip(cycle.hops, route, strict=True))
    )


def run_through(route: Route, amount_in: int) -> tuple[int, ...] | None:
    """Exact amounts of the whole route for this input; None if some hop cannot take all of its part."""
    amounts = [amount_in]
    for pool, token_in in route:
        quote = pool.quote_exact_in(token_in, amount_in)
        if quote.completeness is not _COMPLETE:
            return None
        amount_in = quote.amount_out
        amounts.append(amount_in)
    return tuple(amounts)


def pays_at_the_margin(route: Route) -> bool:
    """Whether an infinitely small input comes back larger; exact. No size pays where it does not."""
    gain, loss = 1, 1
    for pool, token_in in route:
        numerator, denominator = pool.marginal_price(token_in)
        gain *= numerator
        loss *= denominator
    return gain > loss


def real_size(route: Route) -> Sized | None:
    """The real optimum, floored and re-quoted, without any correction; None if that input does not pay.

    Falls short of `best_size` by what a unit of the coarsest token on the way is worth.
    """
    hops = _curves(route)
    if hops is None:
        located = locate(route) if pays_at_the_margin(route) else None
        return None if located is None else _sized(route, located.amount_in, located.profit_bound)
    optimum = moebius.real_optimum(hops)
    return None if optimum is None else _sized(route, *optimum)


def best_size(route: Route) -> Sized | None:
    """The most profitable input of the route, or None if nothing pays. Costs microseconds: for the hot path."""
    hops = _curves(route)
    if hops is None:
        return _best_over_pieces(route, _correct_near) if pays_at_the_margin(route) else None
    optimum = moebius.real_optimum(hops)
    if optimum is None:
        return None
    start, bound = optimum
    return _sized(route, moebius.correct_near(hops, start, bound), bound) or _best_over_pieces(route, _correct_near)


def finest_size(route: Route) -> Sized | None:
    """As `best_size`, then up to some hundred more inputs for the last few units. Costs up to a millisecond or two."""
    hops = _curves(route)
    if hops is None:
        return _best_over_pieces(route, _correct_far) if pays_at_the_margin(route) else None
    optimum = moebius.real_optimum(hops)
    if optimum is None:
        return None
    start, bound = optimum
    return _sized(route, moebius.correct_far(hops, start, bound), bound) or _best_over_pieces(route, _correct_far)


def _curves(route: Route) -> list[tuple[int, int, int]] | None:
    hops = []
    for pool, token_in in route:
        curve = pool.curve(token_in)
        if curve is None:
            return None
        hops.append(curve)
    return hops


def _sized(route: Route, amount_in: int, bound: int | None) -> Sized | None:
    """The exact re-quote of a size; None if it does not pay or a pool cannot take its part."""
    amounts = run_through(route, amount_in)
    if amounts is None or amounts[-1] <= amount_in:
        return None
    return _make(Sized, (amounts, bound, False))


def _best_over_pieces(route: Route, correct: _Correct) -> Sized | None:
    located = locate(route)
    start = located.amount_in
    amounts = run_through(route, start) if start else None
    if amounts is None and start:
        start = _inside(route, start)
        amounts = run_through(route, start) if start else None
    if amounts is None:
        # Below one unit of input nothing can be said by the real optimum; the smallest inputs may still pay.
        amounts = run_through(route, 1)
    if amounts is None:
        return None
    best = correct(route, amounts, located.profit_bound)
    return Sized(best, located.profit_bound, located.is_edge_unknown) if best[-1] > best[0] else None


def _inside(route: Route, amount: int) -> int:
    """The largest input found below `amount` that every hop takes whole; 0 if there is none."""
    for _ in range(len(route) + 1):
        reached = amount
        for index, (pool, token_in) in enumerate(route):
            quote = pool.quote_exact_in(token_in, reached)
            if quote.completeness is not _COMPLETE:
                pulled = _pull_back(route, index - 1, quote.amount_in)
                amount = min(amount - 1, pulled if pulled is not None else 0)
                break
            reached = quote.amount_out
        else:
            return amount
        if amount <= 0:
            return 0
    return 0


def _pull_back(route: Route, index: int, amount: int) -> int | None:
    """Input of the route whose output after hop `index` reaches `amount`; smallest hop by hop. None if out of reach."""
    while index >= 0:
        pool, token_in = route[index]
        quote = pool.quote_exact_out(token_in, amount)
        if quote.completeness is not _COMPLETE:
            return None
        amount = quote.amount_in
        index -= 1
    return amount


def _correct_near(route: Route, amounts: tuple[int, ...], bound: int | None) -> tuple[int, ...]:
    """The best amounts found by a climb over amounts of the coarsest token on the way (see `moebius`).

    A fee taken in whole units makes slopes of thousands of units between drops, so strides double while they gain.
    """
    best = amounts
    index = _coarsest(amounts)
    for direction in (1, -1):
        position, stride, misses = amounts[index + 1] + max(direction, 0), direction, 0
        while misses < _MISSES and (bound is None or best[-1] - best[0] < bound):
            candidate = _smallest_reaching(route, index, position) if position > 0 else None
            if candidate is not None and _rank(candidate) > _rank(best):
                best = candidate
                stride *= 2
            elif abs(stride) > 1:
                # Back to the last gain and on by a quarter of the stride that failed.
                position -= stride
                stride = direction * max(1, abs(stride) // 4)
            else:
                misses += 1
            position += stride
    return best


def _correct_far(route: Route, amounts: tuple[int, ...], bound: int | None) -> tuple[int, ...]:
    """As `_correct_near`, then each token's nearby amounts, then hundreds of amounts of the coarsest token.

    Those are all within `_FAR` of the optimum, and those just below where the fee of the hop that takes this token
    comes out whole: a fee floored to whole units loses least there.
    """
    best = max(_correct_near(route, amounts, bound), _settle(route, amounts, bound), key=_rank)
    if bound is not None and best[-1] - best[0] >= bound:
        return best
    index = min(range(len(amounts)), key=amounts.__getitem__)
    middle = amounts[index]
    targets = set(range(max(1, middle - _FAR), middle + _FAR + 1))
    if index < len(route):
        pool, token_in = route[index]
        begin = pool.piece(token_in, middle).start_in
        period = PIPS // gcd(PIPS, pool.fee_pips)
        whole = begin + (middle - begin) // period * period
        for top in (whole, whole + period):
            targets.update(range(max(1, top - 2 * _FAR), top + 1))
    for target in sorted(targets):
        candidate = _smallest_reaching(route, index - 1, target)
        # Exact-output rounding of some kinds asks for a unit more than exact input needs.
        less = run_through(route, candidate[0] - 1) if candidate is not None and candidate[0] > 1 else None
        best = max((found for found in (best, candidate, less) if found is not None), key=_rank)
    return _settle(route, best, bound)


def _settle(route: Route, amounts: tuple[int, ...], bound: int | None) -> tuple[int, ...]:
    """Move to the best of the smallest inputs for nearby amounts of each token, to a fixed point."""
    best = amounts
    for _ in range(_MAX_ROUNDS):
        if bound is not None and best[-1] - best[0] >= bound:
            return best
        around = best
        for index in range(len(route)):
            for target in range(max(1, around[index + 1] - _NEAR), around[index + 1] + _NEAR + 1):
                candidate = _smallest_reaching(route, index, target)
                if candidate is not None and _rank(candidate) > _rank(best):
                    best = candidate
        if best is around:
            return best
    return best


def _smallest_reaching(route: Route, index: int, target: int) -> tuple[int, ...] | None:
    """Exact amounts for the smallest input that reaches `target` after hop `index`; None if it is out of reach."""
    amount = _pull_back(route, index, target)
    return None if amount is None else run_through(route, amount)


def _coarsest(amounts: tuple[int, ...]) -> int:
    """The hop after which the amount is the smallest number."""
    return min(range(len(amounts) - 1), key=lambda index: amounts[index + 1])


def _rank(amounts: tuple[int, ...]) -> tuple[int, int]:
    return amounts[-1] - amounts[0], -amounts[0]
