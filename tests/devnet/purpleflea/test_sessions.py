"""Logins, epochs, fences, what cancels by itself, keys, and the numbers that prove that nothing was missed."""

from __future__ import annotations

import pytest

from agent.devnet.purpleflea import Terms
from agent.devnet.purpleflea.door import TurnedAway
from tests.devnet.purpleflea.bench import MS, SECOND, START_WALL_NS, Bench, kinds


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestHello:
    def test_it_comes_first_and_says_what_the_venue_is(self, bench: Bench) -> None:
        client = bench.login(bench.account().trade.secret, subscribe=False)
        (hello,) = client.news()
        assert (hello["type"], hello["protocol"], hello["session_epoch"], hello["last_exec_seq"]) == (
            "hello",
            "pf.v1",
            1,
            0,
        )
        assert set(hello["limits"]) == {"orders_per_s", "cancels_per_s", "max_open", "max_frame"}

    def test_a_bearer_token_does_as_well(self, bench: Bench) -> None:
        secret = bench.account().trade.secret
        assert bench.venue.exchange.admit({"authorization": f"Bearer {secret}"}, "::1").may("trade")

    def test_a_bad_key_is_turned_away(self, bench: Bench) -> None:
        for headers in ({}, {"x-api-key": "nonsense"}):
            with pytest.raises(TurnedAway) as turned:
                bench.venue.exchange.admit(headers, "::1")
            assert turned.value.status == 401

    def test_a_key_opens_only_where_and_as_long_as_it_may(self, bench: Bench) -> None:
        bench.account()
        member = next(iter(bench.venue.floor.members.values()))
        expires = START_WALL_NS + bench.clock.ns + SECOND
        _, secret = bench.venue.exchange.create_key(member, "", ("read",), ip_allow=("10.0.0.1",), expires_ns=expires)
        assert bench.venue.exchange.admit({"x-api-key": secret}, "10.0.0.1")
        with pytest.raises(TurnedAway) as turned:
            bench.venue.exchange.admit({"x-api-key": secret}, "10.0.0.2")
        assert turned.value.status == 403
        bench.clock.ns += SECOND
        with pytest.raises(TurnedAway):
            bench.venue.exchange.admit({"x-api-key": secret}, "10.0.0.1")


class TestEpochs:
    def test_a_second_trade_login_ends_the_first(self, bench: Bench) -> None:
        keys = bench.account()
        first = bench.login(keys.trade.secret)
        second = bench.login(keys.trade.secret)
        assert (first.epoch, second.epoch) == (1, 2)
        assert first.news("epoch_ended") == [{"type": "epoch_ended", "session_epoch": 1, "reason": "replaced"}]
        assert first.closed == (4409, "replaced")

    def test_other_logins_leave_the_epoch(self, bench: Bench) -> None:
        keys = bench.account()
        trader, guard = bench.login(keys.trade.secret), bench.login(keys.guard.secret)
        assert guard.epoch == trader.epoch == 1
        assert trader.closed is None

    def test_an_order_of_another_epoch_is_stale(self, bench: Bench) -> None:
        client = bench.trader()
        for epoch in (0, 2):
            assert client.place(f"e{epoch}", session_epoch=epoch)[0]["code"] == "STALE_EPOCH"
        assert client.place("missing", session_epoch=None)[0]["code"] == "MALFORMED"

    def test_an_amend_of_another_epoch_is_stale(self, bench: Bench) -> None:
        client = bench.trader()
        client.place("a", price="59000.0")
        (said,) = client.say("amend_order", client_order_id="a", quantity="0.020", session_epoch=0)
        assert (said["type"], said["code"]) == ("amend_reject", "STALE_EPOCH")

    def test_an_account_fence_raises_the_epoch_before_it_cancels(self, bench: Bench) -> None:
        keys = bench.account()
        trader, guard = bench.login(keys.trade.secret), bench.login(keys.guard.secret)
        trader.place("a", price="59000.0")
        said = guard.say("cancel_all", fence="account", req_id="g")
        assert kinds(said) == ["order_canceled", "cancel_all_done"]
        done = said[-1]
        assert (done["canceled"], done["session_epoch"], done["req_id"]) == (["a"], 2, "g")
        assert said[0]["exec_seq"] <= done["exec_seq"]
        assert kinds(trader.news())[-2:] == ["order_canceled", "epoch_ended"]
        assert trader.closed == (4409, "fence")
        assert guard.closed is None

    def test_the_trade_session_that_fences_goes_on_under_the_new_epoch(self, bench: Bench) -> None:
        client = bench.trader()
        assert client.say("cancel_all", fence="account")[-1]["session_epoch"] == 2
        assert client.place("old")[0]["code"] == "STALE_EPOCH"
        assert kinds(client.place("new", session_epoch=2)) == ["order_ack"]
        assert client.closed is None


