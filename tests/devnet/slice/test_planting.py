"""The planted slice, asked through its own contracts."""

from __future__ import annotations

import pytest

from agent.chain.pools import load_pools
from agent.devnet.anvil import Anvil
from agent.devnet.slice import (
    ANVIL_FLAGS,
    BASE_FEE_WEI,
    CHAIN_ID,
    CONTRACTS,
    GAS_LIMIT,
    HARDFORK,
    Traffic,
    build_slice,
    pool_records,
)
from agent.devnet.slice.artefacts import WETH9_CODE_HASH
from agent.devnet.slice.figures import FIGURES_BLOCK, FIGURES_TIMESTAMP_S
from agent.devnet.slice.market import Market
from agent.devnet.slice.planting import SETUP_BLOCKS
from agent.devnet.slice.world import V3_FACTORY_OWNER
from agent.dex.factories import FACTORIES
from agent.dex.pool import StateName
from agent.dex.pool_set import PoolSet
from agent.errors import SetupError
from agent.eth.hexes import address_text, from_data, from_quantity
from agent.eth.keccak import keccak256
from agent.strategies.arb.cycles import index_cycles
from agent.strategies.arb.search import find_opportunities
from tests.devnet.slice.conftest import Planted

pytestmark = pytest.mark.anvil


def word(answer: bytes, index: int = 0) -> int:
    return int.from_bytes(answer[32 * index : 32 * index + 32], "big")


async def test_factories_and_routers_know_the_pools_and_each_other(planted: Planted) -> None:
    world, contracts = planted.world, planted.world.contracts
    for pool in world.pools:
        if pool.kind == "v3":
            found = await planted.view(
                contracts.v3_factory, "getPool(address,address,uint24)", pool.token1, pool.token0, pool.fee_pips
            )
            factory = contracts.v3_factory
        else:
            factory = contracts.sushi_factory if pool.protocol == "sushi" else contracts.v2_factory
            found = await planted.view(factory, "getPair(address,address)", pool.token1, pool.token0)
        assert found[12:] == pool.address
        assert (await planted.view(pool.address, "factory()"))[12:] == factory
        assert (await planted.view(pool.address, "token0()"))[12:] == pool.token0
        assert (await planted.view(pool.address, "token1()"))[12:] == pool.token1
    sushi_count = sum(pool.protocol == "sushi" for pool in world.pools)
    assert word(await planted.view(contracts.sushi_factory, "allPairsLength()")) == sushi_count
    last = [pool.address for pool in world.pools if pool.protocol == "sushi"][-1]
    found = await planted.view(contracts.sushi_factory, "allPairs(uint256)", sushi_count - 1)
    assert found[12:] == last
    for router, getter, factory in (
        (contracts.v2_router, "factory()", contracts.v2_factory),
        (contracts.sushi_router, "factory()", contracts.sushi_factory),
        (contracts.v3_router, "factory()", contracts.v3_factory),
        (contracts.v2_router, "WETH()", contracts.weth),
        (contracts.sushi_router, "WETH()", contracts.weth),
        (contracts.v3_router, "WETH9()", contracts.weth),
    ):
        assert (await planted.view(router, getter))[12:] == factory
    assert (await planted.view(contracts.v3_factory, "owner()"))[12:] == V3_FACTORY_OWNER


async def test_weth_has_mainnets_code_and_is_backed_to_the_wei(planted: Planted) -> None:
    weth = planted.world.contracts.weth
    code = from_data(await planted.anvil.call("eth_getCode", address_text(weth), "latest"))
    assert keccak256(code).hex() == WETH9_CODE_HASH
    held = from_quantity(await planted.anvil.call("eth_getBalance", address_text(weth), "latest"))
    owners = [pool.address for pool in planted.world.pools] + [user.address for user in planted.world.users]
    balances = [word(await planted.view(weth, "balanceOf(address)", owner)) for owner in owners]
    assert held == sum(balances) > 0


async def test_tokens_tell_their_names_decimals_and_supply(planted: Planted) -> None:
    owners = [pool.address for pool in planted.world.pools] + [user.address for user in planted.world.users]
    for token in planted.world.tokens:
        assert word(await planted.view(token.address, "decimals()")) == token.decimals
        symbol = await planted.view(token.address, "symbol()")
        assert symbol[64 : 64 + word(symbol, 1)].decode() == token.symbol
        if token.symbol in ("USDC", "SPX"):
            balances = [word(await planted.view(token.address, "balanceOf(address)", owner)) for owner in owners]
            assert word(await planted.view(token.address, "totalSupply()")) == sum(balances)


async def test_pair_domain_separators_and_accumulators_are_those_of_used_pairs(planted: Planted) -> None:
    for pool in planted.world.pools:
        if pool.kind == "v2":
            kind = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
            body = kind + keccak256(b"Uniswap V2") + keccak256(b"1") + CHAIN_ID.to_bytes(32, "big")
            expected = keccak256(body + pool.address.rjust(32, b"\0"))
            assert await planted.view(pool.address, "DOMAIN_SEPARATOR()") == expected
            assert word(await planted.view(pool.address, "price0CumulativeLast()")) > 0


