"""The events that carry pool state: their topics, and the words of their data.

Signatures: v2-core `UniswapV2Pair.sol`; v3-core `interfaces/pool/IUniswapV3PoolEvents.sol`; Pancake V3 adds two
words to Swap and so has another topic.
"""

from __future__ import annotations

from agent.eth.keccak import keccak256

V2_SYNC = bytes(keccak256(b"Sync(uint112,uint112)"))
V2_SWAP = bytes(keccak256(b"Swap(address,uint256,uint256,uint256,uint256,address)"))
V3_INITIALIZE = bytes(keccak256(b"Initialize(uint160,int24)"))
V3_SWAP = bytes(keccak256(b"Swap(address,address,int256,int256,uint160,uint128,int24)"))
PANCAKE_V3_SWAP = bytes(keccak256(b"Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)"))
V3_MINT = bytes(keccak256(b"Mint(address,address,int24,int24,uint128,uint256,uint256)"))
V3_BURN = bytes(keccak256(b"Burn(address,int24,int24,uint128,uint256,uint256)"))


def unsigned(data: bytes, index: int) -> int:
    """Word `index` of ABI data as an unsigned integer; ValueError if the data ends before it."""
    word = data[32 * index : 32 * index + 32]
    if len(word) != 32:
        raise ValueError(f"event data has no word {index}: {len(data)} bytes")
    return int.from_bytes(word, "big")


def signed(data: bytes, index: int) -> int:
    """Word `index` of ABI data as a two's-complement integer; ValueError if the data ends before it."""
    value = unsigned(data, index)
    return value - (1 << 256) if value >> 255 else value
