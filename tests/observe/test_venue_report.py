"""The report of a run at an order-book venue: its counts are those of the run, not of what was kept of it."""

from __future__ import annotations

from typing import Any

from agent.core.effects.control import Alarm
from agent.engine.venue_result import VenueResult
from agent.observe.venue_report import decimal_text, venue_report, venue_table


def report(**more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run": "r",
        "started_wall_ns": 0,
        "seconds": 1.0,
        "session": "live",
        "is_halted": False,
        "halt_reason": "",
        "nav_start_atoms": None,
        "nav_atoms": None,
        "realised_atoms": 0,
        "fees_atoms": 0,
        "funding_atoms": 0,
        "positions": {},
        "cash": {},
        "fills": [],
        "fills_total": 0,
        "instruments": {},
        "counts": {},
        "alarms": [],
        "modes": [],
        "breakers": {},
        "connections": 1,
        "records": 1,
        "run_epoch": 1,
        "open_orders": 0,
    }
    return venue_report(
        VenueResult(**(values | more)),
        world="venue",
        mode="live",
        currency="USDC",
        digits=6,
        stages={},
        differences=None,
    )


def test_counts_are_of_everything_and_not_of_what_was_kept() -> None:
    kept = [Alarm("warning", "CLOCK_STEP", "clock", "")]
    counts = {"Place": 7, "R_PAUSED": 3, "alarm CLOCK_STEP": 12_345}
    data = report(alarms=kept, counts=counts, fills_total=250_000)["data"]
    assert (data["alarms"], data["fills_total"]) == ({"CLOCK_STEP": 12_345}, 250_000)
    assert (data["orders"], data["refusals"]) == ({"Place": 7}, {"R_PAUSED": 3})


def test_what_is_not_known_is_no_number() -> None:
    document = report()
    assert document["data"]["totals"]["profit_USDC"] is None
    assert "profit   unknown USDC" in venue_table(document)


def test_money_is_written_to_its_last_digit() -> None:
    assert decimal_text(-1, 6) == "-0.000001"
    assert decimal_text(10**30 + 1, 6) == f"{10**24}.000001"
    data = report(nav_start_atoms=10**24, nav_atoms=10**24 - 1)["data"]
    assert data["totals"]["profit_USDC"] == "-0.000001"
    assert data["totals"]["profit_atoms"] == "-1"


def test_a_halt_says_who_and_why() -> None:
    table = venue_table(report(is_halted=True, halt_reason="guard: its process ended"))
    assert table.endswith("HALTED   guard: its process ended")
