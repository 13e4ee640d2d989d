"""Each fault knob, and what it does to what a client sees; the venue's own books always keep the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.devnet.purpleflea.door import TurnedAway
from agent.devnet.purpleflea.faults.knobs import KNOBS
from tests.devnet.purpleflea.bench import MS, SECOND, START_WALL_NS, Bench, Client, kinds

SELL = ("sell", "0.010", "60000.0")
BUY = ("buy", "0.010", "60000.0")


def setting(knob: str, *, when: dict[str, Any] | None = None, **more: Any) -> tuple[Bench, Client, Client]:
    """A bench with one fault on the second client's account: (bench, maker, client)."""
    bench = Bench()
    maker, client = bench.trader(), bench.trader()
    account = bench.account_of(client)
    filters = {name: more.pop(name) for name in ("kind", "order", "symbol") if name in more}
    bench.faults({"knob": knob, "account": account, "when": when or {}, "parameters": more, **filters})
    return bench, maker, client


def test_f1_delays_a_kind_of_frame_and_keeps_its_order() -> None:
    bench, maker, client = setting("F1", kind="fill", ms=100)
    maker.place("m", *SELL)
    client.place("a", "buy", "0.004", "60000.0")
    bench.pass_time(50 * MS)
    client.place("b", "buy", "0.004", "60000.0")
    assert kinds(client.news()) == ["order_ack", "order_ack"]
    bench.pass_time(50 * MS)
    assert [frame["client_order_id"] for frame in client.news()] == ["a"]
    bench.pass_time(50 * MS)
    assert [frame["client_order_id"] for frame in client.news()] == ["b"]


