"""Checks of landing: what pays is mined through the relay, at the price that was predicted; rivals are matched.

`landing` sends each entry of the oracle that pays alone, `plain_run` the best set of each block, `rivals` looks for
what searchers really took, in the block without them.
"""

from __future__ import annotations

from typing import Any

from agent.devnet.mainnet import WETH
from agent.eth.hexes import from_data, to_address
from agent.eth.units import Address
from scripts.measure_ground import Checked, Ground, Report, entries, find, name_of
from scripts.measure_witness import Seen, watched


def landing(ground: Ground) -> Checked:
    """Each exact entry whose gross exceeds our gas at the header's base fee lands alone; the others say what they lack."""
    checked = Checked("landing")
    for number in ground.paths:
        for entry in entries(ground.oracle, number):
            if entry["execution"] != "exact":
                continue
            found = find(ground.survey(number), entry)
            if checked.expect(found is not None, f"{name_of(number, entry)}: not listed") and found is not None:
                _land(ground, checked, number, entry, found)
    checked.figures = {
        "landed": sum(row["outcome"] == "landed" for row in checked.rows),
        "below_gas": sum(row["short_wei"] is not None for row in checked.rows),
    }
    return checked


def _land(ground: Ground, checked: Checked, number: int, entry: dict[str, Any], found: dict[str, Any]) -> None:
    name = f"{name_of(number, entry)} {found['id']}"
    value_wei, cost_wei = int(found["value_wei"] or 0), int(found["gas_cost_wei"])
    row: dict[str, Any] = {
        "entry": name,
        "value_wei": value_wei,
        "gas_used": found["gas_used"],
        "gas_cost_wei": cost_wei,
        "short_wei": None,
        "bid_wei": None,
        "predicted_wei": None,
        "booked_wei": None,
        "chain_wei": None,
        "outcome": found["outcome"],
    }
    checked.rows.append(row)
    if value_wei <= cost_wei:
        row["short_wei"] = cost_wei - value_wei + 1
        is_told = found["outcome"] == "loss" and str(cost_wei - value_wei) in found["reason"]
        checked.expect(is_told, f"{name}: pays too little, and does not say how much: {found['reason']!r}")
        return
    with watched() as seen:
        report = ground.run(number, only=(found["id"],))
    landed = next((one for one in report["opportunities"] if one["id"] == found["id"]), None)
    if not checked.expect(landed is not None, f"{name}: not in the run's report") or landed is None:
        return
    row["outcome"] = landed["outcome"]
    if checked.expect(
        landed["outcome"] == "landed", f"{name}: {landed['outcome']} {landed['code']} {landed['reason']}"
    ):
        row |= _figures(checked, name, landed, report, seen)


def _figures(
    checked: Checked, name: str, landed: dict[str, Any], report: Report, seen: list[Seen]
) -> dict[str, int | None]:
    """Predicted, booked and the chain's own: all three must be the same, and positive."""
    mined = next((one for one in report["transactions"] if one["opportunity"] == landed["id"]), None)
    predicted = int(landed["net_wei"])
    if mined is None:
        checked.expect(False, f"{name}: landed without a transaction")
        return {"predicted_wei": predicted}
    token = to_address(landed["token"])
    booked = int(mined["profit_wei"])
    kept = sum(one.gained(one.ours.vault, token) for one in seen)
    spent = -sum(one.operators_gained_wei for one in seen)
    checked.expect(mined["status"] == 1, f"{name}: status {mined['status']}")
    checked.expect(predicted == booked > 0, f"{name}: {predicted} wei predicted, {booked} booked")
    expected = int(landed["gross_amount"]) - int(mined["coinbase_payment_wei"])
    checked.expect(kept == expected, f"{name}: the vault gained {kept}, {expected} expected")
    checked.expect(spent == int(mined["fee_wei"]), f"{name}: operators spent {spent} wei, {mined['fee_wei']} booked")
    checked.expect(not any(one.fallen() for one in seen), f"{name}: a balance fell: {[one.fallen() for one in seen]}")
    chain = kept - spent if token == WETH else None
    checked.expect(chain in (None, booked), f"{name}: {booked} wei booked, {chain} on chain")
    return {"bid_wei": int(landed["bid_wei"]), "predicted_wei": predicted, "booked_wei": booked, "chain_wei": chain}


