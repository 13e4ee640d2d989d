"""The matching rules, one by one, as a client sees them."""

from __future__ import annotations

import pytest

from agent.core.instruments import TradingStatus
from tests.devnet.purpleflea.bench import SECOND, START_WALL_NS, Bench, Client, kinds


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def maker(bench: Bench) -> Client:
    return bench.trader()


@pytest.fixture
def taker(bench: Bench) -> Client:
    return bench.trader()


def fills(frames: list[dict]) -> list[tuple[str, str]]:
    return [(frame["qty"], frame["price"]) for frame in frames if frame["type"] == "fill"]


def test_a_limit_order_rests_and_trades_at_its_own_price(maker: Client, taker: Client) -> None:
    assert kinds(maker.place("m", "sell", "0.010", "60000.0")) == ["order_ack"]
    said = taker.place("t", "buy", "0.004", "60010.0")
    assert kinds(said) == ["order_ack", "fill"]
    assert fills(said) == [("0.004", "60000.0")]
    (own,) = maker.news("fill")
    assert (own["liquidity"], own["cum_qty"], own["leaves_qty"], own["status"]) == (
        "maker",
        "0.004",
        "0.006",
        "partial",
    )


def test_prices_come_first_then_time(bench: Bench, taker: Client) -> None:
    first, second, better = bench.trader(), bench.trader(), bench.trader()
    first.place("a", "sell", "0.001", "60001.0")
    second.place("b", "sell", "0.001", "60001.0")
    better.place("c", "sell", "0.001", "60000.5")
    said = taker.place("t", "buy", "0.003", "60001.0")
    assert fills(said) == [("0.001", "60000.5"), ("0.001", "60001.0"), ("0.001", "60001.0")]
    order = [client.news("fill")[0]["trade_id"] for client in (better, first, second)]
    assert order == sorted(order)


@pytest.mark.parametrize("kind", ["ioc", "market"])
def test_what_may_not_rest_is_cancelled(kind: str, maker: Client, taker: Client) -> None:
    maker.place("m", "sell", "0.004", "60000.0")
    said = taker.place("t", "buy", "0.010", "60000.0", type=kind)
    assert kinds(said) == ["order_ack", "fill", "order_canceled"]
    assert (said[-1]["reason"], said[-1]["cum_qty"]) == ("ioc_remainder", "0.004")


def test_a_market_order_takes_no_price_beyond_its_slippage(maker: Client, taker: Client) -> None:
    maker.place("m1", "sell", "0.001", "60000.0")
    maker.place("m2", "sell", "0.001", "60000.5")
    maker.place("m3", "sell", "0.001", "60000.6")
    said = taker.place("t", "buy", "0.010", None, type="market", max_slippage_ticks=5)
    assert said[0]["accepted_price"] == "60000.5"
    assert fills(said) == [("0.001", "60000.0"), ("0.001", "60000.5")]


def test_a_market_order_needs_somebody(taker: Client) -> None:
    assert taker.place("t", "buy", "0.010", None, type="market", max_slippage_ticks=5)[0]["code"] == "NO_LIQUIDITY"


@pytest.mark.parametrize(
    ("there", "kinds_said"), [("0.010", ["order_ack", "fill"]), ("0.009", ["order_ack", "order_canceled"])]
)
def test_fill_or_kill_is_all_or_nothing(there: str, kinds_said: list[str], maker: Client, taker: Client) -> None:
    maker.place("m", "sell", there, "60000.0")
    said = taker.place("t", "buy", "0.010", "60000.0", type="fok")
    assert kinds(said) == kinds_said
    if "order_canceled" in kinds_said:
        assert (said[-1]["reason"], said[-1]["cum_qty"]) == ("fok_unfilled", "0.000")
        assert maker.news("fill") == []


def test_post_only_is_refused_where_it_would_take(maker: Client, taker: Client) -> None:
    maker.place("m", "sell", "0.010", "60000.0")
    assert taker.place("t", "buy", "0.010", "60000.0", type="post_only")[0]["code"] == "POST_ONLY_WOULD_CROSS"
    assert kinds(taker.place("u", "buy", "0.010", "59999.9", type="post_only")) == ["order_ack"]


@pytest.mark.parametrize(
    ("stp", "said", "own_is_open"),
    [
        ("cancel_taker", ["order_ack", "fill", "order_canceled"], True),
        ("cancel_maker", ["order_ack", "fill", "order_canceled", "fill"], False),
        ("cancel_both", ["order_ack", "fill", "order_canceled", "order_canceled"], False),
    ],
)
def test_nobody_trades_with_itself(
    stp: str, said: list[str], own_is_open: bool, bench: Bench, maker: Client, taker: Client
) -> None:
    maker.place("m1", "sell", "0.001", "60000.0")
    taker.place("own", "sell", "0.001", "60000.5")
    maker.place("m2", "sell", "0.001", "60000.6")
    frames = taker.place("t", "buy", "0.002", "60001.0", stp=stp)
    assert kinds(frames) == said
    assert {frame["reason"] for frame in frames if frame["type"] == "order_canceled"} == {"stp"}
    assert (taker.say("order_status", client_order_id="own")[0]["status"] == "open") is own_is_open


