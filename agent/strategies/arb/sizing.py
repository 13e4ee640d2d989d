"""The best size of a cycle, with exact amounts: what it pays is re-quoted to the wei before it is returned.

1. Locate the real optimum: pools give their curve in linear-fractional pieces; on a tuple of pieces the chain is
   linear-fractional and its optimum closed form. One piece a hop (constant product) needs one step.
2. Correct for integers: with a coarse token between, whole stretches of inputs pay the same, so candidates are the
   smallest inputs that reach each nearby amount of each token on the way.
3. Re-quote exactly. An optimum at the edge of what is known of a pool is the best inside, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

from agent.dex.pool import Completeness, Pool
from agent.dex.pool_set import PoolSet
from agent.eth.units import Address
from agent.strategies.arb.moebius import best_input_floor, compose, profit_bound
from agent.strategies.arb.opportunity import Cycle, Leg

_COMPLETE = Completeness.COMPLETE
_MAX_MOVES = 400
"""Bisection alone ends within the bits of an amount; more moves would be a defect."""

Route = Sequence[tuple[Pool, Address]]
"""Pools in order, each with the token it is paid in."""


class Sized(NamedTuple):
    """A cycle at its best size. All amounts are exact."""

    amounts: tuple[int, ...]
    """Amount before the first hop, then after each."""
    upper_bound: int | None
    limited_by_state: bool

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


def best_size(route: Route) -> Sized | None:
    """The most profitable input of the route, or None if nothing pays."""
    if not pays_at_the_margin(route):
        return None
    located = _locate(route)
    if located is None:
        return None
    start, is_edge_unknown, bound = located
    amounts = run_through(route, start) if start else None
    if amounts is None:
        start = _inside(route, start)
        amounts = run_through(route, start) if start > 0 else None
    best = _correct(route, amounts, bound)
    if best is None or best[-1] <= best[0]:
        return None
    return Sized(best, bound, is_edge_unknown)


def _locate(route: Route) -> tuple[int, bool, int | None] | None:
    """(real optimum floored, whether unknown state ends the curve there, bound or None)."""
    pieces = [pool.piece(token_in, 0) for pool, token_in in route]
    if all(piece.end_in is not None and not piece.start_in and pool.kind == "v2" for piece, (pool, _) in zip(pieces, route, strict=True)):
        chain = compose((piece.a, piece.b, piece.c) for piece in pieces)
        return best_input_floor(chain), False, profit_bound(chain)
    low, high = 0, None
    guess = 0
    is_edge_unknown = False
    for move in range(_MAX_MOVES):
        cell = _Cell(route, guess)
        if cell.flat is not None:
            high = guess if high is None else min(high, guess)
            is_edge_unknown = cell.flat is Completeness.UNKNOWN
            guess = cell.left
        else:
            optimum = cell.optimum()
            if optimum < cell.left:
                high = cell.left if high is None else min(high, cell.left)
                is_edge_unknown = False
            elif cell.right is not None and optimum > cell.right:
                low = max(low, cell.right)
            else:
                return optimum, False, None
            guess = optimum
        if high is not None and high - low <= 1:
            return low, is_edge_unknown, None
        if high is not None and (not low < guess < high or move % 4 == 3):
            guess = (low + high) // 2
        elif guess <= low:
            guess = low + 1 if high is None else (low + high) // 2
    return low, is_edge_unknown, None


class _Cell:
    """The chain around one input: (p x + q) / (r x + s) between `left` and `right`."""

    __slots__ = ("flat", "left", "p", "q", "r", "right", "s")

    def __init__(self, route: Route, amount: int) -> None:
        p, q, r, s = 1, 0, 0, 1
        self.left = 0
        self.right: int | None = None
        self.flat: Completeness | None = None
        for pool, token_in in route:
            piece = pool.piece(token_in, amount)
            start_in, start_out, end_in, a, b, c, completeness, _ = piece
            # Inverse of the chain so far at the piece's borders, where it reaches them at all.
            if p > r * start_in:
                self.left = max(self.left, -(-(s * start_in - q) // (p - r * start_in)))
            if not a:
                self.flat = completeness
                return
            if end_in is not None and p > r * end_in:
                right = (s * end_in - q) // (p - r * end_in)
                self.right = right if self.right is None else min(self.right, right)
            top = start_out * c + a
            offset = start_out * b - top * start_in
            base = b - c * start_in
            p, q, r, s = top * p + offset * r, top * q + offset * s, c * p + base * r, c * q + base * s
            spent = amount - start_in
            amount = start_out + a * spent // (b + c * spent)
        self.p, self.q, self.r, self.s = p, q, r, s

    def optimum(self) -> int:
        """Where the slope is 1 on this piece continued, floored; may lie outside it."""
        return (isqrt(self.p * self.s - self.q * self.r) - self.s) // self.r


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
    return max(amount - 1, 0)


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


def _correct(route: Route, amounts: tuple[int, ...] | None, bound: int | None) -> tuple[int, ...] | None:
    """The best amounts reachable by moving to nearby amounts of each token on the way, to a fixed point."""
    best = amounts
    if best is None:
        return None
    tried = {best[0]}
    is_improving = True
    while is_improving and (bound is None or best[-1] - best[0] < bound):
        is_improving = False
        around = best
        for index in range(len(route)):
            for shift in (0, -1, 1, -2, 2, -3, 3):
                target = around[index + 1] + shift
                amount = _pull_back(route, index, target) if target > 0 else None
                if amount is None or amount in tried:
                    continue
                tried.add(amount)
                candidate = run_through(route, amount)
                if candidate is not None and candidate[-1] - candidate[0] > best[-1] - best[0]:
                    best = candidate
                    is_improving = True
    return best
