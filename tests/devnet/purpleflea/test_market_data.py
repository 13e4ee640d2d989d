"""Books, ticks and trades: a client that follows the rules holds the venue's own book."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest

from tests.devnet.purpleflea.bench import SECOND, Bench, Client, Frame, kinds


class Follower:
    """A client's book by the contract: snapshot replaces, a delta applies only where its `prev_seq` is the last."""

    def __init__(self) -> None:
        self.seq = 0
        self.sides: dict[str, dict[str, str]] = {}

    def take(self, frame: Frame) -> None:
        if frame["type"] == "book_snapshot":
            self.sides = {name: dict(frame[name]) for name in ("bids", "asks")}
        else:
            assert frame["prev_seq"] == self.seq
            for name in ("bids", "asks"):
                for price, qty in frame[name]:
                    if Decimal(qty) == 0:
                        del self.sides[name][price]
                    else:
                        self.sides[name][price] = qty
        self.seq = frame["book_seq"]
        assert frame["checksum"] == self.checksum()

    def checksum(self) -> int:
        bids, asks = self.rows("bids"), self.rows("asks")
        parts = []
        for index in range(10):
            parts += [":".join(side[index]) for side in (bids, asks) if index < len(side)]
        return zlib.crc32(":".join(parts).encode())

    def rows(self, name: str) -> list[tuple[str, str]]:
        return sorted(self.sides[name].items(), key=lambda row: Decimal(row[0]), reverse=name == "bids")


@pytest.mark.parametrize("depth", [50, 5])
def test_snapshot_and_deltas_give_the_venues_book(depth: int) -> None:
    bench = Bench(events_per_s=50)
    client = bench.login(bench.account().trade.secret, subscribe=False)
    client.say("subscribe", channels=["orderbook"], symbols=["BTC-USDC"], depth=depth)
    follower = Follower()
    for _ in range(20):
        bench.pass_time(SECOND // 4)
        for frame in client.news("book_snapshot", "book_delta"):
            follower.take(frame)
        _, book = bench.http("GET", f"/v1/markets/BTC-USDC/orderbook?depth={depth}")
        for name in ("bids", "asks"):
            assert [list(row) for row in follower.rows(name)] == book[name]
    assert follower.seq > 50


def test_numbers_start_at_one_in_every_session_and_go_on_at_a_second_snapshot() -> None:
    bench = Bench()
    keys = bench.account()
    for _ in range(2):
        client = bench.login(keys.trade.secret, subscribe=False)
        wanted = {"channels": ["orderbook"], "symbols": ["BTC-USDC"]}
        assert [frame["book_seq"] for frame in client.say("subscribe", **wanted) if "book_seq" in frame] == [1]
        bench.trader().place("a", price="59000.0")
        assert [frame["book_seq"] for frame in client.news("book_delta")] == [2]
        assert [frame["book_seq"] for frame in client.say("subscribe", **wanted) if "book_seq" in frame] == [3]


def follow(bench: Bench, *channels: str) -> Client:
    client = bench.login(bench.account().guard.secret, subscribe=False)
    client.say("subscribe", channels=list(channels), symbols=["BTC-USDC"])
    client.news()
    return client


def test_a_trade_is_printed_and_moves_the_tick() -> None:
    bench = Bench()
    client = follow(bench, "ticker", "trades")
    bench.trader().place("m", "sell", "0.010", "60001.0")
    bench.trader().place("t", "buy", "0.004", "60001.0")
    (trade,) = client.news("trade")
    assert (trade["price"], trade["qty"], trade["aggressor"]) == ("60001.0", "0.004", "buy")
    tick = bench.venue and [frame for frame in map(_decoded, client.raw) if frame["type"] == "tick"][-1]
    assert (tick["price"], tick["ask"], tick["ask_qty"], tick["last_qty"]) == ("60001.0", "60001.0", "0.006", "0.004")
    assert "bid" not in tick


def test_nothing_is_sent_of_a_symbol_that_was_not_asked_for_or_not_any_more() -> None:
    bench = Bench()
    client = follow(bench, "ticker", "orderbook", "trades")
    bench.trader().place("m", "sell", "0.10", "3000.00", symbol="ETH-USDC")
    assert client.news() == []
    (said,) = client.say("unsubscribe", channels=["ticker", "orderbook", "trades"], symbols=["BTC-USDC"])
    assert said["type"] == "unsubscribed"
    client.news()
    bench.trader().place("n", "sell")
    assert client.news() == []


def test_what_cannot_be_subscribed_is_named() -> None:
    bench = Bench()
    client = bench.login(bench.account().trade.secret, subscribe=False)
    said = client.say("subscribe", channels=["ticker", "gossip"], symbols=["BTC-USDC", "NONE"], req_id="r")[0]
    assert (said["type"], said["req_id"], said["channels"], said["symbols"]) == (
        "subscribed",
        "r",
        ["ticker"],
        ["BTC-USDC"],
    )
    assert {(row["channel"], row["symbol"], row["code"]) for row in said["rejected"]} == {
        ("gossip", "*", "MALFORMED"),
        ("ticker", "NONE", "UNKNOWN_SYMBOL"),
    }


def test_a_subscription_begins_with_the_instrument() -> None:
    bench = Bench()
    client = bench.login(bench.account().trade.secret, subscribe=False)
    said = client.say("subscribe", channels=["ticker", "orderbook"], symbols=["BTC-USDC"])
    assert kinds(said) == ["subscribed", "instrument", "tick", "book_snapshot"]
    instrument = said[1]
    assert (instrument["tick"], instrument["lot"], instrument["quote_atoms_per_tick_lot"]) == ("0.1", "0.001", 100)


def test_the_account_channel_tells_balances_after_each_fill() -> None:
    bench = Bench()
    client = follow(bench, "account")
    keys = bench.account()
    trader = bench.login(keys.trade.secret, subscribe=False)
    trader.say("subscribe", channels=["account"], symbols=[])
    trader.news()
    bench.trader().place("m", "sell", "0.010", "60000.0")
    trader.place("t", "buy", "0.010", "60000.0")
    (account,) = trader.news("account")
    assert account["positions"][0]["qty"] == "0.010"
    assert {row["ccy"]: row["total"] for row in account["balances"]} == {"BTC": "0.01000000", "USDC": "99399.730000"}
    assert client.news() == []


def test_the_article_mode_says_what_the_article_says_and_nothing_else() -> None:
    from agent.devnet.purpleflea import Terms

    bench = Bench(terms=Terms(is_article=True))
    client = bench.login(bench.account().trade.secret, subscribe=False)
    assert client.raw == []
    client.say("subscribe", channels=["ticker", "orderbook", "fills"], symbols=["BTC-USDC"])
    order = {"symbol": "BTC-USDC", "type": "limit", "timestamp": 1_790_000_000_000}
    client.say("place_order", side="sell", quantity=0.01, price=60000.5, **order)
    other = bench.login(bench.account().trade.secret, subscribe=False)
    other.say("place_order", side="buy", quantity=0.01, price=60000.5, **order)
    told = [_decoded(data) for data in client.raw]
    assert {frame["type"] for frame in told} == {"tick", "fill"}
    (fill,) = [frame for frame in told if frame["type"] == "fill"]
    assert {name: fill[name] for name in fill if name != "exchange_ts"} == {
        "type": "fill",
        "symbol": "BTC-USDC",
        "side": "sell",
        "quantity": 0.01,
        "price": 60000.5,
    }


def _decoded(data: bytes) -> Any:
    return json.loads(data)
