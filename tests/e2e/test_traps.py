"""Pools and tokens that lie, refuse or tax: each is seen, and nothing false is claimed or sent.

One real block with nothing to earn in it gets pairs of pools planted, each pair with a gap that invites. The survey
and a run then say what they make of them; whatever they claim is mined here and compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent.config import load_settings
from agent.devnet.case import load_case
from agent.devnet.case_run import CaseRun, run_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.identities import devnet_identities
from agent.devnet.survey import survey
from agent.eth.hexes import from_quantity, to_data
from agent.eth.units import WEI_PER_ETHER, Address
from agent.observe.report import report
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings
from scripts.measure_claims import mine_alone
from scripts.measure_witness import Seen, watched
from tests.e2e.planted import SUSHI, UNISWAP_V2, USDC, WETH, Planting

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("traps")]

BLOCK = 24647140
MUCH = 1_000_000 * WEI_PER_ETHER
LARGE_ONLY = {"taxed": True, "free_up_to": MUCH // 500}
"""Passes every probe of a thousandth, and taxes what an arbitrage moves."""
WETH_SMALL, WETH_LARGE = 100 * WEI_PER_ETHER, 110 * WEI_PER_ETHER
USDC_SMALL, USDC_LARGE = 200_000 * 10**6, 220_000 * 10**6


class Traps(NamedTuple):
    """What both commands say of the planted block, and the pools of each trap by its name."""

    planting: Planting
    pools: dict[str, set[str]]
    survey: dict[str, Any]
    run: dict[str, Any]
    seen: list[Seen]

    def of(self, name: str, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Opportunities through the pools of a trap."""
        return [one for one in data["opportunities"] if self.pools[name] & {leg["pool"] for leg in one["legs"]}]

    def left_out(self, name: str) -> dict[str, str]:
        """Reason by pool, of the pools of a trap that are not quoted."""
        return {
            row["pool"]: row["reason"] for row in self.survey["pools"]["left_out"] if row["pool"] in self.pools[name]
        }


@pytest.fixture(scope="module")
def traps(mainnet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traps]:
    planting = Planting(load_case(mainnet / "public" / f"{BLOCK}.json.gz"))
    ours = devnet_identities()
    pools: dict[str, set[str]] = {}

    def plant(name: str, *, start: Address = WETH, cheap: Any = None, dear: Any = None, **token_is: Any) -> None:
        small, large = (WETH_SMALL, WETH_LARGE) if start == WETH else (USDC_SMALL, USDC_LARGE)
        token = planting.token(name, **token_is)
        pools[name] = {
            to_data(planting.pair(f"{name} cheap", token, MUCH, start, small, **(cheap or {}))),
            to_data(planting.pair(f"{name} dear", token, MUCH, start, large, **(dear or {}))),
        }

    plant("plain")
    plant("odd fees", cheap={"fee_bps": 25}, dear={"fee_bps": 90})
    plant("taxed", taxed=True)
    for name, token_is in (("known plain", {}), ("known taxed", {"taxed": True}), ("taxes much", LARGE_ONLY)):
        token = planting.token(name, **token_is)
        pools[name] = {
            to_data(planting.known_pair(UNISWAP_V2, token, MUCH, WETH, WETH_SMALL)),
            to_data(planting.known_pair(SUSHI, token, MUCH, WETH, WETH_LARGE)),
        }
    plant("refuses us", dear={"refused": ours.executor})
    plant("refuses all", dear={"only": ours.owner.address})
    plant("lies", dear={"says_more_bps": 500})
    plant("in six decimals", start=USDC)
    case = planting.case()
    surveyed = report(asyncio.run(survey(case, run="trapped")))["data"]
    request = RunRequest(world=WorldRequest(kind="case"))
    asked = CaseRun(
        case=case,
        run="trapped",
        folder=tmp_path_factory.mktemp("run"),
        settings=hunt_settings(request, load_settings([], overrides=[]).settings),
    )
    with watched() as seen:
        ran = report(asyncio.run(run_case(asked, SystemClock())))["data"]
    yield Traps(planting, pools, surveyed, ran, seen)


@pytest.mark.parametrize("name", ["plain", "known plain", "odd fees", "in six decimals"])
def test_an_honest_fork_is_found_executed_and_landed(traps: Traps, name: str) -> None:
    assert not traps.left_out(name)
    (found,) = traps.of(name, traps.survey)
    assert found["outcome"] == "profit"
    assert found["quoted_amount"] == found["gross_amount"] != "0"
    assert found["token"] == to_data(USDC if name == "in six decimals" else WETH)
    (ran,) = [one for one in traps.of(name, traps.run) if one["kind"] == "head"]
    assert (ran["outcome"], ran["code"]) == ("landed", "")


