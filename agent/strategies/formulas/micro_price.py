"""The micro-price: what the middle is expected to become, by the state of the touch (Stoikov, QF 18(12), 2018).

Imbalance and spread are cut into states. Q holds the probabilities of going from state to state with the middle
unmoved, R those of moving it by each of the jumps K, T those of the states it lands in after a move. Then
G1 = (I - Q)⁻¹ R K is the expected next move, B = (I - Q)⁻¹ T where it leads, and the micro-price is the middle plus
Σ Bⁱ G1. The sum converges where the counts behind the matrices were made symmetric in bid and ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady

Matrix = Sequence[Sequence[Fraction]]
ITERATIONS = 6


class MicroPrice(msgspec.Struct, frozen=True, gc=False):
    """By state: the expected next move, where it leads, and the adjustment of the middle."""

    first_move: tuple[Fraction, ...]
    landing: tuple[tuple[Fraction, ...], ...]
    adjustment: tuple[Fraction, ...]


def micro_price(
    stay: Matrix, jump: Matrix, jumps: Sequence[Fraction], land: Matrix, iterations: int = ITERATIONS
) -> MicroPrice | NotReady:
    """The adjustments for the matrices Q (`stay`), R (`jump`), K (`jumps`) and T (`land`), summed over `iterations`."""
    states = len(stay)
    system = [[Fraction(int(i == j)) - stay[i][j] for j in range(states)] for i in range(states)]
    moves = [[sum((p * size for p, size in zip(row, jumps, strict=True)), Fraction(0))] for row in jump]
    solved = _solve(system, [move + list(row) for move, row in zip(moves, land, strict=True)])
    if solved is None:
        return NotReady(Lack.SINGULAR)
    first_move = [row[0] for row in solved]
    landing = [row[1:] for row in solved]
    total, term = list(first_move), first_move
    for _ in range(iterations - 1):
        term = [sum((p * move for p, move in zip(row, term, strict=True)), Fraction(0)) for row in landing]
        total = [before + more for before, more in zip(total, term, strict=True)]
    return MicroPrice(tuple(first_move), tuple(tuple(row) for row in landing), tuple(total))


def _solve(system: list[list[Fraction]], right: list[list[Fraction]]) -> list[list[Fraction]] | None:
    """The X with system · X = right, by elimination; None where there is no single one."""
    rows = [left + list(more) for left, more in zip(system, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [entry / head for entry in rows[column]]
        for i in range(size):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [entry - factor * above for entry, above in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]
