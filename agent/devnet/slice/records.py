"""The slice's pools as the chain layer names them, so that their state is read from the node like any other's."""

from __future__ import annotations

from agent.chain.discovery import PoolRecord
from agent.devnet.slice.figures import SUSHI, UNISWAP_V2, UNISWAP_V3
from agent.devnet.slice.world import Slice

_PROTOCOL_NAMES = {UNISWAP_V2: "UniswapV2", SUSHI: "SushiSwap", UNISWAP_V3: "UniswapV3"}


def pool_records(world: Slice) -> list[PoolRecord]:
    """One record per pool, in the slice's order; each is proved by its address."""
    return [
        PoolRecord(
            address=pool.address,
            kind=pool.kind,
            token0=pool.token0,
            token1=pool.token1,
            fee_pips=pool.fee_pips,
            tick_spacing=pool.tick_spacing or None,
            protocol=_PROTOCOL_NAMES[pool.protocol],
            is_proved=True,
        )
        for pool in world.pools
    ]