class TestPlacingTwice:
    def test_the_same_order_gets_the_stored_ack(self, bench: Bench) -> None:
        client = bench.trader()
        (first,) = client.place("a", price="59000.0")
        (again,) = client.place("a", price="59000.0")
        assert (again["type"], again["duplicate"], again["order_id"]) == ("order_ack", True, first["order_id"])
        assert len(bench.engine.by_order_id) == 1

    def test_even_under_another_epoch(self, bench: Bench) -> None:
        keys = bench.account()
        bench.login(keys.trade.secret).place("a", price="59000.0")
        assert bench.login(keys.trade.secret).place("a", price="59000.0", session_epoch=1)[0]["duplicate"] is True

    def test_another_order_of_the_same_id_is_refused(self, bench: Bench) -> None:
        client = bench.trader()
        client.place("a", price="59000.0")
        assert client.place("a", price="59000.1")[0]["code"] == "DUPLICATE_CLID_MISMATCH"

    def test_a_refused_order_stays_refused(self, bench: Bench) -> None:
        client = bench.trader()
        assert client.place("a", "buy", "500.000")[0]["code"] == "INSUFFICIENT_BALANCE"
        assert client.place("a", "buy", "500.000")[0]["code"] == "INSUFFICIENT_BALANCE"
        (state,) = client.say("order_status", client_order_id="a")
        assert state["status"] == "rejected"

    def test_what_was_never_seen_is_said_to_be(self, bench: Bench) -> None:
        (state,) = bench.trader().say("order_status", client_order_id="nobody")
        assert (state["status"], state["never_seen"]) == ("not_found", True)


def test_a_place_that_comes_too_late_is_not_taken(bench: Bench) -> None:
    client = bench.trader()
    now = START_WALL_NS + bench.clock.ns
    assert client.place("edge", expire_ns=now)[0]["code"] == "TOO_LATE"
    assert kinds(client.place("in-time", expire_ns=now + 1)) == ["order_ack"]


class TestExecutions:
    def test_every_session_with_orders_hears_everything(self, bench: Bench) -> None:
        keys = bench.account()
        trader, guard = bench.login(keys.trade.secret), bench.login(keys.guard.secret)
        trader.place("a", price="59000.0", req_id="r")
        (own,), (others,) = trader.news(), guard.news()
        assert own["req_id"] == "r" and "req_id" not in others
        assert own["exec_seq"] == others["exec_seq"] == 1

    def test_numbers_go_on_over_logins_and_are_replayed(self, bench: Bench) -> None:
        keys = bench.account()
        bench.login(keys.trade.secret).place("a", price="59000.0")
        second = bench.login(keys.trade.secret)
        second.say("cancel_order", client_order_id="a")
        said = second.say("fills_since", from_exec_seq=1)
        assert [(frame["type"], frame.get("exec_seq"), frame.get("replayed")) for frame in said] == [
            ("order_ack", 1, True),
            ("order_canceled", 2, True),
            ("replay_done", None, None),
        ]
        assert said[-1]["to_exec_seq"] == 2 and said[-1]["complete"]

    def test_subscribing_since_a_number_replays_what_is_after_it(self, bench: Bench) -> None:
        client = bench.trader()
        client.place("a", price="59000.0")
        client.place("b", price="59000.0")
        said = client.say("subscribe", channels=["orders"], symbols=[], since_exec_seq=1)
        assert [frame.get("exec_seq") for frame in said if frame.get("replayed")] == [2]

    def test_a_resumed_session_needs_no_number(self, bench: Bench) -> None:
        keys = bench.account()
        bench.login(keys.trade.secret).place("a", price="59000.0")
        client = bench.login(keys.trade.secret, subscribe=False, x_session_resume="1:0")
        said = client.say("subscribe", channels=["orders"], symbols=[])
        assert [frame.get("exec_seq") for frame in said if frame.get("replayed")] == [1]

    def test_what_is_older_than_a_day_is_gone_and_said_to_be(self, bench: Bench) -> None:
        guard = bench.account()
        client = bench.login(guard.trade.secret)
        client.place("a", price="59000.0")
        bench.clock.ns += 24 * 3600 * SECOND + 1
        client.say("cancel_order", client_order_id="a")
        said = client.say("fills_since", from_exec_seq=1)
        assert kinds(said) == ["order_canceled", "replay_done"]
        assert said[-1]["complete"] is False

    def test_a_session_with_fills_alone_gets_the_fills_of_its_symbols(self, bench: Bench) -> None:
        keys = bench.account()
        client = bench.login(keys.trade.secret, subscribe=False)
        client.say("subscribe", channels=["fills"], symbols=["ETH-USDC"])
        bench.trader().place("m", "sell")
        assert kinds(client.place("t")) == ["order_ack"]


