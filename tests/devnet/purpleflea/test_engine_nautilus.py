"""Takers of one account beside NautilusTrader's simulated exchange: fills, fees, positions and the balance at the end.

Each step shows a book and sends one order; the same steps go through the venue, where other accounts make the book.
NautilusTrader keeps commissions to eight digits where the venue rounds each fee up to an atom of six, so a fee here is
theirs rounded up, and the balances differ by the sum of that. What is left is their average price, a float whose
profits are rounded to eight digits: at most one of the last digits for each fill.
"""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from agent.devnet.purpleflea import Terms
from tests.devnet.purpleflea.bench import Bench
from tests.devnet.purpleflea.test_engines import MID, foreign, free_market, price, qty

pytestmark = pytest.mark.peer

FUNDS = 10_000_000
ATOM = 1_000_000
"""Atoms in one USDC."""

Step = dict[str, Any]


def ours(steps: list[Step]) -> Any:
    bench = Bench(terms=Terms(markets=(free_market(),), max_open=100_000))
    makers = [bench.trader("100000000000"), bench.trader("100000000000")]
    taker = bench.trader(str(FUNDS))
    found = []
    for index, step in enumerate(steps):
        bench.clock.ns += 1_000_000_000
        for name, side in (("bids", "buy"), ("asks", "sell")):
            for level, (ticks, lots) in enumerate(step[name]):
                said = makers[level % 2].place(
                    f"{side}{index}-{level}", side, qty(lots), price(ticks), type="post_only"
                )
                assert said[0]["type"] == "order_ack", said
        limit = None if step["ticks"] is None else price(step["ticks"])
        said = taker.place(
            f"t{index}", step["side"], qty(step["lots"]), limit, type=step["type"], reduce_only=step["reduce_only"],
            **({"max_slippage_ticks": 10_000} if limit is None else {}),
        )  # fmt: skip
        fills = [frame for frame in said if frame["type"] == "fill"]
        found.append(
            {
                "fills": [[lots_of(frame["qty"]), ticks_of(frame["price"]), frame["fee"]] for frame in fills],
                "ended": said[-1]["type"] if said[-1]["type"] in ("order_canceled", "reject") else "",
                "position": lots_of(bench.position(taker) or "0.000"),
            }
        )
        for maker in makers:
            maker.say("cancel_all")
    balances = {row["ccy"]: row["total"] for row in bench.books_of(taker)["balances"]}
    return {"orders": found, "balance": balances["USDC"]}


def lots_of(text: str) -> int:
    return int(text.replace(".", ""))


def ticks_of(text: str) -> int:
    return int(text.replace(".", ""))


def stream(seed: int, count: int, types: tuple[str, ...]) -> list[Step]:
    """Books of five levels a side, and orders that may take several of them; the last one goes back to flat."""
    dice = random.Random(seed)
    steps: list[Step] = []
    for _ in range(count):
        steps.append(
            {
                **book(dice),
                "side": dice.choice(("buy", "sell")),
                "lots": dice.randint(1, 60),
                "type": dice.choice(types),
                "ticks": MID + dice.randint(-60, 60),
                "reduce_only": False,
            }
        )
        if steps[-1]["type"] == "market":
            steps[-1]["ticks"] = None
    return steps


def book(dice: random.Random) -> dict[str, list[list[int]]]:
    """At least 100 lots a side, so that a market order never sees the end of it."""
    mid = MID + dice.randint(-20, 20)
    return {
        name: [[mid + sign * (5 + 9 * level), dice.randint(20, 40)] for level in range(5)]
        for name, sign in (("bids", -1), ("asks", 1))
    }


def flat_again(steps: list[Step]) -> list[Step]:
    """The same steps and one market order that closes what is open after them."""
    position = ours(steps)["orders"][-1]["position"]
    if position == 0:
        return steps
    deep = {"bids": [[MID - 10, 5_000]], "asks": [[MID + 10, 5_000]]}
    side = "sell" if position > 0 else "buy"
    closing = {**deep, "side": side, "lots": abs(position), "type": "market", "ticks": None, "reduce_only": True}
    return [*steps, closing]


SHALLOW = {"bids": [[MID - 10, 5]], "asks": [[MID + 10, 5], [MID + 20, 5]]}