def test_f1_draws_delays_from_a_lognormal_distribution() -> None:
    bench, _, client = setting("F1", kind="order_ack", median_ms=20, sigma=0.5)
    waits = []
    for index in range(40):
        client.place(f"a{index}", price="59000.0")
        before = bench.clock.ns
        while not client.news("order_ack"):
            bench.pass_time(MS)
        waits.append((bench.clock.ns - before) // MS)
    assert 14 < sorted(waits)[20] < 28 and len(set(waits)) > 10


def test_f1_inwards_a_place_arrives_later_even_from_a_connection_that_is_gone() -> None:
    bench, _, client = setting("F1", kind="place_order", ms=100, direction="in")
    assert client.place("a", price="59000.0", expire_ns=START_WALL_NS + bench.clock.ns + SECOND) == []
    client.drop()
    bench.pass_time(100 * MS)
    assert [row["status"] for row in bench.books_of(client)["orders"]] == ["open"]


def test_f1_inwards_a_late_place_dies_of_the_epoch_or_of_its_own_time() -> None:
    bench, _, client = setting("F1", kind="place_order", ms=100, direction="in")
    client.place("stale", price="59000.0")
    client.place("late", price="59000.0", session_epoch=2, expire_ns=START_WALL_NS + bench.clock.ns + 50 * MS)
    client.say("cancel_all", fence="account")
    bench.pass_time(100 * MS)
    assert [(frame["client_order_id"], frame["code"]) for frame in client.news("reject")] == [
        ("stale", "STALE_EPOCH"),
        ("late", "TOO_LATE"),
    ]


def test_f2_lets_later_frames_overtake() -> None:
    bench, maker, client = setting("F2", kind="order_ack", n=1)
    maker.place("m", *SELL)
    assert kinds(client.place("a", *BUY)) == ["fill", "order_ack"]
    client.place("b", price="59000.0")
    bench.pass_time(50 * MS)
    assert kinds(client.news())[-1] == "order_ack"


def test_f3_sends_twice() -> None:
    _, maker, client = setting("F3", kind="fill", copies=3)
    maker.place("m", *SELL)
    said = client.place("a", *BUY)
    assert kinds(said) == ["order_ack", "fill", "fill", "fill"]
    assert len({frame["trade_id"] for frame in said[1:]}) == 1


def test_f4_drops_what_its_dice_say_and_the_link_lives() -> None:
    _, _, client = setting("F4", kind="order_ack", when={"probability": 0.5, "seed": 3})
    told = [bool(client.place(f"a{index}", price="59000.0")) for index in range(40)]
    assert 10 < sum(told) < 30
    assert client.say("ping", id="1")[0]["type"] == "pong"
    assert client.say("fills_since", from_exec_seq=1)[-1]["to_exec_seq"] == 40


def test_f5_drops_one_fill() -> None:
    _, maker, client = setting("F5", when={"after_n": 1})
    maker.place("m", *SELL)
    counts = [len(client.place(f"a{index}", "buy", "0.002", "60000.0")) for index in range(4)]
    assert counts == [2, 1, 2, 2]


def test_f6_loses_the_ack_of_an_order_that_lives() -> None:
    _bench, _, client = setting("F6", order="a*", when={"count": 1})
    assert client.place("b", price="59000.0") != []
    assert client.place("a1", price="59000.0") == []
    assert client.say("order_status", client_order_id="a1")[0]["status"] == "open"
    assert client.place("a2", price="59000.0") != []


def test_f7_the_ack_comes_after_the_fill() -> None:
    _, maker, client = setting("F7")
    maker.place("m", *SELL)
    said = client.place("a", *BUY)
    assert kinds(said) == ["fill", "order_ack"]
    assert said[0]["exec_seq"] > said[1]["exec_seq"]


def test_f7_numbered_says_so_by_the_numbers_too() -> None:
    _, maker, client = setting("F7", mode="numbered")
    maker.place("m", *SELL)
    said = client.place("a", *BUY)
    assert [(frame["type"], frame["exec_seq"]) for frame in said] == [("fill", 1), ("order_ack", 2)]


@pytest.mark.parametrize(("owed", "cum"), [(False, "0.000"), (True, "0.004")])
def test_f8_a_fill_follows_the_cancellation(owed: bool, cum: str) -> None:
    bench, _, client = setting("F8", lots=4, owed=owed)
    client.place("a", price="59000.0")
    said = client.say("cancel_order", client_order_id="a")
    assert [(frame["type"], frame["cum_qty"]) for frame in said] == [("order_canceled", cum), ("fill", "0.004")]
    assert bench.engine.ledger.imbalance() == {}
    assert bench.position(client) == "0.004"


def test_f9_the_order_fills_before_its_cancel() -> None:
    bench, _, client = setting("F9")
    client.place("a", price="59000.0")
    said = client.say("cancel_order", client_order_id="a")
    assert kinds(said) == ["fill", "cancel_reject"]
    assert (said[1]["code"], said[1]["status"]) == ("TOO_LATE_TO_CANCEL", "filled")
    assert bench.position(client) == "0.010"


def test_f10_a_part_fills_before_the_amend() -> None:
    _bench, _, client = setting("F10", mode="amended", lots=4)
    client.place("a", price="59000.0")
    said = client.say("amend_order", client_order_id="a", quantity="0.020", session_epoch=1)
    assert kinds(said) == ["fill", "order_amended"]
    assert (said[1]["cum_qty"], said[1]["leaves_qty"]) == ("0.004", "0.016")


def test_f10_the_whole_fills_before_the_amend() -> None:
    _, _, client = setting("F10", mode="rejected")
    client.place("a", price="59000.0")
    said = client.say("amend_order", client_order_id="a", quantity="0.020", session_epoch=1)
    assert kinds(said) == ["fill", "amend_reject"]


@pytest.mark.parametrize(("live", "status"), [(True, "open"), (False, "not_found")])
def test_f11_internal_says_nothing_about_the_order(live: bool, status: str) -> None:
    _, _, client = setting("F11", live=live)
    assert [frame["code"] for frame in client.place("a", price="59000.0")] == ["INTERNAL"]
    assert client.say("order_status", client_order_id="a")[0]["status"] == status


def test_f12_a_live_order_is_not_found_for_a_while() -> None:
    bench, _, client = setting("F12", for_s=2)
    secret = bench.secret_of(client)
    client.place("a", price="59000.0")
    for said in (client.say("order_status", client_order_id="a")[0], bench.http("GET", "/v1/orders/a", secret)[1]):
        assert (said["status"], said["never_seen"]) == ("not_found", False)
    bench.pass_time(2 * SECOND + 1)
    assert client.say("order_status", client_order_id="a")[0]["status"] == "open"


@pytest.mark.parametrize(("mode", "complete"), [("empty", True), ("incomplete", False)])
def test_f13_the_list_of_open_orders_is_empty(mode: str, complete: bool) -> None:
    bench, _, client = setting("F13", mode=mode)
    client.place("a", price="59000.0")
    for said in (client.say("open_orders")[0], bench.http("GET", "/v1/orders", bench.secret_of(client))[1]):
        assert (said["orders"], said["complete"]) == ([], complete)


def test_f14_a_status_request_gets_no_answer() -> None:
    bench, _, client = setting("F14", ms=700)
    client.place("a", price="59000.0")
    assert client.say("order_status", client_order_id="a") == []
    assert bench.http("GET", "/v1/orders/a", bench.secret_of(client))[0] == 504
    assert bench.venue.faults.take_http_wait_ns() == 700 * MS


def test_f15_a_fill_nobody_made() -> None:
    bench, _, client = setting("F15", when={"at_s": 1}, qty="0.007", side="sell")
    bench.pass_time(SECOND)
    (fill,) = client.news("fill")
    assert (fill["client_order_id"], fill["qty"], fill["side"], fill["exec_seq"]) == ("phantom-1", "0.007", "sell", 1)
    assert bench.position(client) is None
    assert client.place("a", price="59000.0")[0]["exec_seq"] == 2


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("qty", ("buy", "0.100", "0.270000")),
        ("side", ("sell", "0.010", "0.270000")),
        ("fee", ("buy", "0.010", "-0.270000")),
    ],
)
def test_f16_a_fill_that_is_wrong(mode: str, told: tuple[str, str, str]) -> None:
    bench, maker, client = setting("F16", mode=mode)
    maker.place("m", *SELL)
    fill = client.place("a", *BUY)[1]
    assert (fill["side"], fill["qty"], fill["fee"]) == told
    assert bench.position(client) == "0.010"


