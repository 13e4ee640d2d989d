"""The table of figures and the world made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.devnet.slice import describe, design
from agent.devnet.slice.design import design_slice
from agent.devnet.slice.figures import BASE_FEE_WEI, FIGURES_BLOCK, Chosen
from agent.dex.factories import proved_factory
from agent.errors import SetupError
from agent.eth.hexes import address_text, to_address

KNOWN_ADDRESSES = {
    ("uniswap-v2", "USDC", "WETH", 3000): "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc",
    ("uniswap-v2", "DAI", "WETH", 3000): "0xA478c2975Ab1Ea89e8196811F51A7B7Ade33eB11",
    ("uniswap-v2", "WETH", "USDT", 3000): "0x0d4a11d5EEaaC28EC3F61d100daF4d40471f1852",
    ("uniswap-v2", "WBTC", "WETH", 3000): "0xBb2b8038a1640196FbE3e38816F3e67Cba72D940",
    ("sushi", "USDC", "WETH", 3000): "0x397FF1542f962076d0BFE58eA045FfA2d347ACa0",
    ("uniswap-v3", "USDC", "WETH", 500): "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640",
    ("uniswap-v3", "USDC", "WETH", 3000): "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8",
    ("uniswap-v3", "WETH", "USDT", 500): "0x11b815efB8f581194ae79006d24E0d814B7697F6",
    ("uniswap-v3", "WBTC", "WETH", 3000): "0xCBCdF9626bC03E24f779434178A73a0B4bad62eD",
    ("uniswap-v3", "DAI", "USDC", 500): "0x6c6Bc977E13Df9b0de53b251522280BB72383700",
    ("uniswap-v3", "USDC", "USDT", 100): "0x3416cF6C708Da44DB2624D63ea0AAef7113527C6",
}


def test_there_are_enough_tokens_pools_protocols_and_fees() -> None:
    world = design_slice(1)
    assert len(world.tokens) >= 12
    assert len(world.pools) >= 40
    assert len({pool.address for pool in world.pools}) == len(world.pools)
    assert {pool.protocol for pool in world.pools} == {"uniswap-v2", "sushi", "uniswap-v3"}
    assert {pool.fee_pips for pool in world.pools if pool.kind == "v3"} == {100, 500, 3_000, 10_000}


def test_pools_lie_where_mainnet_has_them() -> None:
    world = design_slice(1)
    symbols = {token.address: token.symbol for token in world.tokens}
    found = {
        (pool.protocol, symbols[pool.token0], symbols[pool.token1], pool.fee_pips): address_text(pool.address)
        for pool in world.pools
    }
    assert {key: found.get(key) for key in KNOWN_ADDRESSES} == KNOWN_ADDRESSES


def test_every_pool_is_proved_by_a_factory_of_the_agent_itself() -> None:
    for pool in design_slice(1).pools:
        factory = proved_factory(
            pool.kind, pool.address, token0=pool.token0, token1=pool.token1, fee_pips=pool.fee_pips
        )
        assert factory is not None, address_text(pool.address)


def test_a_wrong_address_in_the_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Chosen("sushi", "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc", "WETH", "USDC", 3000, 0, 1_000_000)
    monkeypatch.setattr(design, "CHOSEN", (wrong,))
    with pytest.raises(SetupError, match="0x397FF1542f962076d0BFE58eA045FfA2d347ACa0"):
        design_slice(1)


def test_equal_seeds_give_equal_worlds_and_others_differ() -> None:
    assert design_slice(5) == design_slice(5)
    first, other = design_slice(5), design_slice(6)
    assert first.users != other.users
    assert [pool.virtual0 for pool in first.pools if not pool.is_measured] != [
        pool.virtual0 for pool in other.pools if not pool.is_measured
    ]
    assert [pool for pool in first.pools if pool.is_measured] == [pool for pool in other.pools if pool.is_measured]


def test_measured_figures_are_mainnets(mainnet: Path) -> None:
    figures = json.loads((mainnet / "figures.json").read_text())
    assert (figures["block"], int(figures["base_fee_next_wei"])) == (FIGURES_BLOCK, BASE_FEE_WEI)
    measured = {pool.address: pool for pool in design_slice(1).pools if pool.is_measured}
    assert measured.keys() == {to_address(row["address"]) for row in figures["pools"]}
    for row in figures["pools"]:
        pool = measured[to_address(row["address"])]
        assert (pool.token0, pool.token1) == (to_address(row["token0"]), to_address(row["token1"]))
        if row["kind"] == "v3":
            assert (pool.sqrt_price_x96, pool.liquidity, pool.fee_pips, pool.tick_spacing) == (
                int(row["sqrt_price_x96"]),
                int(row["liquidity"]),
                row["fee_pips"],
                row["tick_spacing"],
            )
        else:
            assert (pool.virtual0, pool.virtual1) == (int(row["reserve0"]), int(row["reserve1"]))


def test_prices_of_pools_stay_near_the_references_but_not_all_together() -> None:
    rows = describe(design_slice(1))
    assert all(abs(row.deviation_bps) < 200 for row in rows)
    assert sum(abs(row.deviation_bps) > 40 for row in rows) >= 5
    assert {row.source for row in rows} == {"mainnet", "chosen"}


def test_a_user_shows_no_key() -> None:
    user = design_slice(1).users[0]
    assert user.private_key.hex() not in repr(user)