def order(side: str, lots: int, kind: str, ticks: int | None = None, *, reduce_only: bool = False) -> Step:
    return {**SHALLOW, "side": side, "lots": lots, "type": kind, "ticks": ticks, "reduce_only": reduce_only}


STREAMS = 4
EDGES: dict[str, list[Step]] = {
    "fok too big": [order("buy", 15, "fok", MID + 20)],
    "ioc too dear": [order("buy", 3, "ioc", MID)],
    "nothing to reduce": [order("sell", 5, "market", reduce_only=True)],
    "reduce by market": [order("buy", 3, "market"), order("sell", 5, "market", reduce_only=True)],
    "reduce by ioc": [order("buy", 3, "market"), order("sell", 5, "ioc", MID - 10, reduce_only=True)],
    "reduce by fok": [order("buy", 3, "market"), order("sell", 5, "fok", MID - 10, reduce_only=True)],
    "beyond the book": [order("buy", 15, "market")],
}


class Compared(NamedTuple):
    """Results of the same streams and edges, here and there."""

    ours: list[Any]
    theirs: list[Any]

    def edge(self, name: str) -> tuple[Any, Any]:
        """The last order's result of an edge: (here, there)."""
        index = STREAMS + list(EDGES).index(name)
        return self.ours[index]["orders"][-1], self.theirs[index]["orders"][-1]


@pytest.fixture(scope="module")
def compared() -> Compared:
    streams = [flat_again(stream(seed, 300, ("market", "ioc", "fok"))) for seed in range(STREAMS)]
    instrument = free_market().instrument
    fees = {"maker_ppm": instrument.maker_fee_ppm, "taker_ppm": instrument.taker_fee_ppm}
    given = [*streams, *EDGES.values()]
    return Compared([ours(steps) for steps in given], foreign("nautilus", given, json.dumps(fees)))


@pytest.mark.parametrize("seed", range(STREAMS))
def test_fills_fees_positions_and_the_last_balance_agree(seed: int, compared: Compared) -> None:
    own, other = compared.ours[seed], compared.theirs[seed]
    rounded = Fraction(0)
    for mine, theirs in zip(own["orders"], other["orders"], strict=True):
        assert [fill[:2] for fill in mine["fills"]] == [fill[:2] for fill in theirs["fills"]]
        for (_, _, fee), (_, _, commission) in zip(mine["fills"], theirs["fills"], strict=True):
            atoms = Fraction(commission) * ATOM
            assert Fraction(fee) * ATOM == math.ceil(atoms)
            rounded += Fraction(fee) - Fraction(commission)
        if mine["fills"]:
            assert mine["position"] == theirs["position"]
        assert bool(mine["ended"]) == bool(theirs["ended"])
    assert own["orders"][-1]["position"] == 0
    fills = sum(len(order["fills"]) for order in own["orders"])
    assert fills > 200
    assert abs(Fraction(own["balance"]) + rounded - Fraction(other["balance"])) <= fills * Fraction(1, 10**8)


@pytest.mark.parametrize(
    ("name", "fills"),
    [
        ("fok too big", []),
        ("ioc too dear", []),
        ("nothing to reduce", []),
        ("reduce by market", [[3, MID - 10]]),
        ("reduce by ioc", [[3, MID - 10]]),
        ("beyond the book", [[5, MID + 10], [5, MID + 20]]),
    ],
)
def test_edges_trade_the_same(name: str, fills: list[list[int]], compared: Compared) -> None:
    for result in compared.edge(name):
        assert [fill[:2] for fill in result["fills"]] == fills


def test_what_a_market_order_cannot_get_is_cancelled_here_and_stays_open_there(compared: Compared) -> None:
    here, there = compared.edge("beyond the book")
    assert (here["ended"], there["ended"]) == ("order_canceled", "")


def test_what_is_too_much_to_reduce_is_cancelled_here_and_shrinks_unsaid_there(compared: Compared) -> None:
    here, there = compared.edge("reduce by market")
    assert (here["ended"], there["ended"]) == ("order_canceled", "")


def test_fill_or_kill_means_all_that_was_asked_for_here_and_all_that_reduces_there(compared: Compared) -> None:
    here, there = compared.edge("reduce by fok")
    assert here["fills"] == []
    assert [fill[:2] for fill in there["fills"]] == [[3, MID - 10]]
