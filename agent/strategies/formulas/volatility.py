"""How fast a price moves: the exponentially weighted mean of squared moves per second of time between them."""

from __future__ import annotations

from math import sqrt

import msgspec

from agent.strategies.formulas.readiness import Lack, NotReady

NANO = 1_000_000_000


class Volatility(msgspec.Struct):
    """`alpha` is the weight of a new move, `warmup` how many must be in; moves closer than `spacing_ns` count as one."""

    alpha: float
    warmup: int
    spacing_ns: int
    count: int = 0
    variance_per_s: float = 0.0
    last_price: int = 0
    last_ns: int | None = None

    def update(self, price: int, now_ns: int) -> float | NotReady:
        """The standard deviation per √s, in the unit of `price`, once enough moves are in."""
        if self.last_ns is None:
            self.last_price, self.last_ns = price, now_ns
        elif now_ns - self.last_ns >= self.spacing_ns:
            move = price - self.last_price
            squared_per_s = move * move * NANO / (now_ns - self.last_ns)
            # The plain mean until there are enough, so that the first move does not count for all.
            weight = max(self.alpha, 1 / (self.count + 1))
            self.variance_per_s += weight * (squared_per_s - self.variance_per_s)
            self.count += 1
            self.last_price, self.last_ns = price, now_ns
        return NotReady(Lack.SAMPLES) if self.count < self.warmup else sqrt(self.variance_per_s)

    def restart(self) -> None:
        """Forget the last price: what happened since is no move."""
        self.last_ns = None
