"""Facts of mainnet that a devnet needs: the start tokens, and where they keep balances.

Balance slots are those of the deployed contracts' storage layouts (WETH9 `balanceOf` 3, FiatToken proxy 9,
TetherToken 2, Dai 2, WBTC 0); a devnet checks each by reading back what it planted.
"""

from __future__ import annotations

import msgspec

from agent.eth.units import Address


class StartToken(msgspec.Struct, frozen=True):
    """A token in which cycles may start. `balance_slot` is the base slot of its balance mapping."""

    address: Address
    symbol: str
    decimals: int
    balance_slot: int


def _row(address: str, symbol: str, decimals: int, balance_slot: int) -> StartToken:
    return StartToken(Address(bytes.fromhex(address)), symbol, decimals, balance_slot)


START_TOKENS: tuple[StartToken, ...] = (
    _row("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "WETH", 18, 3),
    _row("a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "USDC", 6, 9),
    _row("dac17f958d2ee523a2206206994597c13d831ec7", "USDT", 6, 2),
    _row("6b175474e89094c44da98b954eedeac495271d0f", "DAI", 18, 2),
    _row("2260fac5e5542a773aa44fbcfedf7c193bc2c599", "WBTC", 8, 0),
)
"""In order of preference: a cycle starts in the first of these that it holds."""

WETH = START_TOKENS[0].address
