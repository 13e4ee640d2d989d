"""Optima of the vectors: exhaustive small cases, bounded large ones, and mixed cycles over ticks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.dex.v2 import PIPS, V2Pool
from agent.eth.units import Address
from agent.strategies.arb.sizing import Route, finest_size, run_through
from tests.dex.test_v3_vectors import pool_of, scenarios


def token(number: int) -> Address:
    return Address(bytes([number + 1]) * 20)


def v2_route(hops: list[dict[str, Any]]) -> Route:
    return [
        (
            V2Pool(
                address=Address(bytes([100 + i]) * 20),
                token0=token(i),
                token1=token((i + 1) % len(hops)),
                fee_pips=PIPS - hop["feeNum"] * PIPS // hop["feeDen"],
                reserve0=int(hop["reserveIn"]),
                reserve1=int(hop["reserveOut"]),
            ),
            token(i),
        )
        for i, hop in enumerate(hops)
    ]


def test_constant_product_chains_reach_the_best_known_profit(vectors: Path) -> None:
    rows = json.loads((vectors / "dex" / "v2_cycle_optimum.json").read_text())["vectors"]
    assert len(rows) == 220
    for row in rows:
        route = v2_route(row["hops"])
        sized = finest_size(route)
        gross = 0 if sized is None else sized.gross
        assert int(row["profitBest"]) <= gross <= int(row["profitUpperBound"]), row
        if sized is not None:
            assert sized.upper_bound == int(row["profitUpperBound"]), row
            assert sized.amounts == run_through(route, sized.amounts[0])


def test_cycles_over_ticks_reach_the_best_known_profit(vectors: Path) -> None:
    by_id = {scenario["id"]: scenario for scenario in scenarios(vectors)}
    rows = json.loads((vectors / "dex" / "v3_v2_cycle_optimum.json").read_text())["vectors"]
    assert len(rows) == 87
    for row in rows:
        first = pool_of(by_id[row["v3Scenario"]])
        start, middle = (first.token0, first.token1) if row["zeroForOne"] else (first.token1, first.token0)
        second = V2Pool(
            address=Address(b"\x09" * 20),
            token0=middle,
            token1=start,
            fee_pips=3000,
            reserve0=int(row["v2ReserveIn"]),
            reserve1=int(row["v2ReserveOut"]),
        )
        route: Route = [(first, start), (second, middle)]
        sized = finest_size(route)
        assert sized is not None, row
        assert sized.gross >= int(row["profit"]), row
        assert sized.upper_bound is None or sized.gross <= sized.upper_bound, row
        assert sized.amounts == run_through(route, sized.amounts[0])