def test_f17_a_trade_is_taken_back() -> None:
    bench, maker, client = setting("F17", after_s=3)
    maker.place("m", *SELL)
    trade_id = client.place("a", *BUY)[1]["trade_id"]
    client.news()
    bench.pass_time(3 * SECOND)
    (bust,) = client.news("trade_bust")
    assert (bust["trade_id"], bust["qty"], bust["exec_seq"]) == (trade_id, "0.000", 3)
    assert kinds(maker.news())[-1] == "trade_bust"
    assert bench.position(client) == "0.000" and bench.engine.ledger.imbalance() == {}


def test_f18_trades_are_dust() -> None:
    _, maker, client = setting("F18", lots=3)
    maker.place("m", *SELL)
    said = client.place("a", *BUY)
    assert [frame["qty"] for frame in said[1:]] == ["0.003", "0.003", "0.003", "0.001"]
    assert [frame["leaves_qty"] for frame in said[1:]] == ["0.007", "0.004", "0.001", "0.000"]


def test_f19_the_connection_breaks_between_order_and_ack() -> None:
    bench, _, client = setting("F19")
    assert client.place("a", price="59000.0") == []
    assert client.is_aborted
    assert [order.status for order in bench.engine.by_order_id.values()] == ["open"]


def test_f20_the_connection_breaks_instead_of_a_fill() -> None:
    bench, maker, client = setting("F20")
    maker.place("m", *SELL)
    assert kinds(client.place("a", *BUY)) == ["order_ack"]
    assert client.is_aborted
    assert bench.position(client) == "0.010"


