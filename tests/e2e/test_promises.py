"""What the project promises, measured on some of the archived blocks and the slice, by the checks of scripts/measure.py.

The quick ones run on three blocks; on all of them where time is given (`make soak`). Each check is also shown
something false, which it must see.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.requests import SurveyRequest
from agent.session.survey import survey
from scripts import measure_claims, measure_landing, measure_oracle, measure_slice, measure_subsets, measure_survey
from scripts.measure_ground import Checked, Ground, quiet

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("promises")]

LANDING, TIGHT, MODERN = 16146267, 17666333, 24628607
"""One with a great opportunity, one in a full block that just misses its gas, one of today with many small ones."""

Check = Callable[[Ground], Checked]


@pytest.fixture(scope="module")
def ground(mainnet: Path) -> Iterator[Ground]:
    made = Ground((LANDING, TIGHT, MODERN))
    yield made
    made.close()


@pytest.fixture(scope="module")
def one_block(ground: Ground) -> Iterator[Ground]:
    """The block of the great opportunity alone."""
    made = Ground((LANDING,))
    made._surveys, made._commanded = ground._surveys, ground._commanded
    yield made
    made.close()


def test_the_survey_lists_everything_known_at_its_own_moment(ground: Ground) -> None:
    checked = measure_survey.survey(ground)
    assert not checked.failures
    assert checked.figures["entries"] == 32
    assert checked.figures["least_share_bps"] >= 9_990


def test_a_value_that_falls_short_is_seen(one_block: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = copy.deepcopy(one_block.oracle)
    entry = oracle[str(LANDING)]["backruns"][0]
    entry["gross_profit"] = str(int(entry["gross_profit"]) * 101 // 100)
    monkeypatch.setitem(one_block.__dict__, "oracle", oracle)
    assert measure_survey.survey(one_block).failures


def test_a_phantom_that_is_claimed_is_seen(one_block: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = copy.deepcopy(one_block.oracle)
    block = oracle[str(LANDING)]
    block["phantoms"] = [entry for entry in block["backruns"] if entry["execution"] == "exact"][:1]
    monkeypatch.setitem(one_block.__dict__, "oracle", oracle)
    assert any("phantom" in failure for failure in measure_survey.survey(one_block).failures)


def test_every_claim_is_what_mining_gives(one_block: Ground) -> None:
    checked = measure_claims.claims(one_block)
    assert not checked.failures
    assert checked.figures["mined"] == checked.figures["equal"] == 17
    assert checked.figures["unknown_and_not_executable"] == 12


def test_a_claim_one_wei_too_high_is_seen(one_block: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    false = copy.deepcopy(one_block.survey(LANDING))
    claimed = next(one for one in false["opportunities"] if one["outcome"] == "profit")
    claimed["gross_amount"] = str(int(claimed["gross_amount"]) + 1)
    false["opportunities"] = [claimed]
    monkeypatch.setattr(one_block, "_surveys", {(LANDING, False): false})
    assert any(claimed["id"] in failure for failure in measure_claims.claims(one_block).failures)


def test_a_report_of_ours_names_all_that_is_missing(one_block: Ground) -> None:
    """Given back as --assume, its missing slots let everything run: the lists were complete."""
    first = one_block.survey(LANDING)
    own = one_block.scratch / "own.json"
    own.write_text(json.dumps({"data": first}))
    again = survey(SurveyRequest(case=one_block.paths[LANDING], assume=own), quiet).data
    unknown = {one["id"]: one for one in first["opportunities"] if one["outcome"] == "unknown"}
    known = {one["id"]: one for one in again["opportunities"]}
    assert unknown
    for id_, one in unknown.items():
        assert known[id_]["outcome"] in ("profit", "loss")
        assert known[id_]["gross_amount"] == one["gross_amount"], "what was quoted, now executed"
        assert known[id_]["assumed"] == one["missing"]
    assert not again["mismatches"]


def test_what_pays_lands_at_the_predicted_net_and_the_rest_says_what_it_lacks(one_block: Ground) -> None:
    checked = measure_landing.landing(one_block)
    assert not checked.failures
    assert checked.figures == {"landed": 2, "below_gas": 2}


def test_a_plain_run_takes_the_best_set_and_accounts_for_the_block(ground: Ground) -> None:
    checked = measure_landing.plain_run(ground)
    assert not checked.failures
    assert checked.figures["landed"] >= 4
    assert {row["block"]: row["landed"] > 0 for row in checked.rows} == {LANDING: True, TIGHT: False, MODERN: True}


def test_without_its_searcher_the_agent_takes_at_least_as_much(one_block: Ground) -> None:
    checked = measure_landing.rivals(one_block)
    assert not checked.failures
    assert [row["outcome"] for row in checked.rows] == ["landed"]


def test_every_part_and_order_of_what_was_sent_costs_its_gas_at_most(one_block: Ground) -> None:
    checked = measure_subsets.subsets(one_block)
    assert not checked.failures
    assert checked.figures["ours_mined"] >= 9
    assert checked.figures["ours_reverted"] >= 1, "alone, without its target, it must revert"


def test_the_slice_lands_the_same_for_the_same_seed_and_its_books_are_the_chains(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_slice, "SEEDS", (0,))
    checked = measure_slice.slice_run(ground)
    assert not checked.failures
    assert checked.figures["landed"] >= 3


def test_a_search_by_hand_finds_nothing_that_is_not_listed(one_block: Ground) -> None:
    checked = measure_oracle.oracle(one_block)
    assert not checked.failures
    assert checked.figures["pay"] >= 3, "the slice holds cycles of V2 pairs that pay"


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        measure_survey.replay,
        measure_survey.survey,
        measure_oracle.oracle,
        measure_claims.claims,
        measure_landing.landing,
        measure_landing.plain_run,
        measure_landing.rivals,
        measure_slice.slice_run,
        measure_subsets.subsets,
    ],
    ids=lambda check: check.__name__,
)
def test_all_of_it_holds_on_every_archived_block(whole: Ground, check: Check) -> None:
    checked = check(whole)
    assert checked.rows
    assert not checked.failures


@pytest.fixture(scope="module")
def whole(mainnet: Path, at_leisure: None) -> Iterator[Ground]:
    made = Ground()
    yield made
    made.close()
