"""Plays a plan on a pool set: the pools after it, exactly as the contracts leave them, or why it reverts.

Tokens are taken to be plain: what is sent arrives. A token that keeps a share, and tokens that lie in a pair beyond its
reserves, make the real outcome another one; execution sees them and this does not. Source of truth: v2-core
`UniswapV2Pair.sol`, v3-core `UniswapV3Pool.sol`, and the routers named in this package.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from agent.dex.factories import Factory, v2_pool_address, v3_pool_address
from agent.dex.pool import Completeness, Pool
from agent.dex.pool_set import PoolSet
from agent.dex.routers.book import Unread, refuse
from agent.dex.routers.plan import (
    ETHER,
    NotUnderstood,
    Payer,
    Plan,
    Pull,
    Send,
    SendShare,
    Step,
    Unwrap,
    V2Swap,
    V3Swap,
    Why,
    Wrap,
)
from agent.dex.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from agent.dex.v2 import MAX_RESERVE, V2Pool, amount_out_floor, router_amount_in
from agent.dex.v3 import V3Pool
from agent.eth.units import Address

_BPS = 10_000
_INT256_MAX = 2**255 - 1


class Reverts(msgspec.Struct, frozen=True):
    """The transaction reverts, and leaves every pool as it was."""

    detail: str


class _Revert(Exception):
    pass


def play(plan: Plan, pool_set: PoolSet) -> dict[Address, Pool] | Reverts | NotUnderstood:
    """The pools that the plan moves, as they are after it."""
    table = _Table(plan, pool_set)
    try:
        for step in plan.steps:
            table.take(step)
    except _Revert as revert:
        return Reverts(str(revert))
    except Unread as end:
        return end.verdict
    return table.moved


def same_state(a: Pool, b: Pool) -> bool:
    """Whether two values are one pool at one state: what a swap reads of it is equal to the last unit."""
    if isinstance(a, V2Pool) and isinstance(b, V2Pool):
        return (a.reserve0, a.reserve1) == (b.reserve0, b.reserve1)
    if isinstance(a, V3Pool) and isinstance(b, V3Pool):
        return (a.sqrt_price_x96, a.tick, a.liquidity) == (b.sqrt_price_x96, b.tick, b.liquidity) and (
            a.ticks is b.ticks or a.ticks.by_tick == b.ticks.by_tick
        )
    return a is b


@lru_cache(maxsize=65_536)
def _v2_address(factory: Factory, token_a: Address, token_b: Address) -> Address:
    return v2_pool_address(factory, min(token_a, token_b), max(token_a, token_b))


@lru_cache(maxsize=65_536)
def _v3_address(factory: Factory, token_a: Address, token_b: Address, fee_pips: int) -> Address:
    return v3_pool_address(factory, min(token_a, token_b), max(token_a, token_b), fee_pips)


class _Table:
    """The pools moved so far, and what the transaction has brought to whom."""

    __slots__ = ("_held", "_plan", "_pool_set", "moved")

    def __init__(self, plan: Plan, pool_set: PoolSet) -> None:
        self._plan = plan
        self._pool_set = pool_set
        self.moved: dict[Address, Pool] = {}
        self._held: dict[tuple[Address, Address], int] = {(plan.router, ETHER): plan.value_wei}

    def take(self, step: Step) -> None:
        """One step; shares round down."""
        weth = self._plan.weth
        match step:
            case V2Swap():
                self._v2(step)
            case V3Swap():
                self._v3(step)
            case Wrap():
                amount = self._of_router(ETHER) if step.amount is None else step.amount
                self._spend(ETHER, amount)
                self._give(step.recipient, weth, amount)
            case Unwrap():
                amount = self._of_router(weth)
                _require(amount >= step.least, "less WETH than asked for")
                self._spend(weth, amount)
                self._give(step.recipient, ETHER, amount)
            case Pull():
                self._give(step.recipient, step.token, step.amount)
            case Send():
                amount = self._of_router(step.token) if step.amount is None else step.amount
                _require(amount >= step.least, "less than asked for")
                self._spend(step.token, amount)
                self._give(step.recipient, step.token, amount)
            case SendShare():
                _require(0 < step.share_bps <= _BPS, "a share above all")
                amount = self._of_router(step.token) * step.share_bps // _BPS
                self._spend(step.token, amount)
                self._give(step.recipient, step.token, amount)

    # Balances

    def _of_router(self, token: Address) -> int:
        return self._held.get((self._plan.router, token), 0)

    def _give(self, holder: Address, token: Address, amount: int) -> None:
        self._held[holder, token] = self._held.get((holder, token), 0) + amount

    def _spend(self, token: Address, amount: int) -> None:
        left = self._of_router(token) - amount
        _require(left >= 0, "the router holds less")
        self._held[self._plan.router, token] = left

    # Pairs

    def _v2(self, swap: V2Swap) -> None:
        pairs = self._pairs(swap)
        amounts = self._amounts_in(swap, pairs) if not swap.is_exact_in else None
        if amounts is not None:
            _require(amounts[0] <= swap.limit_amount, "asks for more than allowed")
            paid = amounts[0]
        else:
            paid = self._of_router(swap.path[0]) if swap.amount is None else swap.amount or 0
        if swap.payer is Payer.ROUTER:
            self._spend(swap.path[0], paid)
        if swap.payer is not Payer.NOBODY:
            self._give(pairs[0].address, swap.path[0], paid)
        out = 0
        for position, pair in enumerate(pairs):
            is_last = position == len(pairs) - 1
            recipient = swap.recipient if is_last else pairs[position + 1].address
            wanted = amounts[position + 1] if amounts is not None and swap.is_fixed else None
            out = self._hop(pair, swap.path[position], swap.path[position + 1], wanted, recipient)
        if swap.is_exact_in:
            _require(out >= swap.limit_amount, "gives less than asked for")

    def _pairs(self, swap: V2Swap) -> list[V2Pool]:
        pairs = []
        for token_in, token_out in zip(swap.path, swap.path[1:], strict=False):
            address = _v2_address(swap.factory, token_in, token_out)
            pair = self._pool(address)
            if not isinstance(pair, V2Pool):
                refuse(Why.POOL_UNKNOWN, f"0x{address.hex()}")
            pairs.append(pair)
        if len({pair.address for pair in pairs}) < len(pairs):
            refuse(Why.REPEATED_POOL)
        return pairs

    def _amounts_in(self, swap: V2Swap, pairs: list[V2Pool]) -> list[int]:
        """What the library's getAmountsIn gives: each amount rounded up, from the wanted output backwards."""
        amounts = [swap.amount or 0]
        for pair, token_in in zip(reversed(pairs), reversed(swap.path[:-1]), strict=True):
            reserve_in, reserve_out = pair.reserves(token_in)
            _require(0 < amounts[0] < reserve_out and reserve_in > 0, "more than the pair holds")
            amounts.insert(0, router_amount_in(amounts[0], reserve_in, reserve_out, pair.fee_n, pair.fee_d))
        return amounts

    def _hop(self, pair: V2Pool, token_in: Address, token_out: Address, wanted: int | None, recipient: Address) -> int:
        """One pair's swap of all that lies in it; the output rounds down, `wanted` takes just so much."""
        if self._held.pop((pair.address, token_out), 0):
            refuse(Why.REPEATED_POOL, "the pair was paid on both sides")
        amount_in = self._held.pop((pair.address, token_in), 0)
        reserve_in, reserve_out = pair.reserves(token_in)
        _require(amount_in > 0 and reserve_in > 0 and reserve_out > 0, "nothing goes in")
        out = amount_out_floor(amount_in, reserve_in, reserve_out, pair.fee_n, pair.fee_d) if wanted is None else wanted
        _require(0 < out < reserve_out, "nothing comes out")
        _require(recipient not in (pair.token0, pair.token1), "sends to a token")
        after_in, after_out = reserve_in + amount_in, reserve_out - out
        _require(after_in <= MAX_RESERVE, "the reserve overflows")
        if token_in == pair.token0:
            self.moved[pair.address] = pair.with_reserves(reserve0=after_in, reserve1=after_out)
        else:
            self.moved[pair.address] = pair.with_reserves(reserve0=after_out, reserve1=after_in)
        self._give(recipient, token_out, out)
        return out

    # Concentrated liquidity

    def _v3(self, swap: V3Swap) -> None:
        hops = list(zip(swap.path, swap.path[1:], swap.fees_pips, strict=False))
        if swap.is_exact_in:
            paid, received = self._along(swap, hops)
        else:
            paid, received = self._back_along(swap, hops)
        if swap.payer is Payer.ROUTER:
            self._spend(swap.path[0], paid)
        self._give(swap.recipient, swap.path[-1], received)

    def _along(self, swap: V3Swap, hops: list[tuple[Address, Address, int]]) -> tuple[int, int]:
        """(paid, received) of an exact input: each output is the next input."""
        amount = self._of_router(swap.path[0]) if swap.amount is None else swap.amount
        paid = 0
        for position, (token_in, token_out, fee_pips) in enumerate(hops):
            taken, amount = self._swap(swap, token_in, token_out, fee_pips, amount)
            paid = paid if position else taken
        _require(amount >= swap.limit_amount, "gives less than asked for")
        return paid, amount

    def _back_along(self, swap: V3Swap, hops: list[tuple[Address, Address, int]]) -> tuple[int, int]:
        """(paid, received) of an exact output: the last pool first, each input is the output of the one before."""
        addresses = {_v3_address(swap.factory, *hop) for hop in hops}
        if len(addresses) < len(hops):
            refuse(Why.REPEATED_POOL)
        amount, received = swap.amount or 0, 0
        for token_in, token_out, fee_pips in reversed(hops):
            amount, given = self._swap(swap, token_in, token_out, fee_pips, -amount)
            received = received or given
        _require(amount <= swap.limit_amount, "asks for more than allowed")
        return amount, received

    def _swap(self, swap: V3Swap, token_in: Address, token_out: Address, fee_pips: int, amount: int) -> tuple[int, int]:
        """(in, out) of one pool; a negative amount is an exact output."""
        address = _v3_address(swap.factory, token_in, token_out, fee_pips)
        pool = self._pool(address)
        if not isinstance(pool, V3Pool):
            refuse(Why.POOL_UNKNOWN, f"0x{address.hex()}")
        _require(abs(amount) <= _INT256_MAX, "no such amount")
        zero_for_one = token_in < token_out
        limit = swap.sqrt_price_limit_x96 or (MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1)
        try:
            result = pool.swap(zero_for_one=zero_for_one, amount_specified=amount, sqrt_price_limit_x96=limit)
        except ValueError as error:
            raise _Revert(str(error)) from error
        if result.completeness is Completeness.UNKNOWN:
            refuse(Why.STATE_UNKNOWN, f"0x{address.hex()}")
        taken, given = (result.amount0, -result.amount1) if zero_for_one else (result.amount1, -result.amount0)
        _require(taken > 0, "nothing goes in")
        _require(amount > 0 or given == -amount or swap.sqrt_price_limit_x96 != 0, "the pool holds less")
        self.moved[address] = pool.at(
            sqrt_price_x96=result.sqrt_price_x96, tick=result.tick, liquidity=result.liquidity
        )
        return taken, given

    def _pool(self, address: Address) -> Pool | None:
        return self.moved.get(address) or self._pool_set.get(address)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Revert(otherwise)
