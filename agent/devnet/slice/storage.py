"""Where the contracts of the slice keep their state: slots and packed words.

Layouts: v2-core `UniswapV2Pair.sol` and `UniswapV2Factory.sol`, v3-core `UniswapV3Pool.sol`, WETH9 and SliceToken,
as solc lays them out. A write is (slot, word), both integers of 256 bits.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from agent.eth.keccak import keccak256
from agent.eth.units import ZERO_ADDRESS, Address

Write: TypeAlias = tuple[int, int]

WETH9_BALANCE_SLOT = 3
WETH9_ALLOWANCE_SLOT = 4
V3_FACTORY_OWNER_SLOT = 3

_UINT128 = (1 << 128) - 1
_UINT256 = (1 << 256) - 1
_MINIMUM_LIQUIDITY = 1_000


class TickLiquidity(NamedTuple):
    """An initialised tick: what begins or ends there."""

    tick: int
    liquidity_gross: int
    liquidity_net: int


def mapping_slot(key: bytes, slot: int) -> int:
    """Slot of `mapping[key]`; addresses are padded on the left."""
    return int.from_bytes(keccak256(key.rjust(32, b"\0") + slot.to_bytes(32, "big")), "big")


def signed_mapping_slot(key: int, slot: int) -> int:
    """Slot of a mapping with a signed integer key."""
    return int.from_bytes(keccak256((key & _UINT256).to_bytes(32, "big") + slot.to_bytes(32, "big")), "big")


def allowance_slot(owner: Address, spender: Address, slot: int) -> int:
    """Slot of `allowance[owner][spender]`."""
    return mapping_slot(spender, mapping_slot(owner, slot))


def short_string(text: str) -> int:
    """The word of a string of at most 31 bytes: the bytes on the left, twice the length on the right."""
    raw = text.encode()
    if len(raw) > 31:
        raise ValueError(f"longer than one word: {text!r}")
    return int.from_bytes(raw.ljust(31, b"\0") + bytes((2 * len(raw),)), "big")


def v2_pair_identity(
    pair: Address, *, factory: Address, token0: Address, token1: Address, chain_id: int
) -> list[Write]:
    """What the constructor and `initialize` write, for a pair whose code is planted."""
    return [
        (3, _v2_domain_separator(pair, chain_id)),
        (5, _word(factory)),
        (6, _word(token0)),
        (7, _word(token1)),
        (12, 1),
    ]


def v2_pair_state(*, reserve0: int, reserve1: int, timestamp_s: int, liquidity: int, provider: Address) -> list[Write]:
    """Reserves, LP supply, and price accumulators as if the pair had been traded for long."""
    return [
        (0, liquidity),
        (mapping_slot(ZERO_ADDRESS, 1), _MINIMUM_LIQUIDITY),
        (mapping_slot(provider, 1), liquidity - _MINIMUM_LIQUIDITY),
        (8, reserve0 | reserve1 << 112 | (timestamp_s % 2**32) << 224),
        (9, (reserve1 << 112) // reserve0 * 1_000_000),
        (10, (reserve0 << 112) // reserve1 * 1_000_000),
    ]


def v2_factory_pairs(pairs: list[tuple[Address, Address, Address]]) -> list[Write]:
    """getPair and allPairs of a factory that knows (token0, token1, pair) in this order."""
    first = int.from_bytes(keccak256((3).to_bytes(32, "big")), "big")
    writes: list[Write] = [(3, len(pairs))]
    for index, (token0, token1, pair) in enumerate(pairs):
        writes += [
            (mapping_slot(token1, mapping_slot(token0, 2)), _word(pair)),
            (mapping_slot(token0, mapping_slot(token1, 2)), _word(pair)),
            (first + index, _word(pair)),
        ]
    return writes


def v3_pool_state(
    *, sqrt_price_x96: int, tick: int, liquidity: int, ticks: tuple[TickLiquidity, ...], tick_spacing: int
) -> list[Write]:
    """A pool that is initialised and unlocked, with one observation; fee growth is not zero, as in a used pool."""
    writes: list[Write] = [
        (0, sqrt_price_x96 | (tick & 0xFFFFFF) << 160 | 1 << 200 | 1 << 216 | 1 << 240),
        (1, 1 << 96),
        (2, 1 << 96),
        (4, liquidity),
        (8, 1 | 1 << 248),
    ]
    bitmap: dict[int, int] = {}
    for entry in ticks:
        base = signed_mapping_slot(entry.tick, 5)
        writes += [(base, entry.liquidity_gross | (entry.liquidity_net & _UINT128) << 128), (base + 3, 1 << 248)]
        compressed, rest = divmod(entry.tick, tick_spacing)
        if rest:
            raise ValueError(f"tick {entry.tick} is not a multiple of {tick_spacing}")
        bitmap[compressed >> 8] = bitmap.get(compressed >> 8, 0) | 1 << (compressed & 255)
    return writes + [(signed_mapping_slot(position, 6), word) for position, word in bitmap.items()]


def _v2_domain_separator(pair: Address, chain_id: int) -> int:
    kind = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    words = (kind, keccak256(b"Uniswap V2"), keccak256(b"1"), chain_id.to_bytes(32, "big"), pair.rjust(32, b"\0"))
    return int.from_bytes(keccak256(b"".join(words)), "big")


def _word(address: Address) -> int:
    return int.from_bytes(address, "big")
