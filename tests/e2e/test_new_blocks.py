"""Blocks that nobody has seen: made here, captured, surveyed, run, and held to an oracle of other making.

One block holds all traps of `new_blocks`; what the survey says of each moment is compared with what a trading contract
gains there on the node that made the block, and what it claims is mined alone behind its prefix.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agent.config import load_settings
from agent.devnet.case import Case
from agent.devnet.case_run import CaseRun, run_case
from agent.devnet.case_world import CaseWorld
from agent.devnet.checks import verify_case
from agent.devnet.slice.storage import signed_mapping_slot
from agent.devnet.survey import survey
from agent.eth.hexes import to_data
from agent.observe.report import report
from agent.ports.clock import SystemClock
from agent.requests import RunRequest, WorldRequest
from agent.session.run import hunt_settings
from agent.sim.simulator import Slot
from scripts.measure_claims import mine_alone
from tests.e2e.laboratory import BITMAP_SLOT, Best, Laboratory, Trap, floor_tick
from tests.e2e.new_blocks import P, plant_all

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.xdist_group("new-blocks")]

Place = tuple[str, int, int | None]
"""Trap, direction (0: the first leg is through the trap's first pool), moment."""
EXECUTED = ("profit", "loss", "unpriced")
LEFT_OUT = {
    "lopsided": "unproved_fee",
    "both lopsided": "unproved_fee",
    "taxes contracts": "taxed_token",
}
"""Traps through which nothing is claimed, and what is said of their pools."""
REFUSING = {"says false"}
LYING = {"lying fee"}
ACCUMULATOR_SLOT = 9
BESIDE_A_WORD = "beside a word"


class Made(NamedTuple):
    """The block and everything that is said about it."""

    traps: dict[str, Trap]
    names: list[str]
    bare: Case
    case: Case
    oracle: dict[Place, Best]
    without_first: dict[Place, Best]
    survey: dict[str, Any]

    def place(self, one: dict[str, Any]) -> Place | None:
        """Where an opportunity belongs; None for cycles beside the traps, and for rotations."""
        first = one["legs"][0]["pool"]
        for name, trap in self.traps.items():
            pools = [to_data(leg.pool) for leg in trap.pools]
            if first in pools and len(one["legs"]) == 2 and one["token"] == to_data(trap.start):
                return name, pools.index(first), one["after_index"]
        return None

    def placed(self, data: dict[str, Any]) -> dict[Place, dict[str, Any]]:
        return {place: one for one in data["opportunities"] if (place := self.place(one)) is not None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make() -> Made:
        lab = await Laboratory.open()
        try:
            await plant_all(lab)
            await lab.seal()
            without_first = await lab.best(skip=lab.indices("hidden")[:1], only={"hidden"})
            oracle = await lab.best()
            bare, case = await lab.case(tmp_path_factory.mktemp("capture") / "block.json.gz")
        finally:
            await lab.close()
        surveyed = report(await survey(case, run="new"))["data"]
        return Made(lab.traps, lab.names, bare, case, oracle, without_first, surveyed)

    return asyncio.run(make())


def test_the_block_is_a_case_like_any_other(made: Made) -> None:
    verify_case(made.bare)
    assert len(made.case.transactions) == len(made.names)


def test_no_survey_holds_a_mismatch(made: Made) -> None:
    assert made.survey["mismatches"] == []
    assert len(made.placed(made.survey)) > 50
    for one in made.survey["opportunities"]:
        assert one["outcome"] != "unknown"
        if one["outcome"] in EXECUTED:
            assert one["quoted_amount"] == one["gross_amount"] != "0"


def test_whatever_the_oracle_gains_is_found_at_its_moment(made: Made) -> None:
    """But for the pools that are left out aloud, and for moments at which no pool moved."""
    placed = made.placed(made.survey)
    summed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    unchanged = set()
    for (name, direction, moment), best in made.oracle.items():
        if name in LEFT_OUT or name in LYING or name in REFUSING:
            continue
        found = placed.get((name, direction, moment))
        if found is None:
            unchanged.add((name, moment))
            continue
        assert found["outcome"] in EXECUTED
        gross = int(found["gross_amount"])
        assert gross * 1000 >= best.gross * 999, (name, direction, moment)
        sums = summed[found["token"]]
        sums[0], sums[1] = sums[0] + gross, sums[1] + best.gross
    of = {name: [i for i, named in enumerate(made.names) if named == name] for name in made.traps}
    still = {"donated": (0, 1, 2, 5), "paused": (1, 2, 4), "rebased": (1,)}
    assert unchanged <= {(name, of[name][place]) for name, places in still.items() for place in places}
    assert len(summed) == 3
    for gross, oracle in summed.values():
        assert gross >= oracle


def test_nothing_is_claimed_that_the_oracle_cannot_gain(made: Made) -> None:
    for (name, direction, moment), one in made.placed(made.survey).items():
        if one["outcome"] not in EXECUTED:
            continue
        best = made.oracle.get((name, direction, moment))
        assert best is not None, (name, direction, moment)
        assert int(one["gross_amount"]) <= best.gross * 1.001 + 10, (name, direction, moment)


def test_pools_that_cannot_be_quoted_are_left_out_aloud(made: Made) -> None:
    reasons = {row["pool"]: row["reason"] for row in made.survey["pools"]["left_out"]}
    for name, reason in LEFT_OUT.items():
        pools = [to_data(leg.pool) for leg in made.traps[name].pools]
        assert reason in {reasons.get(pool) for pool in pools}, name
    named = {to_data(leg.pool) for name in LEFT_OUT for leg in made.traps[name].pools}
    assert set(reasons) <= named


@pytest.mark.parametrize("name", [*sorted(LYING), *sorted(REFUSING)])
def test_what_refuses_or_lies_is_seen_and_not_claimed(made: Made, name: str) -> None:
    found = [one for place, one in made.placed(made.survey).items() if place[0] == name]
    assert found
    for one in found:
        assert one["outcome"] in ("reverts", "dropped")
        assert one["code"].startswith("D_") and one["reason"]


def test_a_token_that_is_paused_at_the_moment_reverts_then_and_pays_before_and_after(made: Made) -> None:
    outcomes = {place[2]: one["outcome"] for place, one in made.placed(made.survey).items() if place[0] == "paused"}
    indices = [index for index, name in enumerate(made.names) if name == "paused"]
    assert outcomes == {None: "profit", indices[0]: "profit", indices[3]: "reverts", indices[5]: "profit"}


def test_value_is_told_where_a_pool_prices_the_start_token(made: Made) -> None:
    rows = {place: one for place, one in made.placed(made.survey).items() if place[0] in ("usdc", "wbtc")}
    assert {place[0] for place in rows} == {"usdc", "wbtc"}
    for place, one in rows.items():
        if place[0] == "usdc":
            assert int(one["value_wei"]) > 0 and one["outcome"] in ("profit", "loss")
        else:
            assert one["value_wei"] is None and one["outcome"] == "unpriced"


def test_every_claim_is_what_mining_gives(made: Made) -> None:
    """One direction and two moments of each trap; the rest is held by the oracle."""
    chosen = {}
    for place, one in made.placed(made.survey).items():
        if one["outcome"] in (*EXECUTED, "reverts"):
            chosen[place[0], place[2] is None] = one

    async def mined() -> dict[str, int]:
        world = await CaseWorld.open(made.case)
        try:
            ordered = sorted(chosen.values(), key=lambda one: -1 if one["after_index"] is None else one["after_index"])
            return {one["id"]: (await mine_alone(world, one))[1] for one in ordered}
        finally:
            await world.close()

    assert asyncio.run(mined()) == {one["id"]: int(one["gross_amount"]) for one in chosen.values()}


def test_the_bare_capture_claims_nothing_else(made: Made) -> None:
    """Without what stands beside the block's own path, the survey says less and nothing false."""
    data = report(asyncio.run(survey(made.bare, run="bare")))["data"]
    assert data["mismatches"] == []
    for place, one in made.placed(data).items():
        if one["outcome"] in EXECUTED:
            assert int(one["gross_amount"]) <= int(made.placed(made.survey)[place]["gross_amount"])


def without(case: Case, slots: set[Slot]) -> Case:
    """The case as if these slots had not been captured."""
    accounts = dict(case.accounts)
    for slot in slots:
        held = {number: value for number, value in accounts[slot.address].storage.items() if number != slot.slot}
        assert len(held) < len(accounts[slot.address].storage)
        accounts[slot.address] = msgspec.structs.replace(accounts[slot.address], storage=held)
    return msgspec.structs.replace(case, accounts=accounts)


def ran(made: Made, folder: Path, **asked: Any) -> dict[str, Any]:
    request = RunRequest(world=WorldRequest(kind="case"))
    settings = hunt_settings(request, load_settings([], overrides=[]).settings)
    run = CaseRun(case=asked.pop("case", made.case), run="new", folder=folder, settings=settings, **asked)
    data: dict[str, Any] = report(asyncio.run(run_case(run, SystemClock())))["data"]
    return data


def test_a_run_lands_what_pays_and_sends_nothing_that_lies(made: Made, tmp_path: Path) -> None:
    data = ran(made, tmp_path)
    assert data["mismatches"] == []
    landed = [one for one in data["opportunities"] if one["outcome"] == "landed"]
    names = {place[0] for one in landed if (place := made.place(one)) is not None}
    assert not names & (LYING | REFUSING | set(LEFT_OUT))
    assert {"jit in range", "twice", "quarter fee", "rebased", "27 decimals"} <= names
    assert not any(block["newly_reverted"] and not landed for block in data["blocks"])
    assert all(row["booked"] == row["chain"] for row in data["books"])


def test_what_a_transaction_hides_is_found_when_it_is_left_out(made: Made, tmp_path: Path) -> None:
    first, second = (index for index, name in enumerate(made.names) if name == "hidden")
    ((place, best),) = ((place, best) for place, best in made.without_first.items() if place[2] == second)
    assert place not in made.oracle
    data = ran(made, tmp_path, leave_out=(made.case.transactions[first].hash,))
    assert data["left_out_transactions"] == [to_data(made.case.transactions[first].hash)]
    found = made.placed(data)[place]
    assert found["outcome"] == "landed"
    assert int(found["gross_amount"]) >= best.gross


def slot_of_word(made: Made, name: str, *, offset: int, spacing: int) -> Slot:
    """The bitmap word beside the price of a trap's V3 pool."""
    pool = next(leg.pool for leg in made.traps[name].pools if leg.is_three)
    word = (floor_tick(P, spacing) // spacing >> 8) + offset
    return Slot(pool, signed_mapping_slot(word, BITMAP_SLOT))


def test_a_word_that_nobody_knows_bounds_the_quote_and_never_makes_it_wrong(made: Made) -> None:
    """The best size lies beyond the word below the price; without the word the trade ends at its edge."""
    slot = slot_of_word(made, BESIDE_A_WORD, offset=-1, spacing=1)
    data = report(asyncio.run(survey(without(made.case, {slot}), run="less")))["data"]
    assert data["mismatches"] == []
    whole, less = made.placed(made.survey), made.placed(data)
    assert whole.keys() == less.keys()
    bounded = [place for place in whole if whole[place]["gross_amount"] != less[place]["gross_amount"]]
    assert bounded == [(BESIDE_A_WORD, 1, made.names.index(BESIDE_A_WORD))]
    found, known = less[bounded[0]], whole[bounded[0]]
    assert found["outcome"] == "profit" and found["quoted_amount"] == found["gross_amount"]
    assert int(found["gross_amount"]) < int(known["gross_amount"])
    assert found["upper_bound_amount"] is None or int(found["upper_bound_amount"]) >= int(known["gross_amount"])


def test_a_slot_that_execution_needs_is_named_and_may_be_assumed(made: Made) -> None:
    """A pair's price accumulator: no quote reads it, every swap does, and nothing of the block goes there."""
    place = ("twice", 0, [index for index, name in enumerate(made.names) if name == "twice"][1])
    slot = Slot(made.traps["twice"].pools[0].pool, ACCUMULATOR_SLOT)
    named = [[to_data(slot.address), hex(ACCUMULATOR_SLOT)]]
    case = without(made.case, {slot})
    unknown = made.placed(report(asyncio.run(survey(case, run="bitten")))["data"])[place]
    assert unknown["outcome"] == "unknown" and unknown["code"] == "D_UNKNOWN_STATE"
    assert unknown["missing"] == named
    surveyed = report(asyncio.run(survey(case, run="assumed", assume=frozenset({slot}))))["data"]
    assumed = made.placed(surveyed)[place]
    assert surveyed["mismatches"] == []
    assert (assumed["outcome"], assumed["assumed"]) == ("profit", named)
    assert assumed["gross_amount"] == made.placed(made.survey)[place]["gross_amount"]
