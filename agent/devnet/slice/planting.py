"""Puts the slice into an empty anvil: contracts at their mainnet addresses, state written slot by slot.

A contract is planted without knowing its deployer: its creation code is put at the target and called there, so that
immutables and `address(this)` come out right; once as `eth_call`, whose answer is the runtime code, and once as a
transaction, whose storage writes stay; then the runtime code replaces it. Uniswap's pools are made by the factories
themselves. Sushi's are not: its package holds no code, so Uniswap's pair is planted at Sushi's addresses and the
factory's table is written. Nothing here asks a clock: block times follow the chain's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from agent.devnet.anvil import Anvil
from agent.devnet.slice import artefacts
from agent.devnet.slice.artefacts import creation_code
from agent.devnet.slice.balances import balance_writes
from agent.devnet.slice.design import design_slice
from agent.devnet.slice.figures import FIGURES_BLOCK, FIGURES_TIMESTAMP_S, SUSHI, UNISWAP_V2, UNISWAP_V3
from agent.devnet.slice.liquidity import ranges_around
from agent.devnet.slice.storage import (
    V3_FACTORY_OWNER_SLOT,
    Write,
    v2_factory_pairs,
    v2_pair_identity,
    v2_pair_state,
    v3_pool_state,
)
from agent.devnet.slice.token_code import RUNTIME as TOKEN_RUNTIME
from agent.devnet.slice.world import CONTRACTS, V3_FACTORY_OWNER, Slice
from agent.dex.tick_math import tick_at_sqrt_ratio
from agent.errors import SetupError
from agent.eth.hexes import address_text, from_data, from_quantity, to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import SLOT_S, WEI_PER_ETHER, Address

SETUP_BLOCKS = 4
ANVIL_FLAGS = (
    "--number",
    str(FIGURES_BLOCK - SETUP_BLOCKS),
    "--timestamp",
    str(FIGURES_TIMESTAMP_S - SETUP_BLOCKS * SLOT_S),
)
"""Anvil's extra flags with which the planted head has the number and time of the figures' block, and blocks of equal
content have equal hashes. Without them the slice works as well, from block 0 and the present time."""
HEAD_BASE_FEE_WEI = 173_660_915
"""After this, with no gas used, EIP-1559 gives `BASE_FEE_WEI` for the first block of the run."""
LIQUIDITY_PROVIDER = Address(keccak256(b"slice liquidity provider")[12:])

_PLANTER = Address(keccak256(b"slice planter")[12:])
_CREATE_PAIR = keccak256(b"createPair(address,address)")[:4]
_CREATE_POOL = keccak256(b"createPool(address,address,uint24)")[:4]
_ENABLE_FEE = keccak256(b"enableFeeAmount(uint24,int24)")[:4]
_GAS_CONSTRUCTOR = 8_000_000
_GAS_CREATE = 6_000_000
_USER_ETHER = 1_000


async def build_slice(anvil: Anvil, seed: int) -> Slice:
    """Plant the slice in a fresh anvil and return it; its head is then a block that holds everything.

    Start anvil with `chain_id=CHAIN_ID, gas_limit=GAS_LIMIT` and `ANVIL_FLAGS`. SetupError if it is not empty or of
    another chain, if an npm package is missing or of another version, or if a pool is not where mainnet has it.
    """
    world = design_slice(seed)
    await _require_empty_chain(anvil, world.chain_id)
    await anvil.call("anvil_setBalance", address_text(_PLANTER), to_quantity(1_000_000 * WEI_PER_ETHER))
    await anvil.call("anvil_impersonateAccount", address_text(_PLANTER))
    await anvil.call("evm_setBlockGasLimit", to_quantity(2**32))
    await _plant_contracts(anvil)
    await _make_pools(anvil, world)
    await _write_state(anvil, world)
    await anvil.call("anvil_stopImpersonatingAccount", address_text(_PLANTER))
    await anvil.call("anvil_setBalance", address_text(_PLANTER), "0x0")
    await anvil.call("evm_setBlockGasLimit", to_quantity(world.gas_limit))
    await anvil.call("anvil_setNextBlockBaseFeePerGas", to_quantity(HEAD_BASE_FEE_WEI))
    await _mine(anvil)
    return world


async def _require_empty_chain(anvil: Anvil, chain_id: int) -> None:
    found, height, code = await asyncio.gather(
        anvil.call("eth_chainId"),
        anvil.call("eth_blockNumber"),
        anvil.call("eth_getCode", address_text(CONTRACTS.weth), "latest"),
    )
    if from_quantity(found) != chain_id:
        raise SetupError(
            f"the slice needs chain id {chain_id}, this anvil has {from_quantity(found)}", code="E_CHAIN_ID"
        )
    if code != "0x":
        raise SetupError(f"this anvil already holds contracts at block {from_quantity(height)}", code="E_SLICE_EXISTS")


async def _plant_contracts(anvil: Anvil) -> None:
    c = CONTRACTS
    by_constructor = {
        c.v2_factory: creation_code(artefacts.V2_FACTORY, _PLANTER),
        c.sushi_factory: creation_code(artefacts.V2_FACTORY, _PLANTER),
        c.v2_router: creation_code(artefacts.V2_ROUTER, c.v2_factory, c.weth),
        c.sushi_router: artefacts.sushi_router_creation_code(c.sushi_factory, c.weth),
        c.v3_factory: creation_code(artefacts.V3_FACTORY),
        c.v3_router: creation_code(artefacts.V3_ROUTER, c.v3_factory, c.weth),
        c.quoter_v2: creation_code(artefacts.QUOTER_V2, c.v3_factory, c.weth),
        c.tick_lens: creation_code(artefacts.TICK_LENS),
    }
    await _set_codes(anvil, by_constructor.items())
    runtimes = await asyncio.gather(
        *(
            anvil.call("eth_call", {"to": address_text(target), "data": "0x", "gas": to_quantity(10**8)}, "latest")
            for target in by_constructor
        )
    )
    await _transact(anvil, [(target, b"") for target in by_constructor], gas=_GAS_CONSTRUCTOR)
    await _set_codes(anvil, zip(by_constructor, map(from_data, runtimes), strict=True))
    await _transact(anvil, [(c.v3_factory, _ENABLE_FEE + _words(100, 1))], gas=_GAS_CREATE)


async def _make_pools(anvil: Anvil, world: Slice) -> None:
    pair_runtime = artefacts.v2_pair_runtime()
    planted: list[tuple[Address, bytes]] = [(world.contracts.weth, artefacts.weth9_runtime())]
    planted += [(token.address, TOKEN_RUNTIME) for token in world.tokens if token.address != world.contracts.weth]
    planted += [(pool.address, pair_runtime) for pool in world.pools if pool.protocol == SUSHI]
    await _set_codes(anvil, planted)
    calls: list[tuple[Address, bytes]] = []
    for pool in world.pools:
        tokens = pool.token0.rjust(32, b"\0") + pool.token1.rjust(32, b"\0")
        if pool.protocol == UNISWAP_V2:
            calls.append((world.contracts.v2_factory, _CREATE_PAIR + tokens))
        elif pool.protocol == UNISWAP_V3:
            calls.append((world.contracts.v3_factory, _CREATE_POOL + tokens + _words(pool.fee_pips)))
    await _transact(anvil, calls, gas=_GAS_CREATE)
    codes = await asyncio.gather(
        *(anvil.call("eth_getCode", address_text(pool.address), "latest") for pool in world.pools)
    )
    for pool, code in zip(world.pools, codes, strict=True):
        if code == "0x":
            raise SetupError(
                f"the {pool.protocol} factory did not put a pool at {address_text(pool.address)}", code="E_SLICE_POOL"
            )


async def _write_state(anvil: Anvil, world: Slice) -> None:
    head = await anvil.call("eth_getBlockByNumber", "latest", False)
    timestamp_s = from_quantity(head["timestamp"])
    writes: list[tuple[Address, list[Write]]] = [
        (world.contracts.v2_factory, [(1, int.from_bytes(V3_FACTORY_OWNER, "big"))]),
        (world.contracts.v3_factory, [(V3_FACTORY_OWNER_SLOT, int.from_bytes(V3_FACTORY_OWNER, "big"))]),
    ]
    holdings: dict[tuple[Address, Address], int] = {}
    sushi: list[tuple[Address, Address, Address]] = []
    for pool in world.pools:
        if pool.protocol == UNISWAP_V3:
            tick = tick_at_sqrt_ratio(pool.sqrt_price_x96)
            ranges = ranges_around(
                sqrt_price_x96=pool.sqrt_price_x96,
                tick=tick,
                liquidity=pool.liquidity,
                tick_spacing=pool.tick_spacing,
            )
            state = v3_pool_state(
                sqrt_price_x96=pool.sqrt_price_x96,
                tick=tick,
                liquidity=pool.liquidity,
                ticks=ranges.ticks,
                tick_spacing=pool.tick_spacing,
            )
            balance0, balance1 = ranges.balance0, ranges.balance1
        else:
            state = v2_pair_state(
                reserve0=pool.virtual0,
                reserve1=pool.virtual1,
                timestamp_s=timestamp_s,
                liquidity=pool.liquidity,
                provider=LIQUIDITY_PROVIDER,
            )
            balance0, balance1 = pool.virtual0, pool.virtual1
        if pool.protocol == SUSHI:
            sushi.append((pool.token0, pool.token1, pool.address))
            state += v2_pair_identity(
                pool.address,
                factory=world.contracts.sushi_factory,
                token0=pool.token0,
                token1=pool.token1,
                chain_id=world.chain_id,
            )
        writes.append((pool.address, state))
        holdings[pool.token0, pool.address] = balance0
        holdings[pool.token1, pool.address] = balance1
    writes.append((world.contracts.sushi_factory, v2_factory_pairs(sushi)))
    token_writes, weth_backing_wei = balance_writes(world, holdings)
    writes += token_writes
    await _set_storage(anvil, writes)
    await asyncio.gather(
        anvil.call("anvil_setBalance", address_text(world.contracts.weth), to_quantity(weth_backing_wei)),
        *(
            anvil.call("anvil_setBalance", address_text(user.address), to_quantity(_USER_ETHER * WEI_PER_ETHER))
            for user in world.users
        ),
    )


async def _set_codes(anvil: Anvil, codes: Iterable[tuple[Address, bytes]]) -> None:
    await asyncio.gather(*(anvil.call("anvil_setCode", address_text(target), to_data(code)) for target, code in codes))


async def _set_storage(anvil: Anvil, writes: list[tuple[Address, list[Write]]]) -> None:
    waiting = [
        anvil.call("anvil_setStorageAt", text, f"0x{slot:064x}", f"0x{word:064x}")
        for text, slots in ((address_text(address), slots) for address, slots in writes)
        for slot, word in slots
    ]
    await asyncio.gather(*waiting)


async def _transact(anvil: Anvil, calls: list[tuple[Address, bytes]], *, gas: int) -> None:
    """Send each call from the planter in order, mine them into one block, and require that all succeed."""
    nonce = from_quantity(await anvil.call("eth_getTransactionCount", address_text(_PLANTER), "latest"))
    hashes = []
    for target, payload in calls:
        transaction = {
            "from": address_text(_PLANTER),
            "to": address_text(target),
            "data": to_data(payload),
            "gas": to_quantity(gas),
            "gasPrice": to_quantity(2 * 10**9),
            "nonce": to_quantity(nonce),
        }
        hashes.append(await anvil.call("eth_sendTransaction", transaction))
        nonce += 1
    await _mine(anvil)
    receipts: list[Any] = await asyncio.gather(*(anvil.call("eth_getTransactionReceipt", name) for name in hashes))
    for (target, _), receipt in zip(calls, receipts, strict=True):
        if receipt is None or from_quantity(receipt["status"]) != 1:
            raise SetupError(
                f"a call to {address_text(target)} failed while the slice was planted", code="E_SLICE_CALL"
            )


async def _mine(anvil: Anvil) -> None:
    head = await anvil.call("eth_getBlockByNumber", "latest", False)
    await anvil.call("evm_mine", to_quantity(from_quantity(head["timestamp"]) + SLOT_S))


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)
