"""Swaps that the main network executed, from their pre-states: to the wei."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from agent.dex.pool import Completeness
from agent.dex.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from agent.dex.v2 import V2Pool, is_accepted
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import TickMap
from agent.eth.hexes import to_address


def rows(mainnet: Path, kind: str) -> list[dict[str, Any]]:
    with gzip.open(mainnet / "vectors" / "swaps.json.gz") as packed:
        return [row for row in json.load(packed) if row["kind"] == kind]


def test_v3_swaps_reproduce_in_every_field(mainnet: Path) -> None:
    found = rows(mainnet, "v3")
    assert len(found) == 84
    for row in found:
        pool = V3Pool(
            address=to_address(row["pool"]),
            token0=to_address(row["token0"]),
            token1=to_address(row["token1"]),
            fee_pips=row["fee"],
            sqrt_price_x96=int(row["sqrt_before"]),
            tick=row["tick_before"],
            liquidity=int(row["liquidity_before"]),
            ticks=TickMap.from_nets([(t, int(net)) for t, net in row["crossed"]], tick_spacing=row["tick_spacing"]),
        )
        amount0, amount1 = int(row["amount0"]), int(row["amount1"])
        zero_for_one = amount0 > 0
        limit = MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
        paid, got = (amount0, -amount1) if zero_for_one else (amount1, -amount0)
        if row["mode"] == "limit":
            amount, limit = 2**200, int(row["sqrt_after"])
        else:
            amount = paid if row["mode"] == "exact_in" else -got
        moved = pool.swap(zero_for_one=zero_for_one, amount_specified=amount, sqrt_price_limit_x96=limit)
        assert moved[:5] == (
            amount0,
            amount1,
            int(row["sqrt_after"]),
            int(row["liquidity_after"]),
            row["tick_after"],
        ), row
        assert moved.crossed == len(row["crossed"]), row
        if row["mode"] != "limit":
            token_in = pool.token0 if zero_for_one else pool.token1
            quote = (
                pool.quote_exact_in(token_in, paid)
                if row["mode"] == "exact_in"
                else pool.quote_exact_out(token_in, got)
            )
            assert quote == (paid, got, Completeness.COMPLETE, len(row["crossed"])), row


def test_v2_swaps_reproduce_and_the_others_stay_within_k(mainnet: Path) -> None:
    exact = within = 0
    for row in rows(mainnet, "v2"):
        ins = (int(row["amount0_in"]), int(row["amount1_in"]))
        outs = (int(row["amount0_out"]), int(row["amount1_out"]))
        if row["exact_fee_bps"]:
            exact += 1
            for fee_bps in row["exact_fee_bps"]:
                pool = pair(row, fee_bps)
                token_in = pool.token0 if ins[0] else pool.token1
                assert pool.quote_exact_in(token_in, max(ins))[:2] == (max(ins), max(outs)), row
        else:
            within += 1
            pool = pair(row, row["max_fee_bps"])
            balances = [pool.reserve0 + ins[0] - outs[0], pool.reserve1 + ins[1] - outs[1]]
            assert is_accepted(
                amount0_in=ins[0],
                amount1_in=ins[1],
                balance0=balances[0],
                balance1=balances[1],
                reserve0=pool.reserve0,
                reserve1=pool.reserve1,
                fee_n=pool.fee_n,
                fee_d=pool.fee_d,
            ), row
    assert (exact, within) == (140, 18)


def pair(row: dict[str, Any], fee_bps: int) -> V2Pool:
    return V2Pool(
        address=to_address(row["pool"]),
        token0=to_address(row["token0"]),
        token1=to_address(row["token1"]),
        fee_pips=100 * fee_bps,
        reserve0=int(row["reserve0"]),
        reserve1=int(row["reserve1"]),
    )
