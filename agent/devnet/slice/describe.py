"""The slice as rows for a table: one per pool, sorted by pair, with how far each price is from the reference.

Prices are display text: US dollars and token amounts in decimals, never used to compute.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.devnet.slice.market import Market
from agent.devnet.slice.world import Slice
from agent.eth.hexes import address_text


class PoolRow(NamedTuple):
    """What a reader wants to know of a pool."""

    pair: str
    protocol: str
    fee_percent: str
    address: str
    price: str
    """Units of the second token for one of the first."""
    deviation_bps: int
    """How much dearer the first token is than by the tokens' reference prices."""
    depth_usd: int
    """Virtual reserve of the first token, at its reference price."""
    source: str
    """`mainnet` where price and depth are the figures', `chosen` where they are ours."""


def describe(world: Slice) -> list[PoolRow]:
    """Rows of the slice as it was planted."""
    market = Market(world)
    rows = []
    for pool in world.pools:
        first, second = world.token(pool.token0), world.token(pool.token1)
        # ten significant digits are plenty: the numerator carries them, rounded down
        scaled = pool.virtual1 * 10 ** (first.decimals + 12) // (pool.virtual0 * 10**second.decimals)
        depth_nano_usd = pool.virtual0 * first.price_nano_usd // 10**first.decimals
        rows.append(
            PoolRow(
                pair=f"{first.symbol}/{second.symbol}",
                protocol=pool.protocol,
                fee_percent=f"{pool.fee_pips / 10_000:g}",
                address=address_text(pool.address),
                price=f"{scaled // 10**12}.{scaled % 10**12:012d}",
                deviation_bps=market.dearness_bps(pool),
                depth_usd=depth_nano_usd // 10**9,
                source="mainnet" if pool.is_measured else "chosen",
            )
        )
    return sorted(rows, key=lambda row: (row.pair, row.protocol, row.fee_percent))
