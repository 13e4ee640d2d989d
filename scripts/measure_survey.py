"""Checks of the survey: the block replays, the oracle's opportunities are all there, and no phantom is.

`exact_with_overrides` entries rest on slots that the case lacks: they are unknown, and executed with `--assume`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from agent.devnet.replay import CaseNode
from scripts.measure_ground import Checked, Ground, Report, entries, find, moment, name_of, steps

LEAST_RATIO_BPS = 9_990
EXECUTED = ("profit", "loss", "unpriced")
KNOWN_UNPROVED_BY_GAS = {24647140}
"""Type-4 transactions are granted a refund on a fork that mainnet did not give; the corrected root is the header's."""


def replay(ground: Ground) -> Checked:
    """Each block mined in its own order gives the header's receipts root."""
    checked = Checked("replay")
    for number in ground.paths:
        found = asyncio.run(_replay(ground, number))
        checked.rows.append(found)
        holds = found["root"] == "header's" or (number in KNOWN_UNPROVED_BY_GAS and found["root"] == "after correction")
        checked.expect(holds, f"{number} does not replay: {found}")
    checked.figures = {
        "cases": len(checked.rows),
        "exact": sum(row["root"] == "header's" for row in checked.rows),
        "known_difference": sum(row["root"] == "after correction" for row in checked.rows),
    }
    return checked


async def _replay(ground: Ground, number: int) -> dict[str, Any]:
    node = await CaseNode.start(ground.case(number))
    try:
        result = await node.replay()
    finally:
        await node.stop()
    root = "header's" if result.is_exact else "after correction" if result.is_proved else "another"
    return {
        "block": number,
        "transactions": len(result.transactions),
        "of": len(ground.case(number).transactions),
        "root": root,
        "corrected_gas": sum(gas for _, gas in result.gas_corrections),
    }


def survey(ground: Ground) -> Checked:
    """Every entry of the oracle at its own moment, executed, with its value; no phantom claimed; no mismatch."""
    checked = Checked("survey")
    ours: dict[str, int] = {}
    theirs: dict[str, int] = {}
    for number in ground.paths:
        plain = ground.survey(number)
        listed = entries(ground.oracle, number)
        needs_assumed = any(entry["execution"] == "exact_with_overrides" for entry in listed)
        assumed = ground.survey(number, assumes=True) if needs_assumed else plain
        for report in (plain, assumed):
            checked.expect(not report["mismatches"], f"{number}: mismatches {report['mismatches']}")
        for entry in listed:
            gross = _entry(checked, number, entry, plain, assumed)
            token = entry["start_token"]
            ours[token] = ours.get(token, 0) + gross
            theirs[token] = theirs.get(token, 0) + int(entry["gross_profit"])
        _phantoms(checked, ground, number, plain, assumed)
    checked.expect(_by_command(ground), "the command reports other opportunities than the function it calls")
    for token, sum_theirs in theirs.items():
        checked.expect(ours[token] >= sum_theirs, f"{token}: {ours[token]} of {sum_theirs} in sum")
    shares = [row["share_bps"] for row in checked.rows if row["share_bps"] is not None]
    checked.figures = {
        "entries": len(shares),
        "least_share_bps": min(shares, default=None),
        "sum_by_token": {token[:8]: f"{ours[token]} of {theirs[token]}" for token in theirs},
        "phantoms": sum(row["execution"] == "reverts" for row in checked.rows),
    }
    return checked


def _by_command(ground: Ground) -> bool:
    """Whether `mev-agent survey` reports for the first block what the function gave."""
    number = min(ground.paths)
    reported = ground.command("survey", "--case", str(ground.paths[number]))
    return _figures(reported) == _figures(ground.survey(number))


def _figures(report: Report) -> list[tuple[Any, ...]]:
    return [(one["id"], one["outcome"], one["gross_amount"], one["gas_used"]) for one in report["opportunities"]]


def _entry(checked: Checked, number: int, entry: dict[str, Any], plain: Report, assumed: Report) -> int:
    name = name_of(number, entry)
    found = find(plain, entry)
    executed = found
    if entry["execution"] == "exact_with_overrides":
        if checked.expect(found is not None, f"{name}: not listed") and found is not None:
            _unknown(checked, name, entry, found)
        executed = find(assumed, entry)
    gross = 0
    if executed is None:
        checked.expect(False, f"{name}: not listed")
    elif checked.expect(executed["outcome"] in EXECUTED, f"{name}: {executed['outcome']} {executed['reason']}"):
        gross = int(executed["gross_amount"])
    wanted_gross = int(entry["gross_profit"])
    share_bps = gross * 10_000 // wanted_gross  # floor: a share is never shown larger than it is
    checked.expect(share_bps >= LEAST_RATIO_BPS, f"{name}: {gross} of {wanted_gross}")
    checked.rows.append(
        {
            "entry": name,
            "execution": entry["execution"],
            "token": entry["start_token"][:8],
            "oracle": wanted_gross,
            "ours": gross,
            "more": gross - wanted_gross,
            "share_bps": share_bps,
            "outcome": None if executed is None else executed["outcome"],
            "without_assumed": None if found is None else found["outcome"],
        }
    )
    return gross


def _unknown(checked: Checked, name: str, entry: dict[str, Any], found: dict[str, Any]) -> None:
    """Unknown, with the slots that the oracle found missing; or executed without touching them.

    The oracle's contract held every token on the way. Ours lets a pool pay the next one, so a slot under the oracle's
    own address need not matter: then nothing is missing, and `claims` executes it again without any assumption.
    """
    if found["outcome"] != "unknown":
        checked.expect(not found["missing"], f"{name}: {found['outcome']} though it names missing state")
        return
    wanted = {_slot(pair) for pair in entry["overrides"]}
    missing = {_slot(pair) for pair in found["missing"]}
    checked.expect(wanted <= missing, f"{name}: does not name {wanted - missing}")


def _phantoms(checked: Checked, ground: Ground, number: int, plain: Report, assumed: Report) -> None:
    for entry in ground.oracle.get(str(number), {}).get("phantoms", ()):
        name = name_of(number, entry)
        pools = {leg["pool"] for leg in entry["legs"]}
        left_out = sorted({row["reason"] for row in plain["pools"]["left_out"] if row["pool"] in pools})
        shown = []
        for report in (plain, assumed):
            for one in report["opportunities"]:
                if moment(one) != moment(entry) or steps(one["legs"]) != steps(entry["legs"]):
                    continue
                shown.append(one["outcome"])
                is_claimed = one["outcome"] in ("profit", "loss", "unpriced", "landed") and int(one["gross_amount"]) > 0
                checked.expect(not is_claimed, f"phantom {name} is claimed: {one['outcome']} {one['gross_amount']}")
        checked.expect(bool(left_out or shown), f"phantom {name}: neither listed nor a pool of it left out")
        checked.rows.append(
            {
                "entry": name,
                "execution": "reverts",
                "token": entry["start_token"][:8],
                "oracle": int(entry["gross_profit"]),
                "ours": 0,
                "more": None,
                "share_bps": None,
                "outcome": ", ".join(sorted(set(shown)) or [f"pool left out: {', '.join(left_out)}"]),
                "without_assumed": None,
            }
        )


def _slot(pair: list[str]) -> tuple[str, int]:
    return pair[0].lower(), int(pair[1], 16) if pair[1] is not None else -1
