"""Order flow imbalance at the touch (Cont, Kukanov, Stoikov, J. Financial Econometrics 12(1), 2014), in whole lots.

    e = [Pb >= Pb'] qb - [Pb <= Pb'] qb' - [Pa <= Pa'] qa + [Pa >= Pa'] qa'        (a prime is the quote before)

What was added to the bid or taken from the ask pushes up, the rest down. The sum over a window moves with the price.
"""

from __future__ import annotations

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady

Touch = tuple[int, int, int, int]
"""Bid price, bid quantity, ask price, ask quantity."""


def flow(before: Touch, now: Touch) -> int:
    """The net quantity by which one change of the touch pushes up."""
    bid, bid_lots, ask, ask_lots = now
    bid_before, bid_lots_before, ask_before, ask_lots_before = before
    pushed = 0
    if bid >= bid_before:
        pushed += bid_lots
    if bid <= bid_before:
        pushed -= bid_lots_before
    if ask <= ask_before:
        pushed -= ask_lots
    if ask >= ask_before:
        pushed += ask_lots_before
    return pushed


class OrderFlow(msgspec.Struct):
    """The sum over the last `window` changes."""

    window: int
    last: Touch | None = None
    flows: list[int] = []
    total: int = 0

    def update(self, touch: Touch) -> int | NotReady:
        """Take in a touch; the sum once the window is full."""
        if touch[1] < 1 or touch[3] < 1:
            return NotReady(Lack.LIQUIDITY)
        if self.last is not None:
            pushed = flow(self.last, touch)
            self.flows.append(pushed)
            self.total += pushed
            if len(self.flows) > self.window:
                self.total -= self.flows.pop(0)
        self.last = touch
        return self.total if len(self.flows) == self.window else NotReady(Lack.SAMPLES)

    def restart(self) -> None:
        """Forget the past: the book was lost, and what changed while it was is not known."""
        self.last = None
        self.flows.clear()
        self.total = 0