class TestCancelOnDisconnect:
    @pytest.mark.parametrize("end", ["drop", "logout"])
    def test_it_fires_on_loss_and_on_good_bye(self, end: str, bench: Bench) -> None:
        keys = bench.account()
        trader, guard = bench.login(keys.trade.secret), bench.login(keys.guard.secret)
        trader.say("set_cod", enabled=True, scope="connection", grace_ms=500)
        trader.place("a", price="59000.0")
        trader.say("logout") if end == "logout" else trader.drop()
        bench.pass_time(499 * MS)
        assert guard.news("order_canceled") == []
        bench.pass_time(1 * MS)
        assert [frame["reason"] for frame in guard.news("order_canceled")] == ["cod"]

    def test_a_good_bye_may_keep_the_orders(self, bench: Bench) -> None:
        trader = bench.trader()
        trader.say("set_cod", enabled=True)
        trader.place("a", price="59000.0")
        trader.say("logout", keep_orders=True)
        bench.pass_time(SECOND)
        assert len(bench.engine.open_orders[next(iter(bench.venue.floor.members))]) == 1

    def test_orders_of_other_connections_stay_unless_the_account_is_meant(self, bench: Bench) -> None:
        for scope, left in (("connection", 1), ("account", 0)):
            keys = bench.account()
            bench.login(keys.trade.secret).place("first", price="59000.0")
            second = bench.login(keys.trade.secret)
            second.say("set_cod", enabled=True, scope=scope)
            second.place("second", price="59000.0")
            second.drop()
            bench.pass_time(1)
            assert len(bench.engine.open_orders[keys.agent_id]) == left

    def test_a_new_login_within_the_grace_keeps_the_orders(self, bench: Bench) -> None:
        keys = bench.account()
        trader = bench.login(keys.trade.secret)
        trader.say("set_cod", enabled=True, grace_ms=500)
        trader.place("a", price="59000.0")
        trader.drop()
        bench.login(keys.trade.secret)
        bench.pass_time(SECOND)
        assert len(bench.engine.open_orders[keys.agent_id]) == 1

    def test_silence_is_a_loss(self, bench: Bench) -> None:
        trader = bench.trader()
        trader.say("set_cod", enabled=True)
        trader.place("a", price="59000.0")
        bench.pass_time(5 * SECOND)
        assert trader.closed == (4408, "heartbeat")
        assert not any(bench.engine.open_orders.values())

    def test_whoever_answers_stays(self, bench: Bench) -> None:
        trader = bench.trader()
        trader.say("set_cod", enabled=True)
        for _ in range(10):
            bench.pass_time(SECOND)
            trader.say("pong")
        assert trader.closed is None


class TestDeadman:
    def test_it_cancels_and_lets_nothing_in_until_armed_again(self, bench: Bench) -> None:
        trader = bench.trader()
        trader.place("a", price="59000.0")
        (ack,) = trader.say("deadman", timeout_ms=5_000)
        assert ack["deadline_ns"] == START_WALL_NS + bench.clock.ns + 5 * SECOND
        trader.news()
        bench.pass_time(5 * SECOND)
        said = trader.news()
        assert kinds(said) == ["order_canceled", "cancel_all_done"]
        assert (said[0]["reason"], said[1]["reason"], said[1]["canceled"]) == ("deadman", "deadman", ["a"])
        assert trader.place("b")[0]["code"] == "DEADMAN_FIRED"
        trader.say("deadman", timeout_ms=0)
        assert trader.place("c")[0]["code"] == "DEADMAN_FIRED"
        trader.say("deadman", timeout_ms=5_000)
        assert kinds(trader.place("d")) == ["order_ack"]

    def test_each_call_starts_it_anew_and_nothing_ends_it(self, bench: Bench) -> None:
        trader = bench.trader()
        trader.place("a", price="59000.0")
        for _ in range(4):
            trader.say("deadman", timeout_ms=5_000)
            bench.pass_time(4 * SECOND)
        trader.say("deadman", timeout_ms=0)
        bench.pass_time(10 * SECOND)
        assert trader.news("order_canceled") == []

    @pytest.mark.parametrize("ms", [-1, 1, 4_999, 120_001, "5000", True])
    def test_only_sensible_times(self, ms: object, bench: Bench) -> None:
        assert bench.trader().say("deadman", timeout_ms=ms)[0]["type"] == "error"


