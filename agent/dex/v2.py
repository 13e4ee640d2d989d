"""Constant-product pools: Uniswap V2 and every fork with the same K check, whatever its fee.

Amounts are raw token units; the fee is in pips (millionths of the input). Source of truth: v2-core
`UniswapV2Pair.sol` swap (the K check) and v2-periphery `UniswapV2Library.sol` (getAmountOut, getAmountIn).
With one input the K check is the same inequality as the quote, so the floored quote is the largest accepted output
and the ceiled one the smallest accepted input.
"""

from __future__ import annotations

from math import gcd
from typing import Final

from agent.dex.events import V2_SYNC, unsigned
from agent.dex.pool import Completeness, Log, Piece, Quote
from agent.eth.units import Address

PIPS = 1_000_000
MAX_RESERVE = 2**112 - 1

_COMPLETE = Completeness.COMPLETE
_PARTIAL = Completeness.PARTIAL
_EMPTY_CURVE = (0, 1, 0)
_SYNC_BYTES = 64
# Making a named tuple through its own constructor takes twice as long.
_quote = tuple.__new__


def amount_out_floor(amount_in: int, reserve_in: int, reserve_out: int, fee_n: int, fee_d: int) -> int:
    """Largest output the K check accepts for `amount_in`; the fee keeps fee_n / fee_d of the input. Rounds down."""
    kept = amount_in * fee_n
    return kept * reserve_out // (reserve_in * fee_d + kept)


