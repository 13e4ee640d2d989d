"""Prefix sums of whole steps: a quote in one bisection instead of one walk.

Why it is exact: a step is whole if and only if the remaining input covers the step's own cost, fee rounded up
(for integers A, r: floor(r(M-f)/M) >= A <=> r >= A + ceil(A f/(M-f))), and every step after the first begins at a
tick price. So for one state and direction the sequence of costs and outputs does not depend on the trade. Steps at
word boundaries without a tick stay separate: two roundings are not one.

Arrays are parallel; entry k is the state after k whole steps. They grow only as far as quotes ask.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from agent.dex.pool import Completeness, Piece, Quote
from agent.dex.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK, sqrt_ratio_at_tick
from agent.dex.v3_step import PIPS, UINT256, exact_out_step, full_step

if TYPE_CHECKING:
    from agent.dex.v3_ticks import TickMap

_COMPLETE = Completeness.COMPLETE
_PARTIAL = Completeness.PARTIAL
_UNKNOWN = Completeness.UNKNOWN


class StepTable:
    """Whole steps from one state in one direction."""

    __slots__ = (
        "_at_tick_price", "_factor", "_limit", "_slack_a_step", "costs", "crossed", "end", "fee_pips", "liquidities",
        "max_in", "max_out", "outputs", "prices", "ticks", "tick_map", "zero_for_one",
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
        self._at_tick_price = False
        self.costs = [0]
        self.outputs = [0]
        self.prices = [sqrt_price_x96]
        self.ticks = [tick]
        self.liquidities = [liquidity]
        self.crossed = [0]
        self.end: Completeness | None = None
        """None while more steps may follow; PARTIAL or UNKNOWN once they cannot."""
        self.max_in = 0
        """Largest input that the steps so far can answer."""
        self.max_out = 0

    def quote_exact_in(self, amount_in: int) -> Quote:
        """Output for an input > 0, floored step by step as the contract does."""
        while amount_in > self.max_in:
            if self.end is not None:
                return self._past_the_end()
            self.grow()
        costs = self.costs
        k = bisect_left(costs, amount_in)
        # Equality ends after whole steps, the earliest of them; otherwise one partial step follows entry k - 1.
        if k < len(costs) and costs[k] == amount_in:
            return Quote(amount_in, self.outputs[k], _COMPLETE, self.crossed[k])
        k -= 1
        after_fee = (amount_in - costs[k]) * self._factor // PIPS
        price = self.prices[k]
        liquidity = self.liquidities[k]
        if self.zero_for_one:
            numerator = liquidity << 96
            product = after_fee * price
            if numerator + product < UINT256:
                reached = -(-numerator * price // (numerator + product))
            else:
                reached = -(-numerator // (numerator // price + after_fee))
            amount_out = liquidity * (price - reached) >> 96
        else:
            reached = price + (after_fee << 96) // liquidity
            amount_out = (liquidity << 96) * (reached - price) // reached // price
        return Quote(amount_in, self.outputs[k] + amount_out, _COMPLETE, self.crossed[k])

    def quote_exact_out(self, amount_out: int) -> Quote:
        """Input for an output > 0, ceiled step by step as the contract does."""
        while amount_out > self.max_out:
            if self.end is not None:
                return self._past_the_end()
            self.grow()
        k = bisect_left(self.outputs, amount_out)
        if k < len(self.outputs) and self.outputs[k] == amount_out:
            return Quote(self.costs[k], amount_out, _COMPLETE, self.crossed[k])
        k -= 1
        step = exact_out_step(
            self.prices[k], self._limit, self.liquidities[k], amount_out - self.outputs[k], self.fee_pips
        )
        return Quote(self.costs[k] + step.amount_in + step.fee_amount, amount_out, _COMPLETE, self.crossed[k])

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
        costs = self.costs
        k = bisect_left(costs, amount_in + 1) - 1
        end_in = costs[k + 1] if k + 1 < len(costs) else self.max_in
        price = self.prices[k]
        liquidity = self.liquidities[k]
        factor = self._factor
        if self.zero_for_one:
            a = liquidity * price * price * factor
            b = liquidity * PIPS << 192
            c = price * factor << 96
        else:
            a = liquidity * factor << 192
            b = liquidity * price * price * PIPS
            c = price * factor << 96
        return Piece(costs[k], self.outputs[k], end_in, a, b, c, _COMPLETE, k * self._slack_a_step, k)

    def _past_the_end(self) -> Quote:
        assert self.end is not None
        if self.max_in == self.costs[-1]:
            return Quote(self.costs[-1], self.outputs[-1], self.end, self.crossed[-1])
        return self.quote_exact_in(self.max_in)._replace(completeness=self.end)

    def grow(self) -> None:
        """Append one whole step, or find that there is none; does nothing once the table has ended."""
        if self.end is not None:
            return
        tick = self.ticks[-1]
        price = self.prices[-1]
        liquidity = self.liquidities[-1]
        zero_for_one = self.zero_for_one
        stop = self._stop_from(tick) if liquidity else self._stop_beyond_gap(tick)
        if stop is None:
            return
        next_tick, is_initialised = stop
        target = sqrt_ratio_at_tick(next_tick)
        is_last = target < self._limit if zero_for_one else target > self._limit
        if is_last:
            target = self._limit
        if not liquidity:
            cost, output = 0, 0
        elif self._at_tick_price and not is_last:
            key = (tick, next_tick, liquidity)
            known = self.tick_map.step_costs.get(key)
            if known is None:
                known = self.tick_map.step_costs[key] = full_step(price, target, liquidity, self.fee_pips)
            cost, output = known
        else:
            cost, output = full_step(price, target, liquidity, self.fee_pips)
        net: int | None = 0
        if is_initialised and not is_last:
            net = self.tick_map.by_tick[next_tick].liquidity_net
        if net is None:
            # The step itself is certain, but completing it would cross a tick that was never read.
            self.end = _UNKNOWN
            self.max_in = max(self.costs[-1], self.costs[-1] + cost - 1)
            self.max_out = max(self.outputs[-1], self.outputs[-1] + output - 1)
            return
        self.costs.append(self.costs[-1] + cost)
        self.outputs.append(self.outputs[-1] + output)
        self.prices.append(target)
        self.ticks.append(next_tick - 1 if zero_for_one else next_tick)
        self.liquidities.append(liquidity - net if zero_for_one else liquidity + net)
        self.crossed.append(self.crossed[-1] + (1 if is_initialised and not is_last else 0))
        self.max_in = self.costs[-1]
        self.max_out = self.outputs[-1]
        self._at_tick_price = True
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
