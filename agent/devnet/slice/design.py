"""From the table of figures to the world that will be planted: pure, and the same for the same seed.

Measured pools take their state as it is. A chosen pool takes its price from the tokens' reference prices, its
own deviation, and up to `JITTER_BPS` that the seed decides. Amounts are raw token units, rounded down.
"""

from __future__ import annotations

import random
from math import isqrt

from agent.devnet.slice.artefacts import SUSHI_PAIR_HASH, V2_PAIR, V3_POOL
from agent.devnet.slice.figures import (
    CHOSEN,
    MEASURED,
    SUSHI,
    TICK_SPACING_BY_FEE_PIPS,
    TOKENS,
    UNISWAP_V2,
    UNISWAP_V3,
    Chosen,
    MeasuredV2,
    MeasuredV3,
)
from agent.devnet.slice.world import CONTRACTS, USER_COUNT, Slice, SlicePool, SliceToken, SliceUser
from agent.errors import SetupError
from agent.eth.hexes import address_text, to_address
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer
from agent.eth.units import Address

JITTER_BPS = 6
_BPS = 10_000
_V2_FEE_PIPS = 3_000


def design_slice(seed: int) -> Slice:
    """The slice for a seed. SetupError if an address of the table is not the one that its factory gives."""
    tokens = {
        figure.symbol: SliceToken(
            to_address(figure.address),
            figure.symbol,
            figure.name,
            figure.decimals,
            figure.price_nano_usd,
            figure.walk_bps,
        )
        for figure in TOKENS
    }
    dice = random.Random(f"slice figures {seed}")
    pools = [_measured(figure, tokens) for figure in MEASURED]
    pools += [_chosen(figure, tokens, dice.randint(-JITTER_BPS, JITTER_BPS)) for figure in CHOSEN]
    for pool in pools:
        _check_address(pool)
    users = []
    for index in range(USER_COUNT):
        key = bytes(keccak256(f"slice user {seed} {index}".encode()))
        users.append(SliceUser(Signer(key).address, key))
    return Slice(seed, CONTRACTS, tuple(tokens.values()), tuple(pools), tuple(users))


def pool_address(protocol: str, token0: Address, token1: Address, fee_pips: int) -> Address:
    """Where CREATE2 of the protocol's factory puts a pool (EIP-1014); tokens in the pool's own order."""
    if protocol == UNISWAP_V3:
        deployer, code_hash = CONTRACTS.v3_factory, bytes.fromhex(V3_POOL.code_hash)
        salt = keccak256(token0.rjust(32, b"\0") + token1.rjust(32, b"\0") + fee_pips.to_bytes(32, "big"))
    elif protocol == SUSHI:
        deployer, code_hash, salt = CONTRACTS.sushi_factory, SUSHI_PAIR_HASH, keccak256(token0 + token1)
    else:
        deployer, code_hash = CONTRACTS.v2_factory, bytes.fromhex(V2_PAIR.code_hash)
        salt = keccak256(token0 + token1)
    return Address(keccak256(b"\xff" + deployer + salt + code_hash)[12:])


def _measured(figure: MeasuredV3 | MeasuredV2, tokens: dict[str, SliceToken]) -> SlicePool:
    token0, token1 = tokens[figure.token_a].address, tokens[figure.token_b].address
    address = to_address(figure.address)
    if isinstance(figure, MeasuredV2):
        return _v2_pool(UNISWAP_V2, address, token0, token1, figure.reserve0, figure.reserve1, is_measured=True)
    return _v3_pool(address, token0, token1, figure.fee_pips, figure.sqrt_price_x96, figure.liquidity, is_measured=True)


def _chosen(figure: Chosen, tokens: dict[str, SliceToken], jitter_bps: int) -> SlicePool:
    dear, other = tokens[figure.token_a], tokens[figure.token_b]
    amount_dear = dear.amount_of_usd(figure.depth_usd)
    amount_other = other.amount_of_usd(figure.depth_usd) * (_BPS + figure.deviation_bps + jitter_bps) // _BPS
    if dear.address < other.address:
        token0, token1, virtual0, virtual1 = dear.address, other.address, amount_dear, amount_other
    else:
        token0, token1, virtual0, virtual1 = other.address, dear.address, amount_other, amount_dear
    address = to_address(figure.address)
    if figure.protocol != UNISWAP_V3:
        return _v2_pool(figure.protocol, address, token0, token1, virtual0, virtual1, is_measured=False)
    sqrt_price_x96 = isqrt((virtual1 << 192) // virtual0)
    liquidity = isqrt(virtual0 * virtual1)
    return _v3_pool(address, token0, token1, figure.fee_pips, sqrt_price_x96, liquidity, is_measured=False)


def _v2_pool(
    protocol: str,
    address: Address,
    token0: Address,
    token1: Address,
    reserve0: int,
    reserve1: int,
    *,
    is_measured: bool,
) -> SlicePool:
    return SlicePool(
        address=address,
        protocol=protocol,
        token0=token0,
        token1=token1,
        fee_pips=_V2_FEE_PIPS,
        tick_spacing=0,
        is_measured=is_measured,
        virtual0=reserve0,
        virtual1=reserve1,
        sqrt_price_x96=0,
        liquidity=isqrt(reserve0 * reserve1),
    )


def _v3_pool(
    address: Address,
    token0: Address,
    token1: Address,
    fee_pips: int,
    sqrt_price_x96: int,
    liquidity: int,
    *,
    is_measured: bool,
) -> SlicePool:
    return SlicePool(
        address=address,
        protocol=UNISWAP_V3,
        token0=token0,
        token1=token1,
        fee_pips=fee_pips,
        tick_spacing=TICK_SPACING_BY_FEE_PIPS[fee_pips],
        is_measured=is_measured,
        virtual0=(liquidity << 96) // sqrt_price_x96,
        virtual1=liquidity * sqrt_price_x96 >> 96,
        sqrt_price_x96=sqrt_price_x96,
        liquidity=liquidity,
    )


def _check_address(pool: SlicePool) -> None:
    expected = pool_address(pool.protocol, pool.token0, pool.token1, pool.fee_pips)
    if pool.token0 >= pool.token1 or pool.address != expected:
        raise SetupError(
            f"the slice's table puts a {pool.protocol} pool at {address_text(pool.address)}; "
            f"its factory would put it at {address_text(expected)}",
            code="E_SLICE_TABLE",
        )
