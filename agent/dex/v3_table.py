"""Prefix sums of whole steps: a quote in one bisection instead of one walk.

Why it is exact: a step is whole if and only if the remaining input covers the step's own cost, fee rounded up
(for integers A, r: floor(r(M-f)/M) >= A <=> r >= A + ceil(A f/(M-f))), and every step after the first begins at a
tick price. So for one state and direction the sequence of costs and outputs does not depend on the trade. Steps at
word boundaries without a tick stay separate: two roundings are not one.

Entry k is the state after k whole steps. Entries are added only as far as quotes ask.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from agent.dex.pool import Completeness, Piece, Quote
from agent.dex.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK, sqrt_ratio_at_tick
from agent.dex.v3_step import PIPS, UINT256, exact_out_step, full_step

if TYPE_CHECKING:
    from agent.dex.v3_ticks import TickMap

_COMPLETE = Completeness.COMPLETE
_PARTIAL = Completeness.PARTIAL
_UNKNOWN = Completeness.UNKNOWN
# Making a named tuple through its own constructor takes twice as long.
_quote = tuple.__new__


class Entry(NamedTuple):
    """The state after some whole steps."""

    cost: int
    """Input so far, fees included."""
    output: int
    sqrt_price_x96: int
    liquidity: int
    liquidity_x96: int
    crossed: int


class StepTable:
    """Whole steps from one state in one direction."""

    __slots__ = (
        "_factor",
        "_is_at_tick_price",
        "_limit",
        "_slack_a_step",
        "_tick",
        "costs",
        "end",
        "entries",
        "fee_pips",
        "max_in",
        "max_out",
        "outputs",
        "tick_map",
        "zero_for_one",
    )

    def __init__(
        self, tick_map: TickMap, *, sqrt_price_x96: int, tick: int, liquidity: int, fee_pips: int, zero_for_one: bool
    ) -> None:
        self.tick_map = tick_map
        self.zero_for_one = zero_for_one
        self.fee_pips = fee_pips
        self._factor = PIPS - fee_pips
        # A step's input is rounded up by less than 1, which its fee magnifies, and the fee again by less than 1.
        self._slack_a_step = 1 - (-PIPS // self._factor)
        self._limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        self._is_at_tick_price = False
        self._tick = tick
        self.costs = [0]
        """Of each entry, for bisection."""
        self.outputs = [0]
        self.entries = [Entry(0, 0, sqrt_price_x96, liquidity, liquidity << 96, 0)]
        self.end: Completeness | None = None
        """None while more steps may follow; PARTIAL or UNKNOWN once they cannot."""
        self.max_in = 0
        """Largest input that the steps so far can answer."""
        self.max_out = 0

    def quote_exact_in(self, amount_in: int) -> Quote:
        """Output for an input > 0, floored step by step as the contract does."""
        if amount_in > self.max_in and not self._reaches_in(amount_in):
            return self._past_the_end()
        cost, output, price, liquidity, liquidity_x96, crossed = self.entries[bisect_right(self.costs, amount_in) - 1]
        rest = amount_in - cost
        if not rest:
            # The contract stops after the first of several entries of this cost; only the ticks it crosses differ.
            crossed = self.entries[bisect_left(self.costs, amount_in)].crossed
            return Quote(amount_in, output, _COMPLETE, crossed)
        # The rest does not cover the next step, so one partial step ends the swap and takes all of it.
        after_fee = rest * self._factor // PIPS
        if self.zero_for_one:
            product = after_fee * price
            total = liquidity_x96 + product
            if total < UINT256:
                # The price falls to ceil(L p / total), and p - ceil(L p / total) = floor(p product / total).
                fall = product * price // total
            else:
                fall = price + -liquidity_x96 // (liquidity_x96 // price + after_fee)
            output += liquidity * fall >> 96
        else:
            moved = (after_fee << 96) // liquidity
            # floor(floor(x / m) / n) = floor(x / (m n))
            output += liquidity_x96 * moved // ((price + moved) * price)
        return _quote(Quote, (amount_in, output, _COMPLETE, crossed))

    def quote_exact_out(self, amount_out: int) -> Quote:
        """Input for an output > 0, ceiled step by step as the contract does."""
        while amount_out > self.max_out:
            if self.end is not None:
                return self._past_the_end()
            self.grow()
        k = bisect_left(self.outputs, amount_out)
        if k < len(self.outputs) and self.outputs[k] == amount_out:
            entry = self.entries[k]
            return Quote(entry.cost, amount_out, _COMPLETE, entry.crossed)
        entry = self.entries[k - 1]
        step = exact_out_step(
            entry.sqrt_price_x96, self._limit, entry.liquidity, amount_out - entry.output, self.fee_pips
        )
        return Quote(entry.cost + step.amount_in + step.fee_amount, amount_out, _COMPLETE, entry.crossed)

    def piece(self, amount_in: int) -> Piece:
        """The step that holds `amount_in`, as a linear-fractional function; the flat tail behind the last one."""
        while amount_in >= self.max_in and self.end is None:
            self.grow()
        if amount_in >= self.max_in:
            top = self._past_the_end()
            steps = len(self.costs)
            return Piece(
                top.amount_in, top.amount_out, None, 0, 1, 0, top.completeness, steps * self._slack_a_step, steps
            )
        k = bisect_right(self.costs, amount_in) - 1
        cost, output, price, liquidity, liquidity_x96, _ = self.entries[k]
        end_in = self.costs[k + 1] if k + 1 < len(self.costs) else self.max_in
        factor = self._factor
        if self.zero_for_one:
            a, b = liquidity * price * price * factor, liquidity_x96 * PIPS << 96
        else:
            a, b = liquidity_x96 * factor << 96, liquidity * price * price * PIPS
        return Piece(cost, output, end_in, a, b, price * factor << 96, _COMPLETE, k * self._slack_a_step, k)

    def _reaches_in(self, amount_in: int) -> bool:
        while amount_in > self.max_in:
            if self.end is not None:
                return False
            self.grow()
        return True

    def _past_the_end(self) -> Quote:
        """All that can be answered, and why no more."""
        assert self.end is not None
        last = self.entries[-1]
        if self.max_in == last.cost:
            return Quote(last.cost, last.output, self.end, last.crossed)
        return self.quote_exact_in(self.max_in)._replace(completeness=self.end)

    def grow(self) -> None:
        """Append one whole step, or find that there is none; does nothing once the table has ended."""
        if self.end is not None:
            return
        tick = self._tick
        last = self.entries[-1]
        price, liquidity = last.sqrt_price_x96, last.liquidity
        stop = self._stop_from(tick) if liquidity else self._stop_beyond_gap(tick)
        if stop is None:
            return
        next_tick, is_initialised = stop
        target = sqrt_ratio_at_tick(next_tick)
        is_last = target < self._limit if self.zero_for_one else target > self._limit
        if is_last:
            target, is_initialised = self._limit, False
        if not liquidity:
            cost, output = 0, 0
        elif self._is_at_tick_price and not is_last:
            # Shared by all states of this tick map: after a swap only the first step has to be computed anew.
            known = self.tick_map.step_costs.get((tick, next_tick, liquidity))
            if known is None:
                known = full_step(price, target, liquidity, self.fee_pips)
                self.tick_map.step_costs[tick, next_tick, liquidity] = known
            cost, output = known
        else:
            cost, output = full_step(price, target, liquidity, self.fee_pips)
        net = self.tick_map.by_tick[next_tick].liquidity_net if is_initialised else 0
        if net is None:
            # The step itself is certain, but completing it would cross a tick that was never read.
            self.end = _UNKNOWN
            self.max_in = last.cost + max(cost - 1, 0)
            self.max_out = last.output + max(output - 1, 0)
            return
        self.max_in = last.cost + cost
        self.max_out = last.output + output
        self.costs.append(self.max_in)
        self.outputs.append(self.max_out)
        after = liquidity - net if self.zero_for_one else liquidity + net
        self.entries.append(Entry(self.max_in, self.max_out, target, after, after << 96, last.crossed + is_initialised))
        self._tick = next_tick - 1 if self.zero_for_one else next_tick
        self._is_at_tick_price = True
        if is_last:
            self.end = _PARTIAL

    def _stop_from(self, tick: int) -> tuple[int, bool] | None:
        stop = self.tick_map.next_stop(tick, zero_for_one=self.zero_for_one)
        if stop is None:
            self.end = _UNKNOWN
        return stop

    def _stop_beyond_gap(self, tick: int) -> tuple[int, bool] | None:
        """Steps without liquidity cost and give nothing, so a gap is crossed at once if all of it is known."""
        far = self.tick_map.next_initialised(tick, zero_for_one=self.zero_for_one)
        edge = far if far is not None else (MIN_TICK if self.zero_for_one else MAX_TICK)
        if not self.tick_map.is_known_between(tick, edge):
            self.end = _UNKNOWN
            return None
        if far is None:
            self.end = _PARTIAL
            return None
        return far, True