class TestScopes:
    def test_a_guard_cancels_reads_and_reduces_but_does_not_trade(self, bench: Bench) -> None:
        keys = bench.account()
        trader, guard = bench.login(keys.trade.secret), bench.login(keys.guard.secret)
        bench.trader().place("m", "sell", "0.010")
        trader.place("a", "buy", "0.010")
        trader.place("b", price="59000.0")
        assert guard.place("g", price="59000.0")[0]["code"] == "KEY_SCOPE"
        assert kinds(guard.place("r", "sell", "0.010", reduce_only=True)) == ["order_ack"]
        assert (
            guard.say("amend_order", client_order_id="b", quantity="0.005", session_epoch=1)[0]["code"] == "KEY_SCOPE"
        )
        assert guard.say("cancel_order", client_order_id="b")[0]["type"] == "order_canceled"

    def test_a_key_that_only_reads_changes_nothing(self, bench: Bench) -> None:
        bench.account()
        member = next(iter(bench.venue.floor.members.values()))
        reader = bench.login(bench.venue.exchange.create_key(member, "", ("read",))[1])
        assert reader.place("a")[0]["code"] == "KEY_SCOPE"
        assert reader.say("cancel_all")[0]["code"] == "KEY_SCOPE"
        assert reader.say("deadman", timeout_ms=5_000)[0]["code"] == "KEY_SCOPE"
        assert reader.say("open_orders")[0]["complete"] is True

    def test_a_key_that_only_cancels_reads_nothing(self, bench: Bench) -> None:
        bench.account()
        member = next(iter(bench.venue.floor.members.values()))
        client = bench.login(bench.venue.exchange.create_key(member, "", ("cancel",))[1], subscribe=False)
        assert client.say("open_orders")[0]["code"] == "KEY_SCOPE"
        assert client.say("subscribe", channels=["orders"], symbols=[])[0]["rejected"][0]["code"] == "KEY_SCOPE"


def test_rates_are_said_and_kept() -> None:
    bench = Bench(terms=Terms(orders_per_s=2, cancels_per_s=1))
    client = bench.trader()
    said = [client.place(f"a{index}", price="59000.0")[0] for index in range(3)]
    assert [frame.get("rl", {}).get("orders_left") for frame in said] == [1, 0, None]
    assert (said[2]["code"], said[2]["retry_after_ms"]) == ("RATE_LIMIT", 500)
    bench.clock.ns += 500 * MS
    assert kinds(client.place("b", price="59000.0")) == ["order_ack"]
    assert client.say("cancel_order", client_order_id="a0")[0]["type"] == "order_canceled"
    (refused,) = client.say("cancel_order", client_order_id="a1")
    assert (refused["type"], refused["code"]) == ("cancel_reject", "RATE_LIMIT")
    assert client.say("cancel_all")[-1]["canceled"] == ["a1", "b"]


@pytest.mark.parametrize(
    "data",
    ["", "[]", "{", '{"action":"ping","action":"ping"}', '{"action":NaN}', '{"action":"place_order"}',
     '{"a":' * 9 + "1" + "}" * 9,
     '{"action":"nonsense"}', '{"action":["x"]}', '{"action":"order_status"}', '{"action":"ping","req_id":7}',
     '{"action":"subscribe","channels":"ticker"}', '{"action":"fills_since","from_exec_seq":-1}', "9" * 5000],
)  # fmt: skip
def test_bad_frames_get_an_answer_and_end_nothing(data: str, bench: Bench) -> None:
    client = bench.trader()
    before = len(client.raw)
    bench.venue.exchange.receive(client.conn_id, data)
    assert len(client.raw) == before + 1
    assert client.news()[0]["type"] in ("error", "reject")
    assert kinds(client.place("a")) == ["order_ack"]


def test_a_frame_that_is_too_big_ends_the_connection(bench: Bench) -> None:
    client = bench.trader()
    bench.venue.exchange.receive(client.conn_id, " " * ((1 << 20) + 1))
    assert client.closed == (1009, "too big")
