"""Scripts in which breakers, days, restarts and flows meet, through `Breakers` and `RateQueue` as the core has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.accounts.marks import Valuation
from agent.core.codes import Code
from agent.core.instruments import Side
from agent.core.risk.breakers import Breakers
from agent.core.risk.breakers.slippage import slippage_fp
from agent.core.risk.rate import TOKEN_NANO, RateQueue, Waiting
from tests.core.risk.making import book, breakers, restored, stamp, with_limits

Entry = dict[str, Any]
Player = Callable[[dict[str, Any]], Callable[[Entry], dict[str, Any]]]
SYMBOL = "X-Q"


def play_slippage(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    held = breakers(with_limits(slippage_ppm=params["limit_ppm"]))

    def step(entry: Entry) -> dict[str, Any]:
        now = stamp(entry["t_ns"])
        held.on_time(now)
        slip_fp = None
        if entry["ev"] == "order":
            lots = sum(lots for lots, _ in entry["fills"])
            cost = sum(lots * price for lots, price in entry["fills"])
            before = held.slippage[SYMBOL].average_fp if SYMBOL in held.slippage else None
            held.on_order_finished(SYMBOL, Side(entry["side"]), lots, cost, entry["bid_plus_ask"], now)
            slip_fp = observed_slip_fp(before, held, entry, lots, cost)
        else:
            shown = [[tuple(level) for level in entry["book"][side]] for side in ("bids", "asks")]
            held.on_book(SYMBOL, book(*shown, entry["t_ns"]), now)
        state = held.slippage.get(SYMBOL)
        return {
            "s_fp": slip_fp,
            "ewma_fp": None if state is None else state.average_fp,
            "mode": held.mode(SYMBOL).words,
        }

    return step


def observed_slip_fp(before: int | None, held: Breakers, entry: Entry, lots: int, cost: int) -> int | None:
    """The slippage of one order, where it counted: the average moved by it."""
    state = held.slippage.get(SYMBOL)
    if state is None or not lots or state.average_fp == before:
        return None
    return slippage_fp(Side(entry["side"]), lots, cost, entry["bid_plus_ask"])


def play_nav(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    held = breakers(with_limits(drawdown_ppm=params["D_ppm"], day_loss_ppm=params["day_ppm"]))
    held.on_time(stamp(0))
    held.on_nav(Valuation(params["nav"]), stamp(0))

    def step(entry: Entry) -> dict[str, Any]:
        now = stamp(entry["t_ns"])
        held.on_time(now)
        if entry["ev"] == "flow":
            held.on_flow(entry["amount"], now)
        else:
            held.on_nav(Valuation(entry["nav"]), now)
        drawdown = held.drawdown
        return {
            "nav": drawdown.nav_atoms,
            "units": drawdown.units,
            "hwm": [drawdown.high_nav_atoms, drawdown.high_units],
            "level": drawdown.rung.name,
            "day_loss": held.loss_today_atoms,
            "day_trip": "day_loss" in held.holds,
        }

    return step


def play_day_roll(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    box = [breakers(with_limits(day_loss_ppm=params["limit_ppm"], drawdown_ppm=400_000))]

    def step(entry: Entry) -> dict[str, Any]:
        now = stamp(entry["ts_ns"])
        if entry["ev"] == "restart":
            box[0] = restored(box[0])
            box[0].on_restart(now.monotonic_ns)
        held = box[0]
        held.on_time(now)
        match entry["ev"]:
            case "mark":
                held.on_nav(Valuation(entry["cash"] + entry["pos"] * entry["mark"]), now)
            case "flow":
                held.on_flow(entry["amount"], now)
            case "order":
                held.count_order(1)
            case "reset":
                held.reset("day_loss", "seen and understood", now)
        return {
            "nav": held.day_loss.nav_atoms,
            "nav_sod": held.day_loss.nav_start_atoms,
            "loss": held.loss_today_atoms,
            "orders_today": held.orders_today,
            "mode": held.mode().words,
        }

    return step


def play_pause(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    box = [breakers(with_limits(losses=params["limit"]))]

    def step(entry: Entry) -> dict[str, Any]:
        now = stamp(entry["ts_ns"], entry["mono_ns"])
        trips = False
        if entry["ev"] == "restart":
            box[0] = restored(box[0])
            box[0].on_restart(now.monotonic_ns)
        held = box[0]
        held.on_time(now)
        if entry["ev"] == "episode":
            trips = bool(held.on_episode(entry["result"], now))
        pause = held.streak.pause
        return {
            "count": held.streak.count,
            "trip": trips,
            "remaining_ns": None if pause is None else pause.left_at_ns(now.monotonic_ns),
            "pauses_today": held.streak.pauses_today,
            "mode": held.mode().words,
        }

    return step


def submit(queue: RateQueue, id_: str, now_ns: int, touch: int = 1) -> str:
    answer = queue.submit(id_, symbol=SYMBOL, side=Side.BUY, is_reducing=False, touch_ticks=touch, now_ns=now_ns)
    assert isinstance(answer, bool)
    return "SENT" if answer else "QUEUED"


def play_cancel_bucket(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    queue = RateQueue.start(with_limits(orders_per_s=params["rate_per_s"]), 0)

    def step(entry: Entry) -> dict[str, Any]:
        now_ns = entry["t_ns"]
        queue.run(now_ns, lambda order, at_ns: None)
        result: dict[str, Any] = {"result": "SENT"}
        if entry["ev"] == "place":
            result["result"] = submit(queue, f"o{queue.length}", now_ns)
        elif entry["ev"] == "cancel":
            wait_ns = queue.take_cancel(now_ns)
            result = {"result": "WAIT" if wait_ns else "SENT", "wait_ns": wait_ns}
        tokens = {"order_tokens": queue.orders.tokens_nano, "cancel_tokens": queue.cancels.tokens_nano}
        return result | tokens

    return step


def play_requeue(params: dict[str, Any]) -> Callable[[Entry], dict[str, Any]]:
    queue = RateQueue.start(with_limits(orders_per_s=params["rate_per_s"], requeue_ticks=params["requeue_ticks"]), 0)
    queue.orders.tokens_nano = params["tokens"] * TOKEN_NANO
    touch = [0]

    def recheck(waiting: Waiting, at_ns: int) -> Code | None:
        return Code.TOUCH_MOVED if queue.has_touch_moved(waiting, touch[0]) else None

    def step(entry: Entry) -> dict[str, Any]:
        now_ns = entry["t_ns"]
        results: dict[str, list[Any]] = {}
        for outcome in queue.run(now_ns, recheck):
            verdict = ("SENT", "") if outcome.reason is None else ("DENIED", outcome.reason.removeprefix("R_"))
            results[outcome.id] = [*verdict, outcome.at_ns]
        if entry["ev"] == "touch":
            touch[0] = entry["touch"]
        elif entry["ev"] == "place":
            results[entry["id"]] = [submit(queue, entry["id"], now_ns, touch[0]), "", now_ns]
        elif entry["ev"] == "disconnect":
            for outcome in queue.on_disconnect(now_ns):
                assert outcome.reason is Code.NOT_LIVE
                results[outcome.id] = ["DENIED", "DISCONNECT", outcome.at_ns]
        return {"results": results, "tokens": queue.orders.tokens_nano}

    return step


PLAYERS: dict[str, Player] = {
    "slippage": play_slippage,
    "nav": play_nav,
    "day_roll": play_day_roll,
    "pause": play_pause,
    "cancel_bucket": play_cancel_bucket,
    "requeue": play_requeue,
}


@pytest.fixture(scope="module")
def sequences(vectors: Path) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((vectors / "core" / "breaker_sequences.json").read_text())["sequences"]
    assert len(loaded) == 38 and sum(len(sequence["entries"]) for sequence in loaded) == 264
    return loaded


@pytest.mark.parametrize("kind", PLAYERS)
def test_every_entry_of_every_sequence(sequences: list[dict[str, Any]], kind: str) -> None:
    of_kind = [sequence for sequence in sequences if sequence["kind"] == kind]
    assert of_kind
    for sequence in of_kind:
        step = PLAYERS[kind](sequence["params"])
        for number, entry in enumerate(sequence["entries"]):
            assert step(entry["in"]) == entry["expect"], f"{sequence['name']}, entry {number}"


def test_no_kind_of_sequence_is_left_out(sequences: list[dict[str, Any]]) -> None:
    assert {sequence["kind"] for sequence in sequences} == PLAYERS.keys()