@pytest.mark.parametrize(("knob", "stalled"), [("F21", "both"), ("F22", "writing")])
def test_f21_f22_a_socket_stalls_for_a_while(knob: str, stalled: str) -> None:
    bench, maker, client = setting(knob, when={"at_s": 1}, for_s=2)
    bench.pass_time(SECOND)
    assert (client.stalled, maker.stalled) == (stalled, "")
    bench.pass_time(2 * SECOND)
    assert client.stalled == ""


def test_f23_a_connection_is_taken_and_closed() -> None:
    bench, _, client = setting("F23", when={"count": 1}, code=1001)
    secret = bench.secret_of(client)
    assert bench.login(secret, subscribe=False).closed == (1001, "")
    assert bench.login(secret, subscribe=False).closed is None


@pytest.mark.parametrize("status", [401, 403])
def test_f24_a_handshake_is_refused(status: int) -> None:
    bench, _, client = setting("F24", status=status)
    with pytest.raises(TurnedAway) as turned:
        bench.login(bench.secret_of(client))
    assert turned.value.status == status


def test_f24_a_key_is_deleted_under_a_session() -> None:
    bench, maker, client = setting("F24", mode="revoke", when={"at_s": 1})
    client.place("a", price="59000.0")
    bench.pass_time(SECOND)
    assert client.closed == (4401, "key revoked") and maker.closed is None


def test_f25_a_ghost_takes_the_epoch() -> None:
    bench, _, client = setting("F25", kind="place_order", when={"after_n": 1})
    client.place("a", price="59000.0")
    client.place("b", price="59000.0")
    assert client.closed == (4409, "replaced")
    assert client.news()[-1] == {"type": "epoch_ended", "session_epoch": 1, "reason": "replaced"}
    assert bench.engine.orders[bench.account_of(client), "b"].code == "STALE_EPOCH"


def test_f26_a_restart_that_loses_nothing() -> None:
    bench, _, client = setting("F26", when={"at_s": 1}, down_ms=500)
    client.place("a", price="59000.0")
    bench.pass_time(SECOND)
    assert client.is_aborted
    with pytest.raises(TurnedAway) as turned:
        bench.login(bench.secret_of(client))
    assert turned.value.status == 503
    bench.pass_time(500 * MS)
    again = bench.login(bench.secret_of(client))
    assert again.say("order_status", client_order_id="a")[0]["status"] == "open"


def test_f26_a_restart_that_forgets_the_last_moments() -> None:
    bench, maker, client = setting("F26", when={"at_s": 1}, lose_ms=300)
    client.place("kept", price="59000.0")
    bench.pass_time(800 * MS)
    maker.place("m", *SELL)
    client.place("lost", *BUY)
    bench.pass_time(200 * MS)
    again = bench.login(bench.secret_of(client))
    assert again.say("order_status", client_order_id="kept")[0]["status"] == "open"
    assert again.say("order_status", client_order_id="lost")[0]["never_seen"] is True
    assert bench.position(again) is None and bench.engine.ledger.imbalance() == {}
    assert again.place("next", price="59000.0")[0]["exec_seq"] == 2


def test_f26_the_flow_goes_on_after_the_restart() -> None:
    bench = Bench(events_per_s=50, faults=[{"knob": "F26", "when": {"at_s": 2}, "parameters": {"lose_ms": 500}}])
    bench.pass_time(4 * SECOND)
    book = bench.engine.books["BTC-USDC"]
    assert book.bids.best() and book.asks.best()
    assert bench.engine.ledger.imbalance() == {}


def test_f27_book_numbers_start_anew() -> None:
    bench, maker, client = setting("F27", when={"at_s": 1})
    client.say("subscribe", channels=["orderbook"], symbols=["BTC-USDC"])
    for index in range(3):
        maker.place(f"m{index}", "sell", "0.010", "60000.0")
    bench.pass_time(SECOND)
    client.news()
    maker.place("m", *SELL)
    (delta,) = client.news("book_delta")
    assert (delta["prev_seq"], delta["book_seq"]) == (0, 1)


