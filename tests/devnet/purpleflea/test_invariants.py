"""Laws that hold after every step, whatever the accounts send: conservation, no crossed book, first come first served."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.instruments import Side
from agent.devnet.purpleflea.engine import MatchingEngine
from agent.devnet.purpleflea.orders import Order
from tests.devnet.purpleflea.bench import Bench

ACCOUNTS = 3
PRICES = [f"{60000 + tenths / 10:.1f}" for tenths in range(-6, 7)]

place = st.fixed_dictionaries(
    {
        "do": st.just("place"),
        "who": st.integers(0, ACCOUNTS - 1),
        "side": st.sampled_from(["buy", "sell"]),
        "qty": st.integers(1, 9).map(lambda lots: f"0.{lots:03d}"),
        "price": st.sampled_from(PRICES),
        "type": st.sampled_from(["limit", "limit", "limit", "ioc", "fok", "post_only", "market"]),
        "stp": st.sampled_from(["cancel_taker", "cancel_maker", "cancel_both"]),
        "reduce_only": st.booleans(),
    }
)
change = st.fixed_dictionaries(
    {
        "do": st.sampled_from(["cancel", "amend", "amend", "cancel_all"]),
        "who": st.integers(0, ACCOUNTS - 1),
        "which": st.integers(0, 30),
        "qty": st.integers(1, 9).map(lambda lots: f"0.{lots:03d}"),
        "price": st.sampled_from(PRICES),
    }
)


def check(engine: MatchingEngine) -> None:
    assert engine.ledger.imbalance() == {}
    for symbol, book in engine.books.items():
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is None or ask is None or bid.price_ticks < ask.price_ticks
        for half in (book.bids, book.asks):
            for level in half.levels():
                queue = list(level.orders.values())
                assert [order.arrival for order in queue] == sorted(order.arrival for order in queue)
                assert level.lots == sum(order.leaves_lots for order in queue)
                assert all(order.leaves_lots > 0 and order.place.symbol == symbol for order in queue)
    for order in engine.by_order_id.values():
        assert 0 <= order.cum_lots <= max(order.lots, order.cum_lots)
        assert (order.status == "filled") <= (order.cum_lots == order.lots)
    for name, account in engine.ledger.accounts.items():
        mine = list(engine.open_orders[name].values())
        for symbol, working in account.working.items():
            assert working.buy_lots == held(mine, symbol, Side.BUY)
            assert working.sell_lots == held(mine, symbol, Side.SELL)
    if engine.trades:
        trade = engine.trades[-1]
        assert trade.taker.account != trade.maker.account
        worst = trade.taker.price_ticks
        assert trade.price_ticks <= worst if trade.taker.place.side is Side.BUY else trade.price_ticks >= worst


def held(orders: list[Order], symbol: str, side: Side) -> int:
    return sum(order.leaves_lots for order in orders if order.place.symbol == symbol and order.place.side is side)


@settings(max_examples=60)
@given(steps=st.lists(place | change, max_size=40))
def test_the_laws_hold_after_every_step(steps: list[dict[str, Any]]) -> None:
    bench = Bench()
    clients = [bench.trader() for _ in range(ACCOUNTS)]
    for number, step in enumerate(steps):
        client = clients[step["who"]]
        name = f"{step['who']}-{step.get('which', number)}"
        if step["do"] == "place":
            client.place(
                name, step["side"], step["qty"], step["price"],
                type=step["type"], stp=step["stp"], reduce_only=step["reduce_only"],
            )  # fmt: skip
        elif step["do"] == "cancel":
            client.say("cancel_order", client_order_id=name)
        elif step["do"] == "cancel_all":
            client.say("cancel_all")
        else:
            client.say(
                "amend_order",
                client_order_id=name,
                quantity=step["qty"],
                price=step["price"],
                session_epoch=client.epoch,
            )
        check(bench.engine)
    positions = [account.position("BTC-USDC").lots for account in bench.engine.ledger.accounts.values()]
    assert sum(positions) == 0
    for client in clients:
        check_told(bench, client)


def check_told(bench: Bench, client: Any) -> None:
    """What the client was told adds up to what the venue holds."""
    frames = client.news()
    numbered = {
        frame["exec_seq"]: frame for frame in frames if "exec_seq" in frame and frame["type"] != "cancel_all_done"
    }
    account = bench.venue.floor.sessions[client.conn_id].account
    assert sorted(numbered) == list(range(1, bench.engine.executions[account].last_seq + 1))
    told = 0
    for frame in numbered.values():
        if frame["type"] == "fill":
            told += round(float(frame["qty"]) * 1000) * (1 if frame["side"] == "buy" else -1)
    assert told == bench.engine.ledger.accounts[account].position("BTC-USDC").lots


@pytest.mark.parametrize("seed", [1, 2])
def test_the_laws_hold_under_the_flow(seed: int) -> None:
    bench = Bench(seed=seed, events_per_s=50)
    trader = bench.trader()
    flow = bench.venue.flow
    assert flow is not None
    for index in range(400):
        flow.act()
        if index % 7 == 0:
            trader.place(f"t{index}", "buy" if index % 2 else "sell", "0.050", "60000.0", type="ioc")
        check(bench.engine)
    assert len(bench.engine.trades) > 50


def test_the_same_seed_gives_the_same_bytes() -> None:
    def run(seed: int) -> list[bytes]:
        bench = Bench(seed=seed, events_per_s=50)
        trader = bench.trader()
        trader.say("subscribe", channels=["ticker", "orderbook", "trades"], symbols=[])
        for index in range(20):
            bench.pass_time(100_000_000)
            trader.place(f"t{index}", "buy", "0.010", "60100.0", type="ioc")
        return trader.raw

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_events_come_in_clusters_at_about_the_rate_asked_for() -> None:
    bench = Bench(events_per_s=20)
    assert bench.venue.flow is not None
    bench.pass_time(60_000_000_000)
    # A branching of one half doubles the base rate.
    assert 1_800 < bench.venue.flow.events < 3_000
