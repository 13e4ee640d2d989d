"""One thing is found by its name wherever it stands in a report, and what repeats it is there, too."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.devnet.case import load_case
from agent.engine import summary
from agent.engine.outcome_rows import opportunity_row
from agent.engine.result import OpportunityResult
from agent.engine.tracked import Tracked
from agent.eth.hexes import to_data
from agent.eth.transactions import decode_transaction
from agent.session.inspect import examine, find
from tests.session.conftest import Command

pytestmark = pytest.mark.anvil


@pytest.mark.slow
async def test_everything_in_the_report_of_a_run_is_found_again(mev_agent: Command, tmp_path: Path) -> None:
    ran = await mev_agent("run", "--blocks", 2, "--json")
    assert ran.code == 0, ran.stderr
    report = ran.content
    landed = next(one for one in report["opportunities"] if one["outcome"] == "landed")

    by_id = await mev_agent("inspect", landed["id"], "--json")
    assert by_id.content["opportunity"] == landed
    assert (await mev_agent("inspect", landed["bundle_hash"], "--json")).content["kind"] == "bundle"
    mined = await mev_agent("inspect", landed["transaction_hash"], "--json")
    assert mined.content["transaction"]["opportunity"] == landed["id"]
    block = await mev_agent("inspect", landed["block"], "--json")
    assert landed["id"] in block.content["block"]["opportunities"]
    assert landed["transaction_hash"] in [one["hash"] for one in block.content["block"]["our_transactions"]]
    assert sum(block.content["block"]["outcomes"].values()) == len(block.content["block"]["opportunities"])

    text = (await mev_agent("inspect", landed["id"])).stdout
    assert landed["repeat"] in text and landed["calldata"] in text
    assert landed["calldata"] != "0x" and len(landed["calldata"]) > 100
    executed = [one for one in report["opportunities"] if one["gas_used"]]
    assert all(one["calldata"].startswith("0x") for one in executed), "also of what was executed and never sent"

    target = next(one["after_tx"] for one in report["opportunities"] if one["after_tx"])
    behind = (await mev_agent("inspect", target, "--json")).content["transaction"]
    assert behind["is_ours"] is False and behind["opportunities_behind"]

    nothing = await mev_agent("inspect", "0x" + "77" * 32)
    assert nothing.code == 1 and "nothing is known" in nothing.stdout


@pytest.mark.slow
async def test_the_calldata_of_a_sent_row_is_that_of_the_signed_transaction(
    mev_agent: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: dict[str, bytes] = {}

    def kept(one: Tracked, *, repeat: str) -> OpportunityResult:
        if one.signed is not None:
            signed[one.opportunity.id] = decode_transaction(one.signed.raw).data
        return opportunity_row(one, repeat=repeat)

    monkeypatch.setattr(summary, "opportunity_row", kept)
    ran = await mev_agent("run", "--blocks", 1, "--json")
    rows = {one["id"]: one["calldata"] for one in ran.content["opportunities"]}
    assert signed
    assert {id_: rows[id_] for id_ in signed} == {id_: to_data(raw) for id_, raw in signed.items()}


@pytest.mark.slow
async def test_a_deep_replay_of_the_slice_finds_the_same_events_and_effects(mev_agent: Command, tmp_path: Path) -> None:
    ran = await mev_agent("run", "--blocks", 1, "--json", "--out", tmp_path / "run")
    assert ran.code == 0, ran.stderr
    again = await mev_agent("replay", tmp_path / "run", "--deep", "--verify", "--json")
    assert again.code == 0, again.stdout
    assert again.content["differences"] == [] and again.content["events"] > 0
    asked = tmp_path / "run" / "asked.json"
    asked.write_text(asked.read_text().replace('"share_bps": 9000', '"share_bps": 8000'))
    other = await mev_agent("replay", tmp_path / "run", "--deep", "--verify")
    assert other.code == 1 and "now" in other.stdout
    assert (await mev_agent("replay", tmp_path / "run", "--verify")).code == 0, "the journal itself is as it was"
    asked.unlink()
    unknown = await mev_agent("replay", tmp_path / "run", "--deep")
    assert unknown.code == 4 and "how the run was asked for" in unknown.stderr


async def test_a_subject_that_is_none_and_a_run_that_is_not_there_are_told(mev_agent: Command, tmp_path: Path) -> None:
    assert (await mev_agent("inspect", "what?")).code == 2
    assert (await mev_agent("inspect", "ab")).code == 2
    missing = await mev_agent("inspect", "abcdef123456")
    assert missing.code == 4 and "mev-agent run" in missing.stderr
    named = await mev_agent("inspect", "abcdef123456", "--run", "2026-01-01T00-00-00Z-0000")
    assert named.code == 4 and "no run" in named.stderr
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text('{"schema": "mev-agent/rep')
    garbled = await mev_agent("inspect", "abcdef123456", "--run", tmp_path / "broken")
    assert garbled.code == 4 and "not JSON" in garbled.stderr
    (tmp_path / "broken" / "report.json").write_text(json.dumps({"schema": "mev-agent/report/9", "data": {}}))
    other = await mev_agent("inspect", "abcdef123456", "--run", tmp_path / "broken")
    assert other.code == 4 and "schema" in other.stderr


@pytest.mark.slow
def test_of_a_case_the_blocks_own_transactions_are_known_with_what_they_moved(mainnet: Path) -> None:
    path = mainnet / "public" / "13217637.json.gz"
    if not path.exists():
        pytest.skip(f"no case at {path}")
    content, transactions = asyncio.run(examine(load_case(path), path))
    block = find(content, transactions, "13217637")
    assert block is not None and len(block[1]["opportunities"]) == len(content["opportunities"])
    behind = [one for one in content["opportunities"] if one["after_tx"] is not None]
    assert behind
    for one in behind:
        assert find(content, transactions, one["id"]) == ("opportunity", one)
        assert one["repeat"].endswith(f"--only {one['id']}") and len(one["calldata"]) > 100
        found = find(content, transactions, one["after_tx"])
        assert found is not None
        kind, target = found
        assert (kind, target["index"], target["is_ours"]) == ("transaction", one["after_index"], False)
        assert one["id"] in target["opportunities_behind"]
        assert set(target["pools_moved"]) & {leg["pool"] for leg in one["legs"]}
