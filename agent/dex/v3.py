"""Concentrated-liquidity pools: Uniswap V3 and forks with the same maths (Sushi V3, Pancake V3).

Amounts are raw token units, prices square roots in Q64.96, the fee in pips. Source of truth: v3-core
`UniswapV3Pool.sol` swap. `swap` is the contract's own loop with limits and partial fills; quotes go through
prefix tables of whole steps (`v3_table`), which are exact and are checked against the loop and the contract.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agent.dex.events import (
    PANCAKE_V3_SWAP,
    V3_BURN,
    V3_INITIALIZE,
    V3_MINT,
    V3_SWAP,
    signed,
    unsigned,
)
from agent.dex.pool import Completeness, Log, Piece, Quote
from agent.dex.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)
from agent.dex.v3_step import PIPS, exact_in_step, exact_out_step
from agent.dex.v3_table import StepTable
from agent.dex.v3_ticks import TickMap
from agent.eth.units import Address

_NOTHING = Quote(0, 0, Completeness.COMPLETE, 0)


class SwapResult(NamedTuple):
    """What a swap moves and leaves. Amounts are signed as in the Swap event: positive goes into the pool."""

    amount0: int
    amount1: int
    sqrt_price_x96: int
    liquidity: int
    tick: int
    crossed: int
    completeness: Completeness


def is_possible(sqrt_price_x96: int, tick: int) -> bool:
    """Whether a pool of the real code could stand there. One below the lowest tick: the price rests on that tick."""
    return MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO and MIN_TICK - 1 <= tick < MAX_TICK


class V3Pool:
    """One pool at one state. Immutable but for its lazily built tables; `apply` returns the successor."""

    __slots__ = (
        "_table_down",
        "_table_up",
        "address",
        "fee_pips",
        "liquidity",
        "sqrt_price_x96",
        "tick",
        "ticks",
        "token0",
        "token1",
    )

    kind: Final = "v3"

    def __init__(
        self,
        *,
        address: Address,
        token0: Address,
        token1: Address,
        fee_pips: int,
        sqrt_price_x96: int,
        tick: int,
        liquidity: int,
        ticks: TickMap,
    ) -> None:
        if not 0 <= fee_pips < PIPS:
            raise ValueError(f"a V3 fee is in 0..{PIPS - 1} pips, not {fee_pips}")
        self.address = address
        self.token0 = token0
        self.token1 = token1
        self.fee_pips = fee_pips
        self.sqrt_price_x96 = sqrt_price_x96
        self.tick = tick
        self.liquidity = liquidity
        self.ticks = ticks
        self._table_down: StepTable | None = None
        self._table_up: StepTable | None = None

    @property
    def tick_spacing(self) -> int:
        return self.ticks.tick_spacing

    def at(self, *, sqrt_price_x96: int, tick: int, liquidity: int, ticks: TickMap | None = None) -> V3Pool:
        """The same pool at another state; the tick map is shared unless another is given."""
        return V3Pool(
            address=self.address,
            token0=self.token0,
            token1=self.token1,
            fee_pips=self.fee_pips,
            sqrt_price_x96=sqrt_price_x96,
            tick=tick,
            liquidity=liquidity,
            ticks=self.ticks if ticks is None else ticks,
        )

    def quote_exact_in(self, token_in: Address, amount_in: int) -> Quote:
        """Output as the contract rounds; PARTIAL past all liquidity, UNKNOWN past what is known."""
        if amount_in <= 0:
            return _NOTHING
        if token_in == self.token0:
            table = self._table_down or self.step_table(zero_for_one=True)
        else:
            table = self._table_up or self.step_table(zero_for_one=self.is_zero_for_one(token_in))
        return table.quote_exact_in(amount_in)

    def quote_exact_out(self, token_in: Address, amount_out: int) -> Quote:
        """Input the contract takes for `amount_out`; PARTIAL past all liquidity, UNKNOWN past what is known."""
        if amount_out <= 0:
            return _NOTHING
        return self.step_table(zero_for_one=self.is_zero_for_one(token_in)).quote_exact_out(amount_out)

    def curve(self, token_in: Address) -> None:
        """The curve has pieces."""
        return

    def piece(self, token_in: Address, amount_in: int) -> Piece:
        """The step of the curve that holds `amount_in`."""
        return self.step_table(zero_for_one=self.is_zero_for_one(token_in)).piece(amount_in)

    def marginal_price(self, token_in: Address) -> tuple[int, int]:
        """(numerator, denominator) of the price at size zero after fee; in a gap, where liquidity begins again."""
        if not self.liquidity:
            piece = self.piece(token_in, 0)
            return piece.a, piece.b
        squared = self.sqrt_price_x96 * self.sqrt_price_x96
        if self.is_zero_for_one(token_in):
            return squared * (PIPS - self.fee_pips), PIPS << 192
        return (PIPS - self.fee_pips) << 192, squared * PIPS

    def is_zero_for_one(self, token_in: Address) -> bool:
        """Direction of a swap that pays `token_in`; ValueError for a token that is not here."""
        if token_in == self.token0:
            return True
        if token_in == self.token1:
            return False
        raise ValueError(f"0x{token_in.hex()} is not a token of pool 0x{self.address.hex()}")

    def swap(self, *, zero_for_one: bool, amount_specified: int, sqrt_price_limit_x96: int) -> SwapResult:
        """The contract's loop: amount_specified > 0 is exact input, < 0 exact output.

        ValueError where the contract reverts before the loop (`AS`, `SPL`).
        """
        if not amount_specified:
            raise ValueError("AS: the amount is zero")
        price, tick, liquidity, limit = self.sqrt_price_x96, self.tick, self.liquidity, sqrt_price_limit_x96
        if not (MIN_SQRT_RATIO < limit < price if zero_for_one else price < limit < MAX_SQRT_RATIO):
            raise ValueError("SPL: the price limit is on the wrong side")
        is_exact_in = amount_specified > 0
        remaining = abs(amount_specified)
        calculated = crossed = 0
        completeness = Completeness.COMPLETE
        while remaining and price != limit:
            if not liquidity:
                gap = self._cross_gap(tick, limit, zero_for_one=zero_for_one)
                if gap is not None:
                    price, tick, completeness = gap if gap[0] else (price, tick, gap[2])
                    break
                next_tick = self.ticks.next_initialised(tick, zero_for_one=zero_for_one)
                assert next_tick is not None
                is_initialised = True
            else:
                stop = self.ticks.next_stop(tick, zero_for_one=zero_for_one)
                if stop is None:
                    completeness = Completeness.UNKNOWN
                    break
                next_tick, is_initialised = stop
            tick_price = sqrt_ratio_at_tick(next_tick)
            target = max(tick_price, limit) if zero_for_one else min(tick_price, limit)
            start = price
            if not liquidity:
                price = target
            elif is_exact_in:
                price, amount_in, amount_out, fee_amount = exact_in_step(
                    price, target, liquidity, remaining, self.fee_pips
                )
                remaining -= amount_in + fee_amount
                calculated += amount_out
            else:
                price, amount_in, amount_out, fee_amount = exact_out_step(
                    price, target, liquidity, remaining, self.fee_pips
                )
                remaining -= amount_out
                calculated += amount_in + fee_amount
            if price == tick_price:
                if is_initialised:
                    net = self.ticks.by_tick[next_tick].liquidity_net
                    if net is None:
                        completeness = Completeness.UNKNOWN
                        break
                    liquidity += -net if zero_for_one else net
                    crossed += 1
                tick = next_tick - 1 if zero_for_one else next_tick
            elif price != start:
                tick = tick_at_sqrt_ratio(price)
        if remaining and completeness is Completeness.COMPLETE:
            completeness = Completeness.PARTIAL
        moved = abs(amount_specified) - remaining
        amount_in, amount_out = (moved, calculated) if is_exact_in else (calculated, moved)
        amount0, amount1 = (amount_in, -amount_out) if zero_for_one else (-amount_out, amount_in)
        return SwapResult(amount0, amount1, price, liquidity, tick, crossed, completeness)

    def _cross_gap(self, tick: int, limit: int, *, zero_for_one: bool) -> tuple[int, int, Completeness] | None:
        """Where a swap without active liquidity ends: (price, tick, why), price 0 if unknown; None if a tick stops it.

        Word boundaries in a gap cost nothing, so only one detail of the contract's steps survives here: a price
        that ends on a boundary going down leaves the tick one below it.
        """
        far = self.ticks.next_initialised(tick, zero_for_one=zero_for_one)
        if far is not None:
            far_price = sqrt_ratio_at_tick(far)
            if far_price >= limit if zero_for_one else far_price <= limit:
                is_known = self.ticks.is_known_between(tick, far)
                return None if is_known else (0, tick, Completeness.UNKNOWN)
        limit_tick = tick_at_sqrt_ratio(limit)
        if not self.ticks.is_known_between(tick, limit_tick if zero_for_one else max(limit_tick, tick)):
            return 0, tick, Completeness.UNKNOWN
        at_boundary = limit_tick % (256 * self.tick_spacing) == 0 and sqrt_ratio_at_tick(limit_tick) == limit
        return limit, limit_tick - 1 if zero_for_one and at_boundary else limit_tick, Completeness.PARTIAL

    def step_table(self, *, zero_for_one: bool) -> StepTable:
        """The prefix table of one direction, built on first use."""
        table = self._table_down if zero_for_one else self._table_up
        if table is None:
            table = StepTable(
                self.ticks,
                sqrt_price_x96=self.sqrt_price_x96,
                tick=self.tick,
                liquidity=self.liquidity,
                fee_pips=self.fee_pips,
                zero_for_one=zero_for_one,
            )
            if zero_for_one:
                self._table_down = table
            else:
                self._table_up = table
        return table

    def apply(self, log: Log) -> V3Pool:
        """Swap sets price, tick and liquidity; Mint and Burn change ticks; no other event changes what quotes use.

        What the contract could not have written is a stranger's: nothing is known of the pool from then on.
        """
        if log.address != self.address or not log.topics:
            return self
        try:
            successor = self._after(log, log.topics[0])
        except (ValueError, IndexError):
            return self._unknown()
        return successor if is_possible(successor.sqrt_price_x96, successor.tick) else self._unknown()

    def _after(self, log: Log, topic: bytes) -> V3Pool:
        if topic in (V3_SWAP, PANCAKE_V3_SWAP):
            return self.at(
                sqrt_price_x96=unsigned(log.data, 2), liquidity=unsigned(log.data, 3), tick=signed(log.data, 4)
            )
        if topic == V3_MINT:
            return self._with_position(signed(log.topics[2], 0), signed(log.topics[3], 0), unsigned(log.data, 1))
        if topic == V3_BURN:
            return self._with_position(signed(log.topics[2], 0), signed(log.topics[3], 0), -unsigned(log.data, 0))
        if topic == V3_INITIALIZE:
            return self.at(sqrt_price_x96=unsigned(log.data, 0), tick=signed(log.data, 1), liquidity=0)
        return self

    def _unknown(self) -> V3Pool:
        ticks = TickMap({}, tick_spacing=self.tick_spacing, known_words=frozenset())
        return self.at(sqrt_price_x96=self.sqrt_price_x96, tick=self.tick, liquidity=0, ticks=ticks)

    def _with_position(self, tick_lower: int, tick_upper: int, delta: int) -> V3Pool:
        if not delta:
            return self  # a burn of nothing is how owners collect fees
        if not MIN_TICK <= tick_lower < tick_upper <= MAX_TICK:
            raise ValueError(f"no position spans the ticks {tick_lower} to {tick_upper}")
        is_active = tick_lower <= self.tick < tick_upper
        return self.at(
            sqrt_price_x96=self.sqrt_price_x96,
            tick=self.tick,
            liquidity=self.liquidity + delta if is_active else self.liquidity,
            ticks=self.ticks.with_liquidity(tick_lower, tick_upper, delta),
        )

    def inconsistency(self) -> str | None:
        """What contradicts itself in this state, or None.

        Where all words are known, liquidityNet up to the tick sums to the active liquidity, and all of it to 0.
        """
        if self.ticks.known_words is not None:
            return None
        nets = [(position, tick.liquidity_net) for position, tick in self.ticks.by_tick.items()]
        if any(net is None for _, net in nets):
            return None
        below = sum(net for position, net in nets if net is not None and position <= self.tick)
        total = sum(net for _, net in nets if net is not None)
        if below != self.liquidity:
            return f"liquidity is {self.liquidity}, the ticks at or below {self.tick} sum to {below}"
        return f"liquidityNet over all ticks sums to {total}, not 0" if total else None

    def __repr__(self) -> str:
        return f"V3Pool(0x{self.address.hex()}, {self.fee_pips} pips, tick {self.tick}, L {self.liquidity})"
