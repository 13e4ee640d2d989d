"""Factories whose pools are known by address alone: CREATE2 ties a pool to its code, and the code to its maths.

An address is keccak256(0xff ‖ deployer ‖ salt ‖ init code hash)[12:] (EIP-1014); V2 style salts are
keccak256(token0 ‖ token1), V3 style salts keccak256(abi.encode(token0, token1, fee)). Init code hashes: Uniswap's and
Pancake's from their npm packages, the others as their routers carry them. A pool that matches none is not wrong, but
its fee has to be proved by a trade or by probing.
"""

from __future__ import annotations

import msgspec

from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32


class Factory(msgspec.Struct, frozen=True):
    """One deployer of pools. `fee_pips` is None where each pool's key carries its fee."""

    protocol: str
    kind: str
    deployer: Address
    init_code_hash: Hash32
    fee_pips: int | None


def _row(protocol: str, kind: str, deployer: str, init_code_hash: str, fee_pips: int | None) -> Factory:
    return Factory(protocol, kind, Address(bytes.fromhex(deployer)), Hash32(bytes.fromhex(init_code_hash)), fee_pips)


FACTORIES: tuple[Factory, ...] = (
    _row(
        "UniswapV2",
        "v2",
        "5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f",
        "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f",
        3000,
    ),
    _row(
        "SushiSwap",
        "v2",
        "c0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac",
        "e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303",
        3000,
    ),
    _row(
        "ShibaSwap",
        "v2",
        "115934131916c8b277dd010ee02de363c09d037c",
        "65d1a3b1e46c6e4f1be1ad5f99ef14dc488ae0549dc97db9b30afe2241ce1c7a",
        3000,
    ),
    _row(
        "PancakeV2",
        "v2",
        "1097053fd2ea711dad45caccc45eff7548fcb362",
        "57224589c67f3f30a6b0d7a1b54cf3153ab84563bc609ef41dfb34f8b2974d2d",
        2500,
    ),
    _row(
        "UniswapV3",
        "v3",
        "1f98431c8ad98523631ae4a59f267346ea31f984",
        "e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
        None,
    ),
    _row(
        "SushiV3",
        "v3",
        "baceb8ec6b9355dfc0269c18bac9d6e2bdc29c4f",
        "e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
        None,
    ),
    _row(
        "PancakeV3",
        "v3",
        "41ff9aa7e16b8b1a8a8dc4f0efacd93d02d071c9",
        "6ce8eb472fa82df5469c6ab6d485f17c3ad13c8cd7af59b3d4a8026c5ce0f7e2",
        None,
    ),
)


def create2_address(deployer: Address, salt: bytes, init_code_hash: Hash32) -> Address:
    """Where CREATE2 puts a contract (EIP-1014)."""
    return Address(keccak256(b"\xff" + deployer + salt + init_code_hash)[12:])


def v2_pool_address(factory: Factory, token0: Address, token1: Address) -> Address:
    """Pair address; the tokens must be in the pair's own order."""
    return create2_address(factory.deployer, keccak256(token0 + token1), factory.init_code_hash)


def v3_pool_address(factory: Factory, token0: Address, token1: Address, fee_pips: int) -> Address:
    """Pool address; the tokens must be in the pool's own order."""
    salt = keccak256(token0.rjust(32, b"\0") + token1.rjust(32, b"\0") + fee_pips.to_bytes(32, "big"))
    return create2_address(factory.deployer, salt, factory.init_code_hash)


def proved_factory(
    kind: str, pool: Address, *, token0: Address, token1: Address, fee_pips: int | None
) -> Factory | None:
    """The factory that provably deployed `pool`, or None. `fee_pips` is the V3 key's, ignored for V2."""
    for factory in FACTORIES:
        if factory.kind != kind:
            continue
        if kind == "v2":
            expected = v2_pool_address(factory, token0, token1)
        elif fee_pips is None:
            continue
        else:
            expected = v3_pool_address(factory, token0, token1, fee_pips)
        if expected == pool:
            return factory
    return None
