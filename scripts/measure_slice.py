"""Check of the slice: the same seed lands the same, at least three, and the books are the chain's."""

from __future__ import annotations

from typing import Any

from agent.devnet.mainnet import WETH
from agent.eth.hexes import to_address
from scripts.measure_ground import Checked, Ground, Report
from scripts.measure_witness import Seen, watched

SEEDS = (0, 7)
LEAST_LANDED = 3


def slice_run(ground: Ground) -> Checked:
    """Each seed twice, one of the times by the real command."""
    checked = Checked("slice")
    for seed in SEEDS:
        with watched(seed=seed) as seen:
            report = ground.run(None, seed=seed)
        again = ground.command("run", "--slice", "--seed", str(seed), "--pace", "fast")
        _books(checked, seed, report, seen)
        same = _mined(report) == _mined(again)
        checked.expect(same, f"seed {seed}: another run lands {_mined(again)}, not {_mined(report)}")
        landed = report["funnel"]["landed"]
        checked.expect(landed >= LEAST_LANDED, f"seed {seed}: {landed} landed")
        checked.rows.append(
            {
                "seed": seed,
                "blocks": len(report["blocks"]),
                "found": report["funnel"]["found"],
                "sent": report["funnel"]["sent"],
                "landed": landed,
                "same_again": same,
                "net_wei": int(report["totals"]["net_wei"]),
            }
        )
    checked.figures = {"landed": sum(row["landed"] for row in checked.rows)}
    return checked


def _mined(report: Report) -> list[tuple[str, str, int]]:
    return [(one["opportunity"], one["hash"], one["index"]) for one in report["transactions"]]


def _books(checked: Checked, seed: int, report: Report, seen: list[Seen]) -> None:
    """The report's books agree in themselves, and with what this side read at each block."""
    for row in report["books"]:
        same = row["booked"] == row["chain"]
        checked.expect(same, f"seed {seed}: {row['token']} {row['booked']} booked, {row['chain']} on chain")
        if row["token"] == "ETH":
            read = sum(one.operators_gained_wei for one in seen)
        else:
            token = to_address(row["token"])
            read = sum(one.gained(one.ours.vault, token) for one in seen)
        checked.expect(read == int(row["booked"]), f"seed {seed}: {row['token']} {row['booked']} booked, {read} read")
    checked.expect(bool(report["books"]), f"seed {seed}: no books")
    checked.expect(not report["mismatches"], f"seed {seed}: mismatches {report['mismatches']}")
    checked.expect(not any(one.fallen() for one in seen), f"seed {seed}: a balance of ours fell")
    landed: list[dict[str, Any]] = [one for one in report["opportunities"] if one["outcome"] == "landed"]
    if landed and all(to_address(one["token"]) == WETH for one in landed):
        gained = sum(one.gained(one.ours.vault, WETH) + one.operators_gained_wei for one in seen)
        net = int(report["totals"]["net_wei"])
        checked.expect(gained == net, f"seed {seed}: {net} wei reported, {gained} on chain")