@pytest.mark.parametrize("mode", ["gap", "crossed", "checksum", "ghost"])
def test_f28_a_book_that_cannot_be_right(mode: str) -> None:
    _, maker, client = setting("F28", mode=mode, when={"after_n": 1, "count": 1})
    client.say("subscribe", channels=["orderbook"], symbols=["BTC-USDC"])
    client.news()
    maker.place("m", *SELL)
    maker.say("cancel_order", client_order_id="m") if mode == "ghost" else maker.place("n", "sell", "0.010", "60001.0")
    maker.place("o", "buy", "0.010", "59990.0")
    deltas = client.news("book_delta")
    if mode == "gap":
        assert [delta["prev_seq"] for delta in deltas] == [1, 3]
        return
    wrong = deltas[1]
    if mode == "crossed":
        assert float(wrong["bids"][-1][0]) > 60000.0 and "checksum" not in wrong
    elif mode == "ghost":
        assert wrong["asks"] == [] and wrong["checksum"] == 0
    else:
        assert wrong["checksum"] != deltas[0]["checksum"] + 1


def test_f29_a_tick_of_an_unknown_symbol_or_in_another_unit() -> None:
    for mode in ("symbol", "unit"):
        _, maker, client = setting("F29", mode=mode)
        client.say("subscribe", channels=["ticker"], symbols=["BTC-USDC"])
        client.news()
        maker.place("m", *SELL)
        ticks = client.news("tick")
        if mode == "symbol":
            assert [tick["symbol"] for tick in ticks] == ["BTC-USDC", "NONE-USDC"]
        else:
            assert 10**12 <= ticks[0]["exchange_ts"] < 10**13


def test_f30_the_clock_steps_and_drifts() -> None:
    bench, _, client = setting("F30", when={"at_s": 1}, offset_ms=5_000, drift_ppm=1_000)

    def ahead() -> int:
        return int(client.say("ping", id="1")[0]["server_ts_ns"]) - START_WALL_NS - bench.clock.ns

    assert ahead() == 0
    bench.pass_time(SECOND)
    assert ahead() == 5 * SECOND
    bench.pass_time(SECOND)
    assert ahead() == 5 * SECOND + MS


@pytest.mark.parametrize("mode", KNOBS["F31"].modes)
def test_f31_bytes_that_are_no_frame(mode: str) -> None:
    bench, _, client = setting("F31", mode=mode, kind="order_ack", when={"count": 1})
    before = len(client.raw)
    bench.venue.exchange.receive(client.conn_id, json.dumps(order(client, "a")))
    (data,) = client.raw[before:]
    if mode == "numbers":
        assert json.loads(data)["accepted_price"] == 59000.0
    elif mode == "oversize":
        assert len(data) > 1 << 20
    elif mode == "duplicate":
        assert data.count(b'"type"') == 2
    elif mode in ("nan", "huge"):
        assert (b"NaN" if mode == "nan" else b"1e400") in data
    else:
        with pytest.raises((ValueError, RecursionError)):
            json.loads(data)
    client.raw.pop()
    assert client.say("order_status", client_order_id="a")[0]["status"] == "open"


@pytest.mark.parametrize(("mode", "retry"), [("headers", "2"), ("none", None), ("wrong", "0")])
def test_f32_too_many_with_and_without_a_word_of_when(mode: str, retry: str | None) -> None:
    bench, _, client = setting("F32", mode=mode)
    (said,) = client.place("a")
    assert said["code"] == "RATE_LIMIT"
    assert said.get("retry_after_ms") == {"headers": 1_500, "none": None, "wrong": -1}[mode]
    bench.faults({"knob": "F32", "kind": "GET /v1/positions", "parameters": {"mode": mode}})
    status, _ = bench.http("GET", "/v1/positions", bench.secret_of(client))
    assert (status, bench.headers.get("Retry-After")) == (429, retry)


