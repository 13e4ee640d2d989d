"""The prices as the slice's users see them: one constant-product curve per pool, moved by events or by guesses.

For V2 the curve is the pool; for V3 it is the pool as long as the price stays in the present range, which is as much
as a user needs for a sane minimum. Nothing that is claimed or sent by the agent rests on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.devnet.slice.world import Slice, SlicePool
from agent.dex.events import V2_SYNC, V3_SWAP
from agent.eth.hexes import from_data, to_address
from agent.eth.units import Address

_PIPS = 1_000_000
_BPS = 10_000
_NANO = 10**9


class Market:
    """Virtual reserves of every pool by address, and the reference price of every token."""

    def __init__(self, world: Slice) -> None:
        self._reserves = {pool.address: (pool.virtual0, pool.virtual1) for pool in world.pools}
        self._confirmed = dict(self._reserves)
        self._unit: dict[Address, int] = {token.address: 10**token.decimals for token in world.tokens}
        self.price_nano_usd = {token.address: token.price_nano_usd for token in world.tokens}

    def reserves(self, pool: SlicePool, token_in: Address) -> tuple[int, int]:
        """(reserve of token_in, reserve of the other) of the pool's curve."""
        reserve0, reserve1 = self._reserves[pool.address]
        return (reserve0, reserve1) if token_in == pool.token0 else (reserve1, reserve0)

    def quote_floor(self, pool: SlicePool, token_in: Address, amount_in: int) -> int:
        """Output on the curve after the fee, rounded down."""
        reserve_in, reserve_out = self.reserves(pool, token_in)
        kept = amount_in * (_PIPS - pool.fee_pips)
        return kept * reserve_out // (reserve_in * _PIPS + kept)

    def guess_swap(self, pool: SlicePool, token_in: Address, amount_in: int) -> int:
        """Move the curve as the swap would, and return its output."""
        amount_out = self.quote_floor(pool, token_in, amount_in)
        reserve0, reserve1 = self._reserves[pool.address]
        if token_in == pool.token0:
            self._reserves[pool.address] = (reserve0 + amount_in, reserve1 - amount_out)
        else:
            self._reserves[pool.address] = (reserve0 - amount_out, reserve1 + amount_in)
        return amount_out

    def dearness_bps(self, pool: SlicePool) -> int:
        """How much dearer token0 is here than by reference prices, in basis points towards zero; negative: cheaper."""
        reserve0, reserve1 = self._reserves[pool.address]
        value0 = self._nano_usd(pool.token0, reserve0)
        value1 = self._nano_usd(pool.token1, reserve1)
        difference = abs(value1 - value0) * _BPS // value0
        return difference if value1 >= value0 else -difference

    def amount_of_usd(self, token: Address, usd: int) -> int:
        """Raw units worth `usd` whole dollars at the reference price, rounded down."""
        return usd * _NANO * self._unit[token] // self.price_nano_usd[token]

    def confirm(self, logs: Iterable[Mapping[str, Any]]) -> None:
        """Take a block's logs, as JSON-RPC shows them; guesses that the chain did not confirm are forgotten."""
        for log in logs:
            address = to_address(log["address"])
            topics = log["topics"]
            if address not in self._confirmed or not topics:
                continue
            kind, body = from_data(topics[0]), from_data(log["data"])
            if kind == V2_SYNC:
                self._confirmed[address] = (_word(body, 0), _word(body, 1))
            elif kind == V3_SWAP:
                sqrt_price_x96, liquidity = _word(body, 2), _word(body, 3)
                if liquidity:
                    self._confirmed[address] = ((liquidity << 96) // sqrt_price_x96, liquidity * sqrt_price_x96 >> 96)
        self._reserves = dict(self._confirmed)

    def _nano_usd(self, token: Address, amount: int) -> int:
        """Worth at the reference price in 1e-9 dollars, rounded down."""
        return amount * self.price_nano_usd[token] // self._unit[token]


def _word(body: bytes, index: int) -> int:
    return int.from_bytes(body[32 * index : 32 * index + 32], "big")
