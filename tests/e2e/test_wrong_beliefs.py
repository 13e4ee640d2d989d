"""What if the agent believed something false of a pool: execution tells, the report shows it, and nothing is sent.

The belief is planted where pools are read from the node; the chain itself stays what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import agent.devnet.case_world
from agent.chain.pools import load_pools
from agent.config import load_settings
from agent.devnet.case import Case, load_case
from agent.devnet.case_run import CaseRun, run_case
from agent.devnet.survey import survey
from agent.dex.pool import LeftOut, Pool
from agent.dex.v2 import V2Pool
from agent.dex.v3 import V3Pool
from agent.dex.v3_ticks import TickMap
from agent.observe.report import report
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("beliefs")]

BLOCK, LARGE_BLOCK = 16146267, 13217637
V3_POOL, V2_POOL = "0xa295c1", "0x3f2eea"
"""In BLOCK: 0xa295c1 ends a cycle that pays after transaction 16; 0x3f2eea is part of the great one."""
CROSSED_POOLS = ("0x11b815", "0x9db9e0")
"""In LARGE_BLOCK: the cycle through these crosses a tick after transaction 0."""
CLAIMED = ("profit", "loss", "unpriced")

Change = Callable[[Pool], Pool]
Believe = Callable[[str | tuple[str, ...], Change], None]


@pytest.fixture(scope="module")
def case(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / f"{BLOCK}.json.gz")


@pytest.fixture(scope="module")
def large_case(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / f"{LARGE_BLOCK}.json.gz")


def wrong_v3_fee(pool: Pool) -> Pool:
    """A little less than the true fee: what is quoted still pays, but not that much."""
    return _with(pool, fee_pips=pool.fee_pips - 10) if isinstance(pool, V3Pool) else pool


def no_ticks(pool: Pool) -> Pool:
    """The map of a pool into which nobody ever put liquidity: that in range seems to reach for ever."""
    if not isinstance(pool, V3Pool):
        return pool
    ticks = TickMap({}, tick_spacing=pool.ticks.tick_spacing, known_words=pool.ticks.known_words)
    return _with(pool, ticks=ticks)


def wrong_v2_fee(pool: Pool) -> Pool:
    """A third of the true fee: the pair holds its K, so what is asked for is refused."""
    if not isinstance(pool, V2Pool):
        return pool
    return V2Pool(
        address=pool.address, token0=pool.token0, token1=pool.token1, fee_pips=1_000,
        reserve0=pool.reserve0, reserve1=pool.reserve1,
    )  # fmt: skip


def _with(pool: V3Pool, **changed: Any) -> V3Pool:
    names = ("address", "token0", "token1", "fee_pips", "sqrt_price_x96", "tick", "liquidity", "ticks")
    return V3Pool(**({name: getattr(pool, name) for name in names} | changed))


@pytest.fixture
def believe(monkeypatch: pytest.MonkeyPatch) -> Believe:
    """Make the agent believe something of the pools whose addresses begin so."""

    def plant(beginning: str | tuple[str, ...], change: Change) -> None:
        async def reading(*args: Any, **named: Any) -> tuple[Sequence[Pool], list[LeftOut]]:
            pools, left_out = await load_pools(*args, **named)
            is_meant = [("0x" + pool.address.hex()).startswith(beginning) for pool in pools]
            assert any(is_meant)
            return [change(pool) if meant else pool for pool, meant in zip(pools, is_meant, strict=True)], left_out

        monkeypatch.setattr(agent.devnet.case_world, "load_pools", reading)

    return plant


def twice_the_liquidity(pool: Pool) -> Pool:
    """As if somebody's liquidity, there for one block alone, were still there."""
    return _with(pool, liquidity=2 * pool.liquidity) if isinstance(pool, V3Pool) else pool


def rows_through(data: dict[str, Any], beginning: str | tuple[str, ...]) -> list[dict[str, Any]]:
    return [one for one in data["opportunities"] if any(leg["pool"].startswith(beginning) for leg in one["legs"])]


def surveyed(case: Case) -> dict[str, Any]:
    data: dict[str, Any] = report(asyncio.run(survey(case, run="believing")))["data"]
    return data


def ran(case: Case, folder: Path) -> dict[str, Any]:
    request = RunRequest(world=WorldRequest(kind="case"))
    settings = hunt_settings(request, load_settings([], overrides=[]).settings)
    asked = CaseRun(case=case, run="believing", folder=folder, settings=settings)
    data: dict[str, Any] = report(asyncio.run(run_case(asked, SystemClock())))["data"]
    return data


def assert_mismatches_are_shown(data: dict[str, Any], pools: str | tuple[str, ...]) -> None:
    shown = {row["opportunity"]: row for row in data["mismatches"]}
    assert shown, "the false belief changes a quote, and nobody saw it"
    for one in rows_through(data, pools):
        if one["quoted_amount"] != one["gross_amount"] and one["outcome"] in CLAIMED:
            row = shown.pop(one["id"])
            assert (row["quoted"], row["executed"]) == (one["quoted_amount"], one["gross_amount"])
    assert not shown, "only those of the pools that something false is believed of"


def test_a_wrong_fee_is_a_mismatch_and_only_the_executed_figure_counts(case: Case, believe: Believe) -> None:
    believe(V3_POOL, wrong_v3_fee)
    assert_mismatches_are_shown(surveyed(case), V3_POOL)


def test_a_promise_that_the_pair_refuses_reverts_and_is_worth_nothing(case: Case, believe: Believe) -> None:
    believe(V2_POOL, wrong_v2_fee)
    refused = [one for one in rows_through(surveyed(case), V2_POOL) if one["outcome"] != "unknown"]
    assert refused
    for one in refused:
        assert (one["outcome"], one["gross_amount"]) == ("reverts", "0")
        assert one["code"] and one["reason"]


def test_liquidity_that_is_gone_is_seen_before_anything_is_quoted_from_it(case: Case, believe: Believe) -> None:
    believe(V3_POOL, twice_the_liquidity)
    data = surveyed(case)
    reasons = {row["reason"] for row in data["pools"]["left_out"] if row["pool"].startswith(V3_POOL)}
    assert reasons == {"state_differs"}
    assert not data["mismatches"]
    heads = [one for one in rows_through(data, V3_POOL) if one["kind"] == "head"]
    assert not heads, "the pool's next Swap event tells its liquidity anew; before that nothing may be said of it"


def test_nothing_is_sent_on_a_wrong_fee(case: Case, believe: Believe, tmp_path: Path) -> None:
    believe(V3_POOL, wrong_v3_fee)
    data = ran(case, tmp_path)
    through = rows_through(data, V3_POOL)
    assert "D_SIM_MISMATCH" in {one["code"] for one in through}
    for one in through:
        assert one["bundle_hash"] is None, f"sent on a false quote: {one}"
        assert one["outcome"] in ("dropped", "unknown")


@pytest.mark.slow
def test_a_stale_tick_map_is_a_mismatch(large_case: Case, believe: Believe) -> None:
    believe(CROSSED_POOLS, no_ticks)
    assert_mismatches_are_shown(surveyed(large_case), CROSSED_POOLS)


@pytest.mark.slow
def test_nothing_false_is_sent_on_a_stale_tick_map(large_case: Case, believe: Believe, tmp_path: Path) -> None:
    believe(CROSSED_POOLS, no_ticks)
    data = ran(large_case, tmp_path)
    for one in rows_through(data, CROSSED_POOLS):
        if one["quoted_amount"] != one["gross_amount"]:
            assert one["bundle_hash"] is None, f"sent on a false quote: {one}"
    assert not data["mismatches"], "what landed paid what was predicted"
