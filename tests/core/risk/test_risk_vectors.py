"""Every scripted expectation for single breakers, through the real classes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.core.instruments import Side
from agent.core.risk.breakers.day_loss import DayLoss
from agent.core.risk.breakers.drawdown import Drawdown
from agent.core.risk.breakers.slippage import ONE_FP, Slippage, slippage_fp
from agent.core.risk.exposure import is_within, worst_exposure
from agent.core.risk.profiles import CONSERVATIVE, PPM, PROFILES, Profile
from agent.core.risk.rate import RateQueue
from tests.core.risk.making import DAY_NS, breakers, stamp, with_limits

Case = dict[str, Any]


@pytest.fixture(scope="module")
def risk(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "core" / "risk.json").read_text())
    return loaded


def test_the_profiles_have_the_published_figures(risk: dict[str, Any]) -> None:
    assert PROFILES.keys() == risk["profiles_ppm"].keys()
    for name, figures in risk["profiles_ppm"].items():
        profile = PROFILES[name]
        assert figures == {
            "day_loss": profile.day_loss_ppm,
            "position": profile.position_ppm,
            "rate": profile.orders_per_s,
            "losses": profile.losses,
            "slippage": profile.slippage_ppm,
            "drawdown": profile.drawdown_ppm,
        }


def test_the_token_bucket_and_its_queue(risk: dict[str, Any]) -> None:
    assert len(risk["token_bucket"]) == 9
    for case in risk["token_bucket"]:
        rate = {"orders_per_s": case["rate_per_s"], "queue_ttl_ns": case["ttl_ns"]}
        profile: Profile = msgspec.structs.replace(CONSERVATIVE, **rate)
        queue = RateQueue.start(profile, case["submits"][0]["t_ns"])
        assert queue.orders.per_s == case["queue_max"]
        got: dict[str, list[Any]] = {}

        def run(now_ns: int, queue: RateQueue = queue, got: dict[str, list[Any]] = got) -> None:
            for outcome in queue.run(now_ns, lambda order, at_ns: None):
                reason = outcome.reason
                got[outcome.id] = [*(("SENT", "") if reason is None else denied(reason)), outcome.at_ns]

        for submit in case["submits"]:
            now_ns = submit["t_ns"]
            run(now_ns)
            answer = queue.submit(
                submit["id"],
                symbol="X-Q",
                side=Side.BUY,
                is_reducing=submit["cls"] == 1,
                touch_ticks=1,
                now_ns=now_ns,
                expires_ns=submit["expires_ns"],
            )
            if answer is True:
                got[submit["id"]] = ["SENT", "", now_ns]
            elif answer is not False:
                got[submit["id"]] = [*denied(answer), now_ns]
        while (deadline_ns := queue.next_deadline_ns()) is not None:
            run(deadline_ns)
        assert got == case["expect"], case["name"]


def denied(reason: str) -> tuple[str, str]:
    return "DENIED", reason.removeprefix("R_")


def test_worst_exposure(risk: dict[str, Any]) -> None:
    assert len(risk["worst_exposure"]) == 12
    for case in risk["worst_exposure"]:
        exposure = exposure_of(case)
        expect = case["expect"]
        assert (exposure.max_long_lots, exposure.max_short_lots) == (expect["max_long"], expect["max_short"])
        assert exposure.worst_lots == expect["worst_lots"], case["name"]
        assert exposure.side_value_atoms == expect["side_value"], case["name"]
        assert exposure.is_reducing is expect["reducing"], case["name"]
        is_allowed = exposure.is_reducing or is_within(exposure.side_value_atoms, case["nav_ref"], case["limit_ppm"])
        assert is_allowed is (expect["decision"] == "ALLOW"), case["name"]


def exposure_of(case: Case) -> Any:
    def reserved(side: str) -> int:
        working = sum(order["leaves"] for order in case["orders"] if order["side"] == side)
        return int(working + case[f"owed_{side}"])

    new = case["new"]
    return worst_exposure(
        position_lots=case["position"],
        reserved_buy_lots=reserved("buy"),
        reserved_sell_lots=reserved("sell"),
        side=Side(new["side"]),
        lots=new["qty"],
        price_ticks=new["px"],
        highest_buy_ticks=max((order["px"] for order in case["orders"] if order["side"] == "buy"), default=0),
        mark_ticks=case["mark"],
        tick_value_atoms=case["tick_value"],
    )


def test_the_days_loss(risk: dict[str, Any]) -> None:
    assert len(risk["daily_loss"]) == 7
    for case in risk["daily_loss"]:
        state = DayLoss()
        state.on_nav(case["nav_sod"], True, case["limit_ppm"], 0)
        state.on_flow(case["deposits"])
        state.on_flow(-case["withdrawals"])
        trips = state.on_nav(case["nav"], True, case["limit_ppm"], 0)
        assert state.loss_atoms == case["expect"]["loss"], case["name"]
        assert trips is case["expect"]["trip"], case["name"]


def test_losses_in_a_row(risk: dict[str, Any]) -> None:
    assert len(risk["loss_streak"]) == 8
    for case in risk["loss_streak"]:
        held = breakers(with_limits(losses=case["limit"]))
        for event, expect in zip(case["events"], case["expect"], strict=True):
            now = stamp(event["t_ns"])
            held.on_time(now)
            trips = any(held.on_episode(event["result"], now))
            pause = held.streak.pause
            assert {
                "count": held.streak.count,
                "trip": trips,
                "paused_until": None if pause is None else pause.as_of_ns + pause.left_ns,
                "pauses_today": held.streak.pauses_today,
                "mode": held.mode().words,
            } == expect, case["name"]


def test_drawdown(risk: dict[str, Any]) -> None:
    assert len(risk["drawdown"]) == 7
    for case in risk["drawdown"]:
        state = Drawdown()
        for mark, expect in zip(case["marks"], case["expect"], strict=True):
            state.on_nav(mark["unit_value"], True, case["D_ppm"], mark["t_ns"] // DAY_NS, mark["t_ns"])
            high = Fraction(state.high_nav_atoms, state.high_units)
            assert (high - Fraction(state.nav_atoms, state.units)) / high * PPM == Fraction(expect["dd_ppm"])
            assert state.rung.name == expect["level"], case["name"]


def test_slippage_is_the_exact_figure_rounded_up(risk: dict[str, Any]) -> None:
    """These expectations are exact fractions: ours is at most one unit of the fixed point a step above them."""
    assert len(risk["slippage"]) == 5
    for case in risk["slippage"]:
        state = Slippage()
        for number, (order, expect) in enumerate(zip(case["orders"], case["expect"], strict=True), 1):
            side = Side(order["side"])
            lots = sum(part["qty"] for part in order["fills"])
            cost = sum(part["qty"] * part["px"] for part in order["fills"])
            middle = order["bid_plus_ask"]
            state.on_order(side, lots, cost, middle, case["limit_ppm"], number)
            if expect["s_ppm"] is None:
                assert state.average_fp is None
            else:
                over = slippage_fp(side, lots, cost, middle) - Fraction(expect["s_ppm"]) * ONE_FP
                assert 0 <= over < 1, case["name"]
                assert state.average_fp is not None
                assert 0 <= state.average_fp - Fraction(expect["ewma_ppm"]) * ONE_FP < 2 * number, case["name"]
            assert ("LIMIT_ONLY" if state.is_tripped else "ACTIVE") == expect["mode"], case["name"]
