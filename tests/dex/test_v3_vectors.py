"""Every executed V3 swap of the vectors, by the loop and by the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.dex.pool import Completeness
from agent.dex.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import TickMap
from agent.eth.units import Address

TOKEN0 = Address(b"\x01" * 20)
TOKEN1 = Address(b"\x02" * 20)


@cache
def scenarios(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "dex" / "v3_swaps.json").read_text())["scenarios"]
    return rows


def pool_of(scenario: dict[str, Any]) -> V3Pool:
    ticks = [(tick, int(net)) for tick, net in scenario["ticks"]]
    return V3Pool(
        address=Address(bytes.fromhex(scenario["pool"][2:])),
        token0=TOKEN0,
        token1=TOKEN1,
        fee_pips=scenario["fee"],
        sqrt_price_x96=int(scenario["sqrtPriceX96"]),
        tick=scenario["tick"],
        liquidity=int(scenario["liquidity"]),
        ticks=TickMap.from_nets(ticks, tick_spacing=scenario["tickSpacing"]),
    )


def rows(folder: Path) -> Iterator[tuple[V3Pool, dict[str, Any]]]:
    for scenario in scenarios(folder):
        pool = pool_of(scenario)
        for swap in scenario["swaps"]:
            yield pool, swap


def test_every_scenario_state_is_consistent(vectors: Path) -> None:
    assert [pool_of(s).inconsistency() for s in scenarios(vectors)] == [None] * 28


def test_the_loop_moves_what_the_contract_moved(vectors: Path) -> None:
    checked = 0
    for pool, swap in rows(vectors):
        arguments = {
            "zero_for_one": swap["zeroForOne"],
            "amount_specified": int(swap["amountSpecified"]),
            "sqrt_price_limit_x96": int(swap["sqrtPriceLimitX96"]),
        }
        if "revert" in swap:
            with pytest.raises(ValueError, match=swap["revert"].split()[-1]):
                pool.swap(**arguments)
        else:
            got = pool.swap(**arguments)
            assert (got.amount0, got.amount1, got.sqrt_price_x96, got.liquidity, got.tick, got.crossed) == (
                int(swap["amount0"]),
                int(swap["amount1"]),
                int(swap["sqrtPriceX96"]),
                int(swap["liquidity"]),
                swap["tick"],
                swap["initializedTicksCrossed"],
            ), (pool, swap)
        checked += 1
    assert checked == 672


def test_the_tables_quote_what_the_contract_moved(vectors: Path) -> None:
    checked = 0
    for pool, swap in rows(vectors):
        zero_for_one = swap["zeroForOne"]
        limit = int(swap["sqrtPriceLimitX96"])
        amount = int(swap["amountSpecified"])
        if "revert" in swap:
            continue
        amount0, amount1 = int(swap["amount0"]), int(swap["amount1"])
        paid, got = (amount0, -amount1) if zero_for_one else (amount1, -amount0)
        is_filled = paid == amount if amount > 0 else got == -amount
        if not is_filled and limit not in (MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1):
            continue  # the swap's own limit ended it; quotes have none
        token_in = TOKEN0 if zero_for_one else TOKEN1
        quote = pool.quote_exact_in(token_in, amount) if amount > 0 else pool.quote_exact_out(token_in, -amount)
        assert (quote.amount_in, quote.amount_out) == (paid, got), (pool, swap)
        assert (quote.completeness is Completeness.COMPLETE) == is_filled
        checked += 1
    assert checked > 400