async def test_v2_quotes_of_the_routers_equal_the_users_curve(planted: Planted) -> None:
    market = Market(planted.world)
    for pool in planted.world.pools:
        if pool.kind == "v2":
            contracts = planted.world.contracts
            router = contracts.sushi_router if pool.protocol == "sushi" else contracts.v2_router
            amount_in = planted.world.token(pool.token0).amount_of_usd(5_000)
            quoted = await planted.view(
                router, "getAmountsOut(uint256,address[])", amount_in, 64, 2, pool.token0, pool.token1
            )
            assert word(quoted, 3) == market.quote_floor(pool, pool.token0, amount_in)


async def test_v3_quotes_of_the_quoter_are_sane(planted: Planted) -> None:
    market = Market(planted.world)
    signature = "quoteExactInputSingle((address,address,uint256,uint24,uint160))"
    for pool in planted.world.pools:
        if pool.kind == "v3":
            for token_in, token_out in ((pool.token0, pool.token1), (pool.token1, pool.token0)):
                amount_in = planted.world.token(token_in).amount_of_usd(1_000)
                quoted = word(
                    await planted.view(
                        planted.world.contracts.quoter_v2,
                        signature,
                        token_in,
                        token_out,
                        amount_in,
                        pool.fee_pips,
                        0,
                    )
                )
                expected = market.quote_floor(pool, token_in, amount_in)
                one_unit_in = expected // amount_in + 1  # the contract takes its fee in whole units
                assert abs(quoted - expected) <= expected // 1_000_000 + one_unit_in + 1


async def test_every_pool_loads_with_books_that_add_up(planted: Planted) -> None:
    pools, left_out = await load_pools(
        planted.anvil.rpc, pool_records(planted.world), sender=planted.world.users[0].address
    )
    assert left_out == []
    assert [pool.address for pool in pools] == [pool.address for pool in planted.world.pools]


async def test_some_cycles_are_open_at_the_start(planted: Planted) -> None:
    """Two-hop cycles from WETH alone: several pay more than a transaction costs, most are closed."""
    pools, _ = await load_pools(planted.anvil.rpc, pool_records(planted.world), sender=planted.world.users[0].address)
    pool_set = PoolSet(pools)
    index = index_cycles(pool_set, start_tokens=(planted.world.contracts.weth,), max_hops=2)
    found = find_opportunities(
        pool_set,
        index,
        touched=None,
        state=StateName(keccak256(b"head"), None),
        block_number=1,
        after_transaction=None,
        before=None,
    )
    cost_wei = 200_000 * BASE_FEE_WEI
    assert sum(item.gross_amount > 3 * cost_wei for item in found) >= 4
    assert len(found) < len(index.cycles) // 2


async def test_the_head_is_the_figures_block_and_the_next_base_fee_mainnets(planted: Planted) -> None:
    head = await planted.anvil.call("eth_getBlockByNumber", "latest", False)
    assert from_quantity(head["number"]) == FIGURES_BLOCK
    assert from_quantity(head["timestamp"]) == FIGURES_TIMESTAMP_S
    assert from_quantity(head["gasLimit"]) == GAS_LIMIT
    await planted.anvil.call("evm_mine")
    first = await planted.anvil.call("eth_getBlockByNumber", "latest", False)
    assert from_quantity(first["baseFeePerGas"]) == BASE_FEE_WEI


async def test_the_same_seed_gives_the_same_blocks() -> None:
    hashes = []
    for seed in (3, 3, 4):
        async with await Anvil.start(
            hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=CHAIN_ID, extra_flags=ANVIL_FLAGS
        ) as anvil:
            planted = Planted(anvil, await build_slice(anvil, seed))
            traffic = Traffic(planted.world, seed)
            for _ in range(2):
                await planted.mine_slot(traffic)
            hashes.append((await anvil.call("eth_getBlockByNumber", "latest", False))["hash"])
    assert hashes[0] == hashes[1] != hashes[2]


async def test_the_slice_needs_no_flags() -> None:
    async with await Anvil.start(hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=CHAIN_ID) as anvil:
        await build_slice(anvil, 1)
        assert from_quantity(await anvil.call("eth_blockNumber")) == SETUP_BLOCKS


async def test_a_chain_that_is_not_empty_is_refused(planted: Planted) -> None:
    with pytest.raises(SetupError, match="already holds"):
        await build_slice(planted.anvil, 1)


async def test_another_chain_id_is_refused() -> None:
    async with await Anvil.start(hardfork=HARDFORK, gas_limit=GAS_LIMIT, chain_id=31_337) as anvil:
        with pytest.raises(SetupError, match="31337"):
            await build_slice(anvil, 1)


def test_the_agents_factories_are_those_of_the_slice() -> None:
    deployers = {factory.deployer for factory in FACTORIES}
    assert {CONTRACTS.v2_factory, CONTRACTS.sushi_factory, CONTRACTS.v3_factory} <= deployers