def test_value_is_weighed_in_ether_where_the_start_token_has_six_decimals(traps: Traps) -> None:
    (found,) = traps.of("in six decimals", traps.survey)
    gross_usdc, value_wei = int(found["gross_amount"]), int(found["value_wei"])
    assert 10**8 < gross_usdc < 10**9, "a few hundred dollars, in millionths"
    assert 10**16 < value_wei < WEI_PER_ETHER, "which is a part of an ether"
    assert int(found["net_wei"]) == value_wei - int(found["gas_cost_wei"])


def test_fees_of_forks_are_told_by_probing(traps: Traps) -> None:
    """Larger fees must give less: 0.3 % twice against 0.25 % and 0.9 %, on the same reserves."""
    (plain,), (odd,) = traps.of("plain", traps.survey), traps.of("odd fees", traps.survey)
    assert 0 < int(odd["gross_amount"]) < int(plain["gross_amount"])


@pytest.mark.parametrize("name", ["taxed", "known taxed"])
def test_a_pool_with_a_taxed_token_is_left_out(traps: Traps, name: str) -> None:
    assert traps.left_out(name) == dict.fromkeys(traps.pools[name], "taxed_token")
    assert not traps.of(name, traps.survey) and not traps.of(name, traps.run)


def test_a_tax_on_large_transfers_alone_is_told_by_execution(traps: Traps) -> None:
    assert not traps.left_out("taxes much")
    assert {one["code"] for one in traps.of("taxes much", traps.survey)} == {"D_TOKEN_TAXED"}


def test_a_pool_that_refuses_everybody_is_left_out(traps: Traps) -> None:
    assert list(traps.left_out("refuses all").values()) == ["unproved_fee"]
    assert not traps.of("refuses all", traps.survey) and not traps.of("refuses all", traps.run)


@pytest.mark.parametrize("name", ["refuses us", "lies", "taxes much"])
def test_a_pool_that_proves_false_in_execution_claims_nothing(traps: Traps, name: str) -> None:
    """It may pass every probe and be quoted; then the execution says no, and the report says why."""
    rows = traps.of(name, traps.survey)
    assert rows or traps.left_out(name)
    for one in rows:
        assert (one["outcome"], one["gross_amount"]) == ("reverts", "0"), one
        assert one["code"].startswith("D_") and one["reason"]
    for one in traps.of(name, traps.run):
        assert one["outcome"] == "dropped" and one["code"].startswith("D_") and one["gross_amount"] == "0"
        assert one["bundle_hash"] is None


def test_only_the_honest_ones_are_sent_and_the_chain_agrees(traps: Traps) -> None:
    sent = [one for one in traps.run["opportunities"] if one["bundle_hash"]]
    honest = set().union(*(traps.pools[name] for name in ("plain", "known plain", "odd fees", "in six decimals")))
    assert len(sent) == 4
    assert all({leg["pool"] for leg in one["legs"]} <= honest for one in sent)
    (seen,) = traps.seen
    assert not seen.fallen()
    ours = seen.ours
    for token in (WETH, USDC):
        landed = {one["id"]: int(one["gross_amount"]) for one in sent if one["token"] == to_data(token)}
        paid = sum(int(tx["coinbase_payment_wei"]) for tx in traps.run["transactions"] if tx["opportunity"] in landed)
        assert seen.gained(ours.vault, token) == sum(landed.values()) - (paid if token == WETH else 0)
    assert seen.operators_gained_wei == -sum(int(tx["fee_wei"]) for tx in traps.run["transactions"])


def test_no_report_holds_a_mismatch_and_every_claim_is_what_mining_gives(traps: Traps) -> None:
    assert traps.survey["mismatches"] == traps.run["mismatches"] == []
    assert traps.survey["opportunities"]
    gained = asyncio.run(_mined(traps))
    assert gained == {one["id"]: int(one["gross_amount"]) for one in traps.survey["opportunities"]}


async def _mined(traps: Traps) -> dict[str, int]:
    world = await CaseWorld.open(traps.planting.case())
    try:
        gained = {}
        for one in traps.survey["opportunities"]:
            receipt, amount = await mine_alone(world, one)
            assert receipt is not None
            gained[one["id"]] = amount
            assert (from_quantity(receipt["status"]) == 1) == (amount > 0)
        return gained
    finally:
        await world.close()