def test_own_liquidity_does_not_help_a_fill_or_kill(maker: Client, taker: Client) -> None:
    taker.place("own", "sell", "0.005", "60000.0")
    maker.place("m", "sell", "0.005", "60000.1")
    for stp in ("cancel_taker", "cancel_maker", "cancel_both"):
        said = taker.place(f"t-{stp}", "buy", "0.010", "60001.0", type="fok", stp=stp)
        assert said[-1]["reason"] == "fok_unfilled"
    assert taker.say("order_status", client_order_id="own")[0]["status"] == "open"


class TestAmend:
    def test_less_at_the_same_price_keeps_the_place(self, bench: Bench, taker: Client) -> None:
        first, second = bench.trader(), bench.trader()
        first.place("a", "sell", "0.005", "60000.0")
        second.place("b", "sell", "0.005", "60000.0")
        (said,) = first.say("amend_order", client_order_id="a", quantity="0.002", session_epoch=1)
        assert (said["type"], said["priority_kept"], said["leaves_qty"]) == ("order_amended", True, "0.002")
        taker.place("t", "buy", "0.001", "60000.0")
        assert len(first.news("fill")) == 1

    @pytest.mark.parametrize("change", [{"quantity": "0.006"}, {"price": "60000.1"}])
    def test_more_or_another_price_goes_to_the_end(self, change: dict, bench: Bench, taker: Client) -> None:
        first, second = bench.trader(), bench.trader()
        first.place("a", "sell", "0.005", "60000.0")
        second.place("b", "sell", "0.005", "60000.0")
        (said,) = first.say("amend_order", client_order_id="a", session_epoch=1, **change)
        assert said["priority_kept"] is False
        taker.place("t", "buy", "0.005", "60000.0")
        assert (len(first.news("fill")), len(second.news("fill"))) == (0, 1)

    def test_a_new_price_may_trade_at_once(self, maker: Client, taker: Client) -> None:
        maker.place("m", "sell", "0.005", "60000.0")
        taker.place("t", "buy", "0.005", "59000.0")
        said = taker.say("amend_order", client_order_id="t", price="60000.0", session_epoch=1)
        assert kinds(said) == ["order_amended", "fill"]
        assert said[0]["cum_qty"] == "0.000"

    def test_a_total_that_is_filled_already_ends_the_order(self, maker: Client, taker: Client) -> None:
        maker.place("m", "sell", "0.010", "60000.0")
        taker.place("t", "buy", "0.004", "60000.0")
        maker.news()
        (said,) = maker.say("amend_order", client_order_id="m", quantity="0.004", session_epoch=1)
        assert (said["type"], said["reason"], said["cum_qty"]) == ("order_canceled", "self_reduce", "0.004")

    def test_post_only_stays_a_rule_and_a_refusal_changes_nothing(self, maker: Client, taker: Client) -> None:
        maker.place("m", "sell", "0.005", "60000.0")
        taker.place("t", "buy", "0.005", "59000.0", type="post_only")
        (said,) = taker.say("amend_order", client_order_id="t", price="60000.0", session_epoch=1)
        assert (said["type"], said["code"]) == ("amend_reject", "POST_ONLY_WOULD_CROSS")
        assert taker.say("order_status", client_order_id="t")[0]["price"] == "59000.0"

    def test_a_new_id_is_an_id_of_the_same_order(self, maker: Client) -> None:
        maker.place("m", "sell", "0.005", "60000.0")
        (said,) = maker.say(
            "amend_order", client_order_id="m", new_client_order_id="n", quantity="0.004", session_epoch=1
        )
        assert (said["client_order_id"], said["new_client_order_id"]) == ("m", "n")
        for name in ("m", "n"):
            assert maker.say("order_status", client_order_id=name)[0]["order_id"] == said["order_id"]
        assert maker.place("n")[0]["code"] == "DUPLICATE_CLID_MISMATCH"


class TestReduceOnly:
    def test_it_needs_a_position_to_reduce(self, taker: Client) -> None:
        assert taker.place("t", reduce_only=True)[0]["code"] == "REDUCE_ONLY_VIOLATION"

    def test_it_is_trimmed_when_it_takes(self, maker: Client, taker: Client) -> None:
        maker.place("m", "sell", "0.010", "60000.0")
        taker.place("open", "buy", "0.004", "60000.0")
        maker.place("bid", "buy", "0.010", "59990.0")
        said = taker.place("t", "sell", "0.010", "59990.0", reduce_only=True)
        assert fills(said) == [("0.004", "59990.0")]
        assert (said[-1]["type"], said[-1]["reason"]) == ("order_canceled", "self_reduce")

    def test_it_is_trimmed_when_it_is_taken(self, bench: Bench, maker: Client, taker: Client) -> None:
        maker.place("m", "sell", "0.010", "60000.0")
        taker.place("open", "buy", "0.004", "60000.0", type="ioc")
        taker.place("t", "sell", "0.010", "60100.0", reduce_only=True)
        other = bench.trader()
        said = other.place("o", "buy", "0.020", "60100.0", type="ioc")
        assert fills(said) == [("0.006", "60000.0"), ("0.004", "60100.0")]
        assert [frame["reason"] for frame in taker.news("order_canceled")] == ["self_reduce"]
        assert (
            bench.venue.books()["accounts"][bench.venue.floor.sessions[taker.conn_id].account]["positions"][0]["qty"]
            == "0.000"
        )


