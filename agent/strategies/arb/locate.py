"""The real optimum of a route over pools whose curves have pieces, and a proven bound on its profit.

Cells: around one input each hop is on one piece, so the chain is (p x + q) / (r x + s) there and its optimum closed
form. The profit is concave, so an optimum outside its cell tells the side; the bracket closes in a few moves.

Bound: give every token on the way a price, the start token 1. Whatever the amounts, the profit is the sum over hops of
price_out * out - price_in * in, because what one hop pays out the next takes in; and each term is at most that pool's
own best at those prices. True for any prices; tight at the prices of the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

from agent.dex.pool import Completeness, Piece, Pool
from agent.eth.units import Address

Route = Sequence[tuple[Pool, Address]]
"""Pools in order, each with the token it is paid in."""

_MAX_MOVES = 600
"""Bisection alone ends within the bits of an amount; more moves would be a defect."""
_PRICE_BITS = 512
_MAX_PIECES = 64


class Located(NamedTuple):
    """Where the profit of exact reals is greatest."""

    amount_in: int
    """Floored."""
    is_edge_unknown: bool
    """The curve ends there because the state behind is not known."""
    profit_bound: int | None


def locate(route: Route) -> Located:
    """The best real input; 0 where nothing can be put in."""
    low, high = 0, None
    guess = 0
    is_edge_unknown = False
    for move in range(_MAX_MOVES):
        cell = _Cell(route, guess)
        if cell.flat is not None:
            high = guess
            is_edge_unknown = cell.flat is Completeness.UNKNOWN
            guess = cell.left
        else:
            optimum = cell.optimum()
            if optimum < cell.left:
                high = cell.left
                is_edge_unknown = False
            elif cell.right is not None and optimum > cell.right:
                low = cell.right
            else:
                return Located(optimum, False, _profit_bound(route, optimum))
            guess = optimum
        if high is not None and high - low <= 1:
            break
        if high is None:
            guess = max(guess, low + 1)
        elif not low < guess < high or move % 4 == 3:
            guess = (low + high) // 2
    return Located(low, is_edge_unknown, None if is_edge_unknown else _profit_bound(route, low))


class _Cell:
    """The chain around one input: (p x + q) / (r x + s) between `left` and `right`."""

    __slots__ = ("flat", "left", "p", "q", "r", "right", "s")

    def __init__(self, route: Route, amount: int) -> None:
        p, q, r, s = 1, 0, 0, 1
        self.left = 0
        self.right: int | None = None
        self.flat: Completeness | None = None
        for pool, token_in in route:
            start_in, start_out, end_in, a, b, c, completeness, _, _ = pool.piece(token_in, amount)
            # Inverse of the chain so far at the piece's borders, where it reaches them at all.
            if start_in and p > r * start_in:
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


def _profit_bound(route: Route, amount_in: int) -> int | None:
    """No integer input of the route earns more, whatever its size; None where unknown state spoils the proof."""
    amount = amount_in
    pieces: list[Piece] = []
    slopes: list[tuple[int, int]] = []
    bend = len(route) - 1
    for index, (pool, token_in) in enumerate(route):
        piece = pool.piece(token_in, amount)
        if not piece.a:
            piece = pool.piece(token_in, max(piece.start_in - 1, 0))
            if not piece.a:
                return None
        spent = min(amount, piece.end_in if piece.end_in is not None else amount) - piece.start_in
        level = piece.b + piece.c * spent
        pieces.append(piece)
        slopes.append((piece.a * piece.b, level * level))
        if _ends_at(pool, token_in, piece, amount):
            bend = min(bend, index)
        amount = piece.start_out + piece.a * spent // level
    prices = _prices(slopes, bend)
    total = 0
    for index, (pool, token_in) in enumerate(route):
        best = _best_at_prices(pool, token_in, pieces[index], prices[index], prices[index + 1])
        if best is None:
            return None
        total += best
    return total >> _PRICE_BITS


def _ends_at(pool: Pool, token_in: Address, piece: Piece, amount: int) -> bool:
    """Whether the pool's liquidity ends about where this amount is."""
    end_in = piece.end_in
    if end_in is None or (end_in - amount) * 10**6 > end_in - piece.start_in:
        return False
    return not pool.piece(token_in, end_in).a


def _prices(slopes: Sequence[tuple[int, int]], bend: int) -> list[int]:
    """A price for each token on the way, those of the start token 1, such that each hop but `bend` is at its best.

    Where the product of slopes is 1 all are; where liquidity ends it is more, and the hop that ends takes the rest.
    """
    prices = [1 << _PRICE_BITS] * (len(slopes) + 1)
    for index in range(bend):
        numerator, denominator = slopes[index]
        prices[index + 1] = max(1, prices[index] * denominator // numerator)
    for index in range(len(slopes) - 1, bend, -1):
        numerator, denominator = slopes[index]
        prices[index] = max(1, prices[index + 1] * numerator // denominator)
    return prices


def _best_at_prices(pool: Pool, token_in: Address, piece: Piece, price_in: int, price_out: int) -> int | None:
    """Largest price_out * out - price_in * in of one pool over all inputs, rounded up; None if it cannot be bounded.

    A curve is concave and its slope at a piece's start is a / b exactly, so the piece that holds the best input is the
    one that starts with a slope of at least price_in / price_out and whose successor starts with less.
    """
    for _ in range(_MAX_PIECES):
        if piece.a * price_out < piece.b * price_in:
            if not piece.start_in:
                return 0
            piece = pool.piece(token_in, piece.start_in - 1)
            continue
        after = pool.piece(token_in, piece.end_in) if piece.end_in is not None else None
        if after is not None and after.a and after.a * price_out >= after.b * price_in:
            piece = after
            continue
        begin = price_out * (piece.start_out + piece.slack_out) - price_in * (piece.start_in - piece.slack_in)
        gain, loss = price_out * piece.a, price_in * piece.b
        best = begin - (isqrt(4 * gain * loss) - gain - loss) // piece.c
        if after is None or after.a:
            return best
        # Nothing is known behind this piece. Fine if its slope falls to the prices before it ends.
        room = after.start_in - piece.start_in
        if isqrt(gain * loss) + 1 - loss <= price_in * piece.c * (room - (after.slack_in - piece.slack_in)):
            return best
        if after.completeness is Completeness.UNKNOWN:
            return None
        # The liquidity ends, so the best is there: the slope is still above the prices, and behind there is nothing.
        end = price_out * (after.start_out + after.slack_out) - price_in * (after.start_in - after.slack_in)
        return min(best, end) if isqrt(gain * loss) - loss > price_in * piece.c * room else best
    return None