def plain_run(ground: Ground) -> Checked:
    """One run of each block, nothing named: nothing reverts, nothing is lost, whoever left the block is listed."""
    checked = Checked("plain-run")
    for number in ground.paths:
        with watched() as seen:
            report = ground.run(number)
        landed = [one for one in report["opportunities"] if one["outcome"] == "landed"]
        sent = [one for one in report["opportunities"] if one["bundle_hash"]]
        net = int(report["totals"]["net_wei"])
        kept = sum(one.gained(one.ours.vault, token) for one in seen for token in _tokens(landed))
        spent = -sum(one.operators_gained_wei for one in seen)
        block = report["blocks"][0]
        checked.expect(len(sent) == len(landed), f"{number}: {len(sent)} sent, {len(landed)} landed")
        checked.expect(all(one["status"] == 1 for one in report["transactions"]), f"{number}: a transaction reverted")
        checked.expect(not report["mismatches"], f"{number}: mismatches {report['mismatches']}")
        checked.expect(not any(one.fallen() for one in seen), f"{number}: a balance fell")
        if all(one["token"] == "0x" + WETH.hex() for one in landed):
            checked.expect(kept - spent == net, f"{number}: {net} wei reported, {kept - spent} on chain")
        checked.expect(net >= 0, f"{number}: net {net} wei")
        _best_set(checked, number, report, landed)
        checked.rows.append(
            {
                "block": number,
                "found": report["funnel"]["found"],
                "sent": len(sent),
                "landed": len(landed),
                "net_wei": net,
                "bids_wei": int(report["totals"]["bids_wei"]),
                "evicted": len(block["evicted"]),
                "newly_reverted": len(block["newly_reverted"]),
                "mined": block["transactions"],
                "drops": ", ".join(f"{code} {count}" for code, count in report["drops"].items()) or None,
            }
        )
        expected = len(ground.case(number).transactions) + len(landed) - len(block["evicted"])
        checked.expect(
            block["transactions"] == expected,
            f"{number}: {block['transactions']} transactions in the block, {expected} accounted for",
        )
    _by_command(ground, checked)
    checked.figures = {
        "landed": sum(row["landed"] for row in checked.rows),
        "net_wei": sum(row["net_wei"] for row in checked.rows),
    }
    return checked


def _by_command(ground: Ground, checked: Checked) -> None:
    """The first block in which something lands once more, by `mev-agent run`."""
    for row in checked.rows:
        if row["landed"]:
            again = ground.command("run", "--case", str(ground.paths[row["block"]]))
            same = (again["funnel"]["landed"], int(again["totals"]["net_wei"])) == (row["landed"], row["net_wei"])
            checked.expect(same, f"{row['block']}: the command lands {again['funnel']}, {again['totals']}")
            return


def _best_set(checked: Checked, number: int, report: Report, landed: list[dict[str, Any]]) -> None:
    """Nothing that paid alone, and shares no pool with what landed, was left lying without a word."""
    taken = {leg["pool"] for one in landed for leg in one["legs"]}
    for one in report["opportunities"]:
        pays = one["outcome"] in ("dropped", "expired") and int(one["net_wei"]) > 0 and not one["missing"]
        if pays and not taken & {leg["pool"] for leg in one["legs"]}:
            checked.expect(bool(one["code"] or one["reason"]), f"{number} {one['id']}: left lying without a reason")


def rivals(ground: Ground) -> Checked:
    """In the block without a searcher's transaction the agent executes at least what that searcher took."""
    checked = Checked("rivals")
    for number in ground.paths:
        for taken in ground.rivals.get(str(number), {}).get("arbitrages", ()):
            _rival(ground, checked, number, taken)
    checked.figures = {
        "rivals": len(checked.rows),
        "searched": sum(row["ours"] is not None for row in checked.rows),
        "landed": sum(row["outcome"] == "landed" for row in checked.rows),
    }
    return checked


def _rival(ground: Ground, checked: Checked, number: int, taken: dict[str, Any]) -> None:
    name = f"{number} tx {taken['tx_index']}"
    row: dict[str, Any] = {
        "rival": name,
        "kinds": " ".join(leg["kind"] for leg in taken["legs"]),
        "took": int(taken["gross_profit"]),
        "ours": None,
        "gas_cost_wei": None,
        "net_wei": None,
        "outcome": "a leg of another kind",
    }
    checked.rows.append(row)
    if not taken["all_v2_v3"]:
        return
    hash_ = from_data(taken["tx_hash"])
    report = ground.run(number, leave_out=(hash_,))
    checked.expect(taken["tx_hash"] in report["left_out_transactions"], f"{name}: not listed as left out")
    pools = {leg["pool"] for leg in taken["legs"]}
    same = [
        one
        for one in report["opportunities"]
        if {leg["pool"] for leg in one["legs"]} == pools and one["token"] == taken["start_token"]
    ]
    if taken["taxed_tokens"]:
        left_out = [one for one in report["pools"]["left_out"] if one["pool"] in pools]
        told = [f"{one['reason']}" for one in left_out] + [one["code"] for one in same if one["outcome"] == "dropped"]
        row["outcome"] = ", ".join(sorted(set(told)))
        checked.expect(bool(told), f"{name}: goes through a taxed token, and nothing says what became of it")
        return
    best = max(same, key=lambda one: int(one["gross_amount"]), default=None)
    if not checked.expect(best is not None, f"{name}: not found") or best is None:
        return
    row |= {
        "ours": int(best["gross_amount"]),
        "gas_cost_wei": int(best["gas_cost_wei"]),
        "net_wei": int(best["net_wei"]),
        "outcome": best["outcome"],
    }
    checked.expect(
        int(best["gross_amount"]) >= int(taken["gross_profit"]) and best["outcome"] != "unknown",
        f"{name}: {best['gross_amount']} ({best['outcome']}) of {taken['gross_profit']}",
    )
    if best["outcome"] == "landed" or int(best["value_wei"] or 0) <= int(best["gas_cost_wei"]):
        return
    alone = ground.run(number, leave_out=(hash_,), only=(best["id"],))
    ended = next(one for one in alone["opportunities"] if one["id"] == best["id"])
    row |= {"net_wei": int(ended["net_wei"]), "outcome": f"{ended['outcome']} (named)"}
    checked.expect(ended["outcome"] == "landed", f"{name}: pays, and does not land: {ended['code']} {ended['reason']}")


def _tokens(landed: list[dict[str, Any]]) -> set[Address]:
    return {to_address(one["token"]) for one in landed}
