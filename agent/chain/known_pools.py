"""Pools of mainnet that are worth asking for without a search: the most traded tokens, paired with each other.

Nothing is listed but tokens and factories: a pool's address follows from both by CREATE2, and with it its maths and its
fee are proved before the node is asked anything. Which of them exist, the node says.
Sources: token contracts as their issuers publish them; fee tiers and tick spacings as the factories enabled them
(UniswapV3Factory and PancakeV3Factory, `feeAmountTickSpacing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec

from agent.chain.client import Rpc
from agent.chain.discovery import PoolRecord
from agent.chain.jsonrpc import RpcError
from agent.dex.factories import FACTORIES, v2_pool_address, v3_pool_address
from agent.errors import ProtocolError
from agent.eth.hexes import to_data
from agent.eth.units import Address

MAINNET = 1
_UNISWAP_TIERS = {100: 1, 500: 10, 3_000: 60, 10_000: 200}
_TICK_SPACINGS = {
    "UniswapV3": _UNISWAP_TIERS,
    "SushiV3": _UNISWAP_TIERS,
    "PancakeV3": {100: 1, 500: 10, 2_500: 50, 10_000: 200},
}


class KnownToken(msgspec.Struct, frozen=True):
    """A token with the words and the decimals that its contract gives."""

    address: Address
    symbol: str
    decimals: int


def _row(address: str, symbol: str, decimals: int) -> KnownToken:
    return KnownToken(Address(bytes.fromhex(address)), symbol, decimals)


KNOWN_TOKENS: tuple[KnownToken, ...] = (
    _row("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "WETH", 18),
    _row("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "USDC", 6),
    _row("dac17f958d2ee523a2206206994597c13d831ec7", "USDT", 6),
    _row("6b175474e89094c44da98b954eedeac495271d0f", "DAI", 18),
    _row("2260fac5e5542a773aa44fbcfedf7c193bc2c599", "WBTC", 8),
    _row("cbb7c0000ab88b473b1f5afd9ef808440eed33bf", "cbBTC", 8),
    _row("18084fba666a33d37592fa2633fd49a74dd93a88", "tBTC", 18),
    _row("1abaea1f7c830bd89acc67ec4af516284b1bc33c", "EURC", 6),
    _row("68749665ff8d2d112fa859aa293f07a622782f38", "XAUt", 6),
    _row("514910771af9ca656af840dff83e8264ecf986ca", "LINK", 18),
    _row("9d39a5de30e57443bff2a8307a4256c8797a3497", "sUSDe", 18),
    _row("e0f63a424a4439cbe457d80e4f4b51ad25b2c56c", "SPX", 8),
    _row("faba6f8e4a5e8ab82f62fe7c39859fa577269be3", "ONDO", 18),
)


KNOWN_ADDRESSES: tuple[Address, ...] = tuple(row.address for row in KNOWN_TOKENS)


def known_pools(tokens: Sequence[Address] = KNOWN_ADDRESSES) -> list[PoolRecord]:
    """Where every factory would have put every pair of these tokens, at every fee."""
    records = []
    for token0, token1 in combinations(sorted(tokens), 2):
        for factory in FACTORIES:
            if factory.kind == "v2":
                address = v2_pool_address(factory, token0, token1)
                records.append(
                    PoolRecord(address, "v2", token0, token1, factory.fee_pips, None, factory.protocol, True)
                )
                continue
            for fee_pips, spacing in _TICK_SPACINGS[factory.protocol].items():
                address = v3_pool_address(factory, token0, token1, fee_pips)
                records.append(PoolRecord(address, "v3", token0, token1, fee_pips, spacing, factory.protocol, True))
    return records


async def existing_pools(rpc: Rpc, records: Sequence[PoolRecord], *, block: str) -> list[PoolRecord]:
    """Those at whose address the node has code. ProtocolError where it cannot say."""
    answers = await rpc.batch([("eth_getCode", [to_data(record.address), block]) for record in records])
    found = []
    for record, answer in zip(records, answers, strict=True):
        if isinstance(answer, RpcError):
            raise answer
        if not isinstance(answer, str):
            raise ProtocolError(f"not code: {str(answer)[:40]}", peer=rpc.peer, method="eth_getCode")
        if len(answer) > len("0x"):
            found.append(record)
    return found
