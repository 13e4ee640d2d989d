"""Positions at average cost, and where money goes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from agent.devnet.purpleflea import Terms
from agent.devnet.purpleflea.accounts import Position
from agent.devnet.purpleflea.markets import default_markets
from tests.devnet.purpleflea.bench import SECOND, Bench


def test_positions_agree_with_the_vectors_of_average_cost(vectors: Path) -> None:
    cases = json.loads((vectors / "core" / "accounting.json").read_text())["cases"]
    plain = [
        case for case in cases if all(is_plain(event) for event in case["events"]) and not case["duplicates_ignored"]
    ]
    assert len(plain) > 20
    for case in plain:
        position = Position()
        expected = case.get("after_each") or [None] * (len(case["events"]) - 1) + [case["final"]]
        for event, after in zip(case["events"], expected, strict=True):
            position.apply(event["qty"] if event["side"] == "buy" else -event["qty"], event["px"], case["tick_value"])
            if after is None:
                continue
            found = (position.lots, position.cost_atoms, position.realised_atoms)
            assert found == (after["position"], after["open_cost"], after["realised"]), case["name"]


def is_plain(event: dict) -> bool:
    """A fill at a positive price without a fee in the base currency, which changes the position at another place."""
    return (
        set(event) <= {"trade_id", "side", "qty", "px", "fee", "fee_ccy"}
        and event["px"] > 0
        and event.get("fee_ccy") != "base"
    )


def test_a_spot_account_buys_with_what_it_has_and_sells_what_it_has() -> None:
    spot = msgspec.structs.replace(default_markets()[0], kind="spot")
    bench = Bench(terms=Terms(markets=(spot,)))
    seller, buyer = bench.trader("1000"), bench.trader("1000")
    assert seller.place("short", "sell", "0.001")[0]["code"] == "INSUFFICIENT_BALANCE"
    bench.engine.ledger.deposit(bench.engine.ledger.accounts[seller.account], "BTC", 1_000_000)
    assert seller.place("all", "sell", "0.010")[0]["type"] == "order_ack"
    assert seller.place("more", "sell", "0.001", "60001.0")[0]["code"] == "INSUFFICIENT_BALANCE"
    # 0.016 BTC cost 960 and 0.432 of fees; 0.017 would cost 1020.
    assert buyer.place("dear", "buy", "0.017")[0]["code"] == "INSUFFICIENT_BALANCE"
    assert buyer.place("fits", "buy", "0.016")[-1]["type"] == "fill"
    assert bench.engine.ledger.imbalance() == {}


def test_margin_holds_the_worst_case_of_open_orders() -> None:
    trader = Bench().trader("1000")
    # A tenth of 9900 and its fees fit into 1000, a tenth of 9960 and its fees do not.
    assert trader.place("a", "buy", "0.166")[0]["code"] == "INSUFFICIENT_BALANCE"
    assert trader.place("b", "buy", "0.165", "59999.0")[0]["type"] == "order_ack"
    assert trader.place("c", "buy", "0.010", "59999.0")[0]["code"] == "INSUFFICIENT_BALANCE"
    assert trader.place("d", "sell", "0.010", "60001.0")[0]["type"] == "order_ack"


def test_fees_in_the_base_currency_leave_the_quote_alone() -> None:
    market = msgspec.structs.replace(default_markets()[0], fee_in="base")
    bench = Bench(terms=Terms(markets=(market,)))
    bench.trader().place("m", "sell", "0.010", "60000.0")
    buyer = bench.trader()
    fill = buyer.place("t", "buy", "0.010", "60000.0")[-1]
    assert (fill["fee"], fill["fee_ccy"]) == ("0.00000450", "BTC")
    totals = {row["ccy"]: row["total"] for row in bench.books_of(buyer)["balances"]}
    assert totals == {"BTC": "0.00999550", "USDC": "99400.000000"}
    assert bench.engine.ledger.imbalance() == {}


def test_fees_in_a_third_currency_are_owed_there() -> None:
    market = msgspec.structs.replace(default_markets()[0], fee_in="third", third_price_ppm=3_000_000)
    bench = Bench(terms=Terms(markets=(market,)))
    maker = bench.trader()
    maker.place("m", "sell", "0.010", "60000.0")
    buyer = bench.trader()
    # 600 quote, 450 ppm: 0.27 quote or 0.09 of what is worth three; the rebate of 0.03 is 0.01.
    assert buyer.place("t", "buy", "0.010", "60000.0")[-1]["fee"] == "0.090000"
    totals = {row["ccy"]: row["total"] for row in bench.books_of(buyer)["balances"]}
    assert totals == {"BTC": "0.01000000", "USDC": "99400.000000", "PFT": "-0.090000"}
    assert maker.news("fill")[0]["fee"] == "-0.010000"
    assert bench.engine.ledger.imbalance() == {}


def test_a_busted_trade_gives_back_money_and_fees() -> None:
    bench = Bench(faults=[{"knob": "F17", "parameters": {"after_s": 1}, "when": {"count": 1}}])
    maker, taker = bench.trader(), bench.trader()
    maker.place("m", "sell", "0.010", "60000.0")
    taker.place("t", "buy", "0.010", "60000.0")
    bench.pass_time(SECOND)
    for client in (maker, taker):
        books = bench.books_of(client)
        assert books["balances"][-1]["total"] == "100000.000000"
        assert books["fees_paid"] == {"USDC": "0.000000"}
        assert books["fills"][0]["busted"] is True


@pytest.mark.parametrize(("stp", "trades"), [("cancel_taker", 0), ("cancel_both", 0), ("cancel_maker", 1)])
def test_an_own_order_in_the_way_stops_a_fill_or_kill_unless_it_gives_way(stp: str, trades: int) -> None:
    bench = Bench()
    maker, taker = bench.trader(), bench.trader()
    taker.place("own", "sell", "0.001", "60000.0")
    maker.place("m", "sell", "0.010", "60000.1")
    taker.place("t", "buy", "0.010", "60001.0", type="fok", stp=stp)
    assert len(bench.engine.trades) == trades