def test_a_resting_order_expires_before_anything_later_matches(bench: Bench, maker: Client, taker: Client) -> None:
    at = START_WALL_NS + bench.clock.ns + SECOND
    maker.place("m", "sell", "0.010", "60000.0", good_till_ns=at)
    bench.clock.ns += SECOND
    assert kinds(taker.place("t", "buy", "0.010", "60000.0")) == ["order_ack"]
    (ended,) = maker.news("order_canceled")
    assert ended["reason"] == "expired"
    assert maker.say("order_status", client_order_id="m")[0]["status"] == "expired"


def test_a_resting_order_expires_though_nothing_comes(bench: Bench, maker: Client) -> None:
    maker.place("m", "sell", "0.010", "60000.0", good_till_ns=START_WALL_NS + bench.clock.ns + SECOND)
    bench.pass_time(SECOND)
    assert kinds(maker.news("order_canceled")) == ["order_canceled"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price": "60000.05"}, "BAD_TICK"),
        ({"qty": "0.0105"}, "BAD_LOT"),
        ({"qty": "0.000"}, "MIN_QTY"),
        ({"qty": "1000.001"}, "MAX_QTY"),
        ({"symbol": "ETH-USDC", "qty": "0.01", "price": "900.00"}, "MIN_NOTIONAL"),
        ({"price": "66000.1"}, "PRICE_BAND"),
        ({"price": "53999.9"}, "PRICE_BAND"),
        ({"qty": "500.000"}, "INSUFFICIENT_BALANCE"),
        ({"symbol": "DOGE-USDC"}, "UNKNOWN_SYMBOL"),
        ({"side": "BUY"}, "BAD_SIDE"),
        ({"type": "stop"}, "BAD_TYPE"),
    ],
)
def test_what_is_refused_at_entry(fields: dict, code: str, taker: Client) -> None:
    assert taker.place("t", **fields)[0]["code"] == code


def test_the_band_includes_its_edge(taker: Client) -> None:
    assert kinds(taker.place("t", price="66000.0")) == ["order_ack"]


@pytest.mark.parametrize(
    ("status", "limit", "post_only"),
    [
        (TradingStatus.CANCEL_ONLY, "CANCEL_ONLY", "CANCEL_ONLY"),
        (TradingStatus.HALTED, "HALTED", "HALTED"),
        (TradingStatus.MAINTENANCE, "HALTED", "HALTED"),
        (TradingStatus.POST_ONLY, "HALTED", None),
    ],
)
def test_a_market_that_does_not_trade(
    status: TradingStatus, limit: str, post_only: str | None, bench: Bench, taker: Client
) -> None:
    taker.place("before", "buy", "0.010", "59000.0")
    bench.engine.set_status("BTC-USDC", status, bench.venue.floor.now())
    assert taker.place("t")[0]["code"] == limit
    assert taker.place("p", type="post_only", price="59000.0")[0].get("code") == post_only
    assert taker.say("cancel_order", client_order_id="before")[0]["type"] == "order_canceled"


def test_a_halt_can_take_the_resting_orders_with_it(bench: Bench, maker: Client) -> None:
    maker.place("m", "sell", "0.010", "60000.0")
    bench.engine.set_status("BTC-USDC", TradingStatus.HALTED, bench.venue.floor.now(), cancel_resting=True)
    bench.venue.floor.flush()
    assert maker.news("order_canceled")[0]["reason"] == "instrument_halt"


def test_fees_are_rounded_up_and_rebates_down(maker: Client, taker: Client) -> None:
    maker.place("m", "sell", "0.001", "60000.1")
    (paid,) = (frame for frame in taker.place("t", "buy", "0.001", "60000.1") if frame["type"] == "fill")
    (received,) = maker.news("fill")
    # 60.0001 quote: 450 ppm are 0.027000045, 50 ppm are 0.003000005.
    assert (paid["fee"], received["fee"]) == ("0.027001", "-0.003000")


def test_time_on_the_exchange_always_rises(maker: Client) -> None:
    stamps = [maker.place(f"m{index}", "sell", "0.010", "60000.0")[0]["exchange_ts"] for index in range(5)]
    assert stamps == sorted(set(stamps))


def test_orders_beyond_the_number_allowed_are_refused() -> None:
    from agent.devnet.purpleflea import Terms

    trader = Bench(terms=Terms(max_open=2)).trader()
    assert [trader.place(f"t{index}", price="59000.0")[0].get("code") for index in range(3)] == [
        None,
        None,
        "MAX_OPEN_ORDERS",
    ]