@pytest.mark.parametrize(("parameters", "after_ms"), [({"ms": 700}, 700), ({}, None)])
def test_f33_cancel_on_disconnect_acts_late_or_never(parameters: dict[str, int], after_ms: int | None) -> None:
    bench, _, client = setting("F33", **parameters)
    client.say("set_cod", enabled=True)
    client.place("a", price="59000.0")
    client.drop()
    account = bench.account_of(client)
    bench.pass_time(699 * MS)
    assert bench.engine.open_orders[account]
    bench.pass_time(60 * SECOND)
    assert bool(bench.engine.open_orders[account]) is (after_ms is None)


@pytest.mark.parametrize(("parameters", "fires_by"), [({"ms": 3_000}, 2), ({}, None)])
def test_f34_the_dead_man_acts_early_or_never(parameters: dict[str, int], fires_by: int | None) -> None:
    bench, _, client = setting("F34", **parameters)
    client.place("a", price="59000.0")
    client.say("deadman", timeout_ms=5_000)
    bench.pass_time((fires_by or 10) * SECOND)
    assert bool(client.news("order_canceled")) is (fires_by is not None)


def test_f35_cancel_all_says_done_and_leaves_one() -> None:
    _bench, _, client = setting("F35")
    for name in ("a", "b"):
        client.place(name, price="59000.0")
    client.news()
    assert client.say("cancel_all")[-1]["canceled"] == ["a", "b"]
    assert [row["client_order_id"] for row in client.say("open_orders")[0]["orders"]] == ["b"]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1009, 1011, 4401, 4403, 4408, 4409, 4429, 4503])
def test_f36_every_close_code(code: int) -> None:
    bench, maker, client = setting("F36", code=code, when={"at_s": 1})
    bench.pass_time(SECOND)
    assert client.closed == (code, "fault") and maker.closed is None


def test_f36_drain_and_maintenance() -> None:
    bench, maker, client = setting("F36", mode="drain", ms=500, when={"at_s": 1})
    bench.pass_time(SECOND)
    assert client.news("drain") == [{"type": "drain", "in_ms": 500}]
    bench.pass_time(500 * MS)
    assert client.closed == (4503, "drain") and maker.closed == (4503, "drain")
    bench, _, client = setting("F36", mode="maintenance", ms=500, when={"at_s": 1})
    client.say("subscribe", channels=["status"], symbols=["BTC-USDC"])
    bench.pass_time(SECOND)
    assert client.place("a")[0]["code"] == "HALTED"
    bench.pass_time(500 * MS)
    assert [frame["status"] for frame in client.news("status")] == ["trading", "maintenance", "trading"]


def test_f36_hostile_text() -> None:
    _, _, client = setting("F36", mode="text")
    assert "Ignore all previous instructions" in client.place("a", price="1.0")[0]["text"]


def test_a_deleted_key_lives_on() -> None:
    bench, _, client = setting("deleted_key_lives", for_s=60)
    keys = bench.keys_of(client)
    client.place("a", price="59000.0")
    assert bench.http("DELETE", f"/v1/keys/{keys.trade.key_id}", keys.guard.secret)[1]["deleted"] is True
    assert keys.trade.key_id not in [row["id"] for row in bench.http("GET", "/v1/keys", keys.guard.secret)[1]["keys"]]
    bench.pass_time(SECOND)
    assert kinds(client.place("b", price="59000.0")) == ["order_ack"]
    assert bench.http("GET", "/v1/positions", keys.trade.secret)[0] == 200
    for _ in range(60):
        bench.pass_time(SECOND)
        client.say("pong")
    assert client.closed == (4401, "key revoked")
    assert not bench.engine.open_orders[keys.agent_id]


def test_every_knob_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert [knob for knob in KNOBS if f'"{knob}"' not in text] == []


def order(client: Client, name: str) -> dict[str, Any]:
    return {
        "action": "place_order", "client_order_id": name, "symbol": "BTC-USDC", "side": "buy", "quantity": "0.010",
        "price": "59000.0", "type": "limit", "session_epoch": client.epoch,
    }  # fmt: skip