def amount_in_ceil(amount_out: int, reserve_in: int, reserve_out: int, fee_n: int, fee_d: int) -> int:
    """Smallest input the K check accepts for `amount_out` < reserve_out. Rounds up."""
    return -(-reserve_in * amount_out * fee_d // ((reserve_out - amount_out) * fee_n))


def router_amount_in(amount_out: int, reserve_in: int, reserve_out: int, fee_n: int, fee_d: int) -> int:
    """What the router asks for: floor + 1, one unit above the minimum exactly when the division has no remainder."""
    return reserve_in * amount_out * fee_d // ((reserve_out - amount_out) * fee_n) + 1


def is_accepted(
    *,
    amount0_in: int,
    amount1_in: int,
    balance0: int,
    balance1: int,
    reserve0: int,
    reserve1: int,
    fee_n: int,
    fee_d: int,
) -> bool:
    """The pair's K check on balances after the swap, with the fee taken from each input."""
    taken = fee_d - fee_n
    adjusted0 = balance0 * fee_d - amount0_in * taken
    adjusted1 = balance1 * fee_d - amount1_in * taken
    return adjusted0 * adjusted1 >= reserve0 * reserve1 * fee_d * fee_d


class V2Pool:
    """One pair at one state. Immutable; `apply` returns the successor."""

    __slots__ = ("address", "fee_d", "fee_n", "fee_pips", "reserve0", "reserve1", "token0", "token1")

    kind: Final = "v2"
    address: Address
    token0: Address
    token1: Address
    fee_pips: int
    fee_n: int
    fee_d: int
    reserve0: int
    reserve1: int

    def __init__(
        self, *, address: Address, token0: Address, token1: Address, fee_pips: int, reserve0: int, reserve1: int
    ) -> None:
        if not 0 <= fee_pips < PIPS:
            raise ValueError(f"a V2 fee is in 0..{PIPS - 1} pips, not {fee_pips}")
        self.address = address
        self.token0 = token0
        self.token1 = token1
        self.fee_pips = fee_pips
        common = gcd(PIPS - fee_pips, PIPS)
        self.fee_n = (PIPS - fee_pips) // common
        self.fee_d = PIPS // common
        self.reserve0 = reserve0
        self.reserve1 = reserve1

    def with_reserves(self, *, reserve0: int, reserve1: int) -> V2Pool:
        """The same pair at other reserves."""
        successor = V2Pool.__new__(V2Pool)
        successor.address = self.address
        successor.token0 = self.token0
        successor.token1 = self.token1
        successor.fee_pips = self.fee_pips
        successor.fee_n = self.fee_n
        successor.fee_d = self.fee_d
        successor.reserve0 = reserve0
        successor.reserve1 = reserve1
        return successor

    def reserves(self, token_in: Address) -> tuple[int, int]:
        """(reserve of token_in, reserve of the other token); ValueError for a token that is not here."""
        if token_in == self.token0:
            return self.reserve0, self.reserve1
        if token_in == self.token1:
            return self.reserve1, self.reserve0
        raise _not_here(self, token_in)

    def quote_exact_in(self, token_in: Address, amount_in: int) -> Quote:
        """Largest accepted output, floored. PARTIAL where the input would overflow the pair's 112-bit reserve."""
        if token_in == self.token0:
            reserve_in, reserve_out = self.reserve0, self.reserve1
        elif token_in == self.token1:
            reserve_in, reserve_out = self.reserve1, self.reserve0
        else:
            raise _not_here(self, token_in)
        if amount_in > 0 and reserve_in and (reserve_in + amount_in <= MAX_RESERVE or reserve_in > MAX_RESERVE):
            kept = amount_in * self.fee_n
            amount_out = kept * reserve_out // (reserve_in * self.fee_d + kept)
            return _quote(Quote, (amount_in, amount_out, _COMPLETE, 0))
        if amount_in <= 0:
            return Quote(0, 0, _COMPLETE, 0)
        if not reserve_in or reserve_in >= MAX_RESERVE:
            return Quote(0, 0, _PARTIAL, 0)
        return self.quote_exact_in(token_in, MAX_RESERVE - reserve_in)._replace(completeness=_PARTIAL)

    def quote_exact_out(self, token_in: Address, amount_out: int) -> Quote:
        """Smallest accepted input, ceiled. PARTIAL where the pair cannot pay that much."""
        reserve_in, reserve_out = self.reserves(token_in)
        if amount_out <= 0:
            return Quote(0, 0, _COMPLETE, 0)
        if amount_out < reserve_out and reserve_in:
            amount_in = -(-reserve_in * amount_out * self.fee_d // ((reserve_out - amount_out) * self.fee_n))
            if reserve_in + amount_in <= MAX_RESERVE or reserve_in > MAX_RESERVE:
                return Quote(amount_in, amount_out, _COMPLETE, 0)
        return self.quote_exact_in(token_in, MAX_RESERVE)._replace(completeness=_PARTIAL)

    def marginal_price(self, token_in: Address) -> tuple[int, int]:
        """(numerator, denominator) of the price at size zero after fee; nothing where a side is empty."""
        reserve_in, reserve_out = self.reserves(token_in)
        if not reserve_in:
            return 0, 1
        return reserve_out * self.fee_n, reserve_in * self.fee_d

    def curve(self, token_in: Address) -> tuple[int, int, int] | None:
        """The whole curve as out(x) = a x / (b + c x); the 112-bit limit of reserves is left to the quote."""
        fee_n = self.fee_n
        if not self.reserve0 or not self.reserve1:
            return _EMPTY_CURVE  # a rug pull may leave one side empty: nothing comes out, either way
        if token_in == self.token0:
            return self.reserve1 * fee_n, self.reserve0 * self.fee_d, fee_n
        if token_in == self.token1:
            return self.reserve0 * fee_n, self.reserve1 * self.fee_d, fee_n
        raise _not_here(self, token_in)

    def piece(self, token_in: Address, amount_in: int) -> Piece:
        """The whole curve is one piece, up to the 112-bit reserve."""
        reserve_in, reserve_out = self.reserves(token_in)
        end_in = MAX_RESERVE - reserve_in if reserve_in <= MAX_RESERVE else None
        if not reserve_in or not reserve_out or (end_in is not None and amount_in >= end_in):
            top = self.quote_exact_in(token_in, MAX_RESERVE)
            return Piece(top.amount_in, top.amount_out, None, 0, 1, 0, _PARTIAL, 0, 0)
        return Piece(0, 0, end_in, reserve_out * self.fee_n, reserve_in * self.fee_d, self.fee_n, _COMPLETE, 0, 0)

    def apply(self, log: Log) -> V2Pool:
        """Sync carries the complete state; every other event leaves the pair as it is.

        A Sync that the contract could not have written is a stranger's: the pair is empty from then on.
        """
        if log.address != self.address or not log.topics or log.topics[0] != V2_SYNC:
            return self
        if len(log.data) < _SYNC_BYTES:
            return self.with_reserves(reserve0=0, reserve1=0)
        return self.with_reserves(reserve0=unsigned(log.data, 0), reserve1=unsigned(log.data, 1))

    def __repr__(self) -> str:
        return f"V2Pool(0x{self.address.hex()}, {self.fee_pips} pips, {self.reserve0}/{self.reserve1})"


def _not_here(pool: V2Pool, token: Address) -> ValueError:
    return ValueError(f"0x{token.hex()} is not a token of pool 0x{pool.address.hex()}")
