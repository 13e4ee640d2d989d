"""What the slice is, once built: tokens, pools, contracts and the users who trade there."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from agent.devnet.slice.figures import GAS_LIMIT, UNISWAP_V3
from agent.eth.units import Address

CHAIN_ID = 1
HARDFORK = "osaka"
USER_COUNT = 64


class SliceToken(msgspec.Struct, frozen=True):
    """A token at its mainnet address. `price_nano_usd` is the reference price of one whole token in 1e-9 dollars."""

    address: Address
    symbol: str
    name: str
    decimals: int
    price_nano_usd: int
    walk_bps: int

    def amount_of_usd(self, usd: int) -> int:
        """Raw units worth `usd` whole dollars at the reference price, rounded down."""
        return usd * 10**9 * int(10**self.decimals) // self.price_nano_usd


class SlicePool(msgspec.Struct, frozen=True):
    """A pool and the state it was given.

    `virtual0` and `virtual1` are the reserves of the constant-product curve on which the pool trades at its price:
    for V2 the reserves, for V3 ⌊L·2⁹⁶/√P⌋ and ⌊L·√P/2⁹⁶⌋.
    """

    address: Address
    protocol: str
    token0: Address
    token1: Address
    fee_pips: int
    tick_spacing: int
    """0 for V2."""
    is_measured: bool
    """True: price and liquidity in range are mainnet's at the figures' block; False: chosen by us."""
    virtual0: int
    virtual1: int
    sqrt_price_x96: int
    """0 for V2."""
    liquidity: int
    """In range, for V3; √(reserve0·reserve1) rounded down for V2."""

    @property
    def kind(self) -> str:
        return "v3" if self.protocol == UNISWAP_V3 else "v2"


class SliceUser(msgspec.Struct, frozen=True):
    """An ordinary trader: a throw-away key made from the seed, worthless anywhere else."""

    address: Address
    private_key: bytes

    def __repr__(self) -> str:
        return f"SliceUser({self.address.hex()})"


class Contracts(NamedTuple):
    """Everything planted that is neither token nor pool, at mainnet's addresses."""

    weth: Address
    v2_factory: Address
    v2_router: Address
    sushi_factory: Address
    sushi_router: Address
    v3_factory: Address
    v3_router: Address
    quoter_v2: Address
    tick_lens: Address


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text))


CONTRACTS = Contracts(
    weth=_address("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
    v2_factory=_address("5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f"),
    v2_router=_address("7a250d5630b4cf539739df2c5dacb4c659f2488d"),
    sushi_factory=_address("c0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac"),
    sushi_router=_address("d9e1ce17f2641f24ae83637ab66a2cca9c378b9f"),
    v3_factory=_address("1f98431c8ad98523631ae4a59f267346ea31f984"),
    v3_router=_address("e592427a0aece92de3edee1f18e0157c05861564"),
    quoter_v2=_address("61ffe014ba17989e743c5f6cb21bf9697530b21e"),
    tick_lens=_address("bfd8137f7d1516d3ea5ca83523914859ec47f573"),
)

V3_FACTORY_OWNER = _address("1a9c8182c09f50c8318d769245bea52c32be35bc")


class Slice(msgspec.Struct, frozen=True):
    """The whole world. Equal seeds give equal values."""

    seed: int
    contracts: Contracts
    tokens: tuple[SliceToken, ...]
    pools: tuple[SlicePool, ...]
    users: tuple[SliceUser, ...]
    chain_id: int = CHAIN_ID
    gas_limit: int = GAS_LIMIT

    def token(self, address: Address) -> SliceToken:
        """The token at an address; KeyError when there is none."""
        for token in self.tokens:
            if token.address == address:
                return token
        raise KeyError(address.hex())

    def token_of_symbol(self, symbol: str) -> SliceToken:
        """The token of that name; KeyError when there is none."""
        for token in self.tokens:
            if token.symbol == symbol:
                return token
        raise KeyError(symbol)
