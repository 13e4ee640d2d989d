"""What the next block will charge: exact from the tip's header, and what others tip, from `eth_feeHistory`.

All amounts are wei per gas (or per blob gas). Source: EIP-1559, EIP-4844, the execution API. Tips of empty blocks say
nothing (nodes report 0 for them) and are left out of the medians.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agent.chain.client import Rpc
from agent.chain.headers import Header
from agent.errors import ProtocolError
from agent.eth.fees import blob_base_fee, next_base_fee, next_excess_blob_gas, worst_base_fee
from agent.eth.forks import BLOB_SCHEDULES, Fork
from agent.eth.hexes import from_quantity, to_quantity
from agent.eth.units import Gas, Wei

PERCENTILES = (10, 25, 50, 75, 90)
MAX_BLOCKS = 1_024
_METHOD = "eth_feeHistory"


class TipHistory(msgspec.Struct, frozen=True):
    """Priority fees over the last blocks, weighted by gas within each block."""

    percentiles: tuple[int, ...]
    tips_wei: tuple[int, ...]
    """For each percentile the median over the blocks that held transactions (the lower of two middle ones)."""
    blocks: int
    """How many blocks entered the medians; 0: `tips_wei` are all 0 and say nothing."""
    next_base_fee_wei: int
    """The node's word for the block after the newest; compare with `next_base_fee_of`."""


class _WireHistory(msgspec.Struct, frozen=True, rename="camel"):
    oldest_block: str
    base_fee_per_gas: tuple[str, ...]
    gas_used_ratio: tuple[float, ...]
    reward: tuple[tuple[str, ...], ...] = ()


_history: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_WireHistory)


def next_base_fee_of(header: Header) -> Wei:
    """The base fee that the child of this block must carry, by Ethereum's rule."""
    return next_base_fee(Wei(header.base_fee_wei), gas_used=Gas(header.gas_used), gas_limit=Gas(header.gas_limit))


def worst_base_fee_of(header: Header, *, blocks: int) -> Wei:
    """The highest base fee that the `blocks`-th block after this one can have: every block between is full."""
    if blocks < 1:
        raise ValueError(f"at least one block ahead, not {blocks}")
    return worst_base_fee(next_base_fee_of(header), gas_limit=Gas(header.gas_limit), blocks=blocks - 1)


def next_blob_base_fee_of(header: Header, *, child_fork: Fork) -> Wei | None:
    """The blob base fee of the child under the rules of its fork; None before Cancun."""
    if header.excess_blob_gas is None or header.blob_gas_used is None:
        return None
    excess = next_excess_blob_gas(
        excess_blob_gas=header.excess_blob_gas,
        blob_gas_used=header.blob_gas_used,
        parent_base_fee_wei=Wei(header.base_fee_wei),
        child_fork=child_fork,
    )
    return blob_base_fee(excess, BLOB_SCHEDULES[child_fork])


async def tip_history(
    rpc: Rpc, *, blocks: int = 20, percentiles: Sequence[int] = PERCENTILES, newest: str = "latest"
) -> TipHistory:
    """Tips of the last `blocks` blocks up to `newest` (a tag or hex number)."""
    if not 1 <= blocks <= MAX_BLOCKS or list(percentiles) != sorted(set(percentiles)):
        raise ValueError(f"1 to {MAX_BLOCKS} blocks and rising percentiles, not {blocks} and {percentiles}")
    wire: _WireHistory = await rpc.call(_METHOD, [to_quantity(blocks), newest, list(percentiles)], decoder=_history)
    try:
        return _tips(wire, tuple(percentiles))
    except ValueError as error:
        raise ProtocolError(f"not a fee history: {error}", peer=rpc.peer, method=_METHOD) from error


def _tips(wire: _WireHistory, percentiles: tuple[int, ...]) -> TipHistory:
    if len(wire.base_fee_per_gas) != len(wire.gas_used_ratio) + 1:
        raise ValueError(f"{len(wire.base_fee_per_gas)} base fees for {len(wire.gas_used_ratio)} blocks")
    rows = []
    for used, reward in zip(wire.gas_used_ratio, wire.reward, strict=True):
        if len(reward) != len(percentiles):
            raise ValueError(f"{len(reward)} rewards for {len(percentiles)} percentiles")
        if used > 0:
            rows.append(tuple(map(from_quantity, reward)))
    medians = tuple(sorted(column)[(len(column) - 1) // 2] for column in zip(*rows, strict=True))
    return TipHistory(
        percentiles=percentiles,
        tips_wei=medians or (0,) * len(percentiles),
        blocks=len(rows),
        next_base_fee_wei=from_quantity(wire.base_fee_per_gas[-1]),
    )
