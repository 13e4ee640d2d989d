"""Which pools are among these contracts: ask every one, and believe only what its address proves.

Each contract is asked for the getters of the V2 and V3 pair interfaces. What answers like a pool is tied to a known
factory by CREATE2 where possible; then its fee follows from the code. Otherwise the record says that the fee is not
proved, and somebody has to prove it by a trade or by probing before it may be quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from agent.dex.factories import proved_factory
from agent.dex.pool import LeftOut
from agent.errors import ProtocolError
from agent.eth.hexes import from_data, to_data
from agent.eth.units import Address


class BatchRpc(Protocol):
    """What this module needs of a node."""

    async def batch(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]: ...


TOKEN0 = bytes.fromhex("0dfe1681")
TOKEN1 = bytes.fromhex("d21220a7")
GET_RESERVES = bytes.fromhex("0902f1ac")
SLOT0 = bytes.fromhex("3850c7bd")
LIQUIDITY = bytes.fromhex("1a686502")
FEE = bytes.fromhex("ddca3f43")
TICK_SPACING = bytes.fromhex("d0c93a7c")

_MAX_UINT112 = 2**112 - 1
_MAX_FEE_PIPS = 1_000_000
_MAX_TICK_SPACING = 16_384


class PoolRecord(msgspec.Struct, frozen=True):
    """A contract that answers like a pool. `fee_pips` is None where no code or getter tells it."""

    address: Address
    kind: str
    token0: Address
    token1: Address
    fee_pips: int | None
    tick_spacing: int | None
    protocol: str
    is_proved: bool
    """The factory's code, and with it the maths and the fee, is proved by the address."""


async def view(
    rpc: BatchRpc, calls: Sequence[tuple[Address, bytes]], *, sender: Address, block: str
) -> list[bytes | None]:
    """Return data of each `eth_call`; None where it reverts, answers nothing, or needs unknown state.

    `sender` must be known to the node: an archive refuses to guess even the balance of the zero address.
    """
    requests = [
        ("eth_call", [{"from": to_data(sender), "to": to_data(to), "input": to_data(data)}, block])
        for to, data in calls
    ]
    answers = await rpc.batch(requests)
    return [
        None if isinstance(answer, ProtocolError) or not answer else from_data(answer) or None for answer in answers
    ]


def _word(data: bytes | None, index: int = 0) -> int | None:
    if data is None or len(data) < 32 * (index + 1):
        return None
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _address(data: bytes | None) -> Address | None:
    value = _word(data)
    return None if not value or value >> 160 else Address(value.to_bytes(20, "big"))


async def identify(
    rpc: BatchRpc, contracts: Sequence[Address], *, sender: Address, block: str = "latest"
) -> tuple[list[PoolRecord], list[LeftOut]]:
    """Pool records among `contracts`, in address order, and those that look like pools but cannot be read."""
    contracts = sorted(contracts)
    tokens0 = await view(rpc, [(contract, TOKEN0) for contract in contracts], sender=sender, block=block)
    candidates = [contract for contract, token in zip(contracts, tokens0, strict=True) if _address(token)]
    getters = (TOKEN0, TOKEN1, GET_RESERVES, SLOT0, LIQUIDITY, FEE, TICK_SPACING)
    answers = await view(
        rpc, [(contract, getter) for contract in candidates for getter in getters], sender=sender, block=block
    )
    records: list[PoolRecord] = []
    left_out: list[LeftOut] = []
    for position, contract in enumerate(candidates):
        row = answers[position * len(getters) : (position + 1) * len(getters)]
        found = _record(contract, *row)
        if isinstance(found, PoolRecord):
            records.append(found)
        elif found is not None:
            left_out.append(found)
    return records, left_out


def _record(
    contract: Address,
    token0_data: bytes | None,
    token1_data: bytes | None,
    reserves: bytes | None,
    slot0: bytes | None,
    liquidity: bytes | None,
    fee_data: bytes | None,
    spacing_data: bytes | None,
) -> PoolRecord | LeftOut | None:
    token0, token1 = _address(token0_data), _address(token1_data)
    if token0 is None or token1 is None or token0 == token1:
        return LeftOut(contract, "unreadable", "token1() is missing, reverts or needs unknown state")
    reserve0, reserve1 = _word(reserves), _word(reserves, 1)
    if reserve0 is not None and reserve1 is not None:
        if max(reserve0, reserve1) > _MAX_UINT112:
            return LeftOut(contract, "not_v2", "reserves do not fit uint112")
        return _v2_record(contract, token0, token1)
    if _word(slot0, 1) is not None and _word(liquidity) is not None:
        return _v3_record(contract, token0, token1, _word(fee_data), _word(spacing_data))
    if slot0 is None and reserves is None:
        return LeftOut(contract, "unreadable", "neither getReserves() nor slot0() can be read on this state")
    return LeftOut(contract, "unreadable", "slot0() or liquidity() cannot be read on this state")


def _v2_record(contract: Address, token0: Address, token1: Address) -> PoolRecord:
    factory = proved_factory("v2", contract, token0=token0, token1=token1, fee_pips=None)
    return PoolRecord(
        contract,
        "v2",
        token0,
        token1,
        factory.fee_pips if factory else None,
        None,
        factory.protocol if factory else "unknown V2",
        factory is not None,
    )


def _v3_record(
    contract: Address, token0: Address, token1: Address, fee_pips: int | None, tick_spacing: int | None
) -> PoolRecord | LeftOut:
    if (
        fee_pips is None
        or fee_pips >= _MAX_FEE_PIPS
        or tick_spacing is None
        or not 0 < tick_spacing < _MAX_TICK_SPACING
    ):
        return LeftOut(contract, "unreadable", f"fee() {fee_pips}, tickSpacing() {tick_spacing}")
    factory = proved_factory("v3", contract, token0=token0, token1=token1, fee_pips=fee_pips)
    return PoolRecord(
        contract,
        "v3",
        token0,
        token1,
        fee_pips,
        tick_spacing,
        factory.protocol if factory else "unknown V3",
        factory is not None,
    )
