"""The REST side: the same orders, codes and books as on the socket, keys, the faucet, and rate headers."""

from __future__ import annotations

import pytest

from agent.devnet.purpleflea import Terms
from agent.devnet.purpleflea.door import TurnedAway
from tests.devnet.purpleflea.bench import SECOND, Bench, kinds


@pytest.fixture
def bench() -> Bench:
    return Bench()


ORDER = {
    "client_order_id": "a",
    "symbol": "BTC-USDC",
    "side": "buy",
    "quantity": "0.010",
    "price": "59000.0",
    "type": "limit",
}


class TestOrders:
    def test_a_whole_life(self, bench: Bench) -> None:
        keys = bench.account()
        trader = bench.login(keys.trade.secret)
        secret = keys.trade.secret
        status, ack = bench.http("POST", "/v1/orders", secret, {**ORDER, "session_epoch": 1})
        assert (status, ack["type"], ack["status"]) == (200, "order_ack", "open")
        status, amended = bench.http("PATCH", "/v1/orders/a", secret, {"quantity": "0.005", "session_epoch": 1})
        assert (status, amended["leaves_qty"]) == (200, "0.005")
        status, state = bench.http("GET", "/v1/orders/a", secret)
        assert (status, state["status"], state["quantity"]) == (200, "open", "0.005")
        status, listed = bench.http("GET", "/v1/orders?status=open", secret)
        assert (status, listed["complete"], [row["client_order_id"] for row in listed["orders"]]) == (200, True, ["a"])
        status, gone = bench.http("DELETE", "/v1/orders/a", secret)
        assert (status, gone["reason"]) == (200, "user")
        assert kinds(trader.news()) == ["order_ack", "order_amended", "order_canceled"]
        status, page = bench.http("GET", "/v1/executions?after=1&limit=1", secret)
        assert [row["exec_seq"] for row in page["executions"]] == [2]
        assert (page["to_exec_seq"], page["last_exec_seq"], page["complete"]) == (2, 3, True)

    def test_the_epoch_counts_here_too(self, bench: Bench) -> None:
        keys = bench.account()
        bench.login(keys.trade.secret)
        status, said = bench.http("POST", "/v1/orders", keys.trade.secret, {**ORDER, "session_epoch": 0})
        assert (status, said["code"], said["error"]) == (409, "STALE_EPOCH", "STALE_EPOCH")

    def test_an_idempotency_key_is_the_client_id(self, bench: Bench) -> None:
        keys = bench.account()
        for name, expected in (("other", 400), ("a", 200)):
            body = {**ORDER, "session_epoch": 0}
            status, _ = bench.http("POST", "/v1/orders", keys.trade.secret, body, headers={"idempotency-key": name})
            assert status == expected

    def test_delete_is_cancel_all_with_an_account_fence(self, bench: Bench) -> None:
        keys = bench.account()
        trader = bench.login(keys.trade.secret)
        trader.place("a", price="59000.0")
        status, done = bench.http("DELETE", "/v1/orders", keys.guard.secret)
        assert (status, done["canceled"], done["session_epoch"]) == (200, ["a"], 2)
        assert trader.closed == (4409, "fence")

    def test_positions_and_balances(self, bench: Bench) -> None:
        keys = bench.account()
        bench.trader().place("m", "sell", "0.010", "60000.0")
        bench.login(keys.trade.secret).place("t", "buy", "0.010", "60000.0")
        assert bench.http("GET", "/v1/positions", keys.guard.secret)[1]["positions"][0]["qty"] == "0.010"
        balances = bench.http("GET", "/v1/balances", keys.guard.secret)[1]
        assert balances["as_of_exec_seq"] == 2 and balances["balances"][0]["ccy"] == "BTC"

    def test_deadman_and_cod_without_a_socket(self, bench: Bench) -> None:
        keys = bench.account()
        trader = bench.login(keys.trade.secret)
        trader.place("a", price="59000.0")
        assert bench.http("POST", "/v1/cod", keys.guard.secret, {"scope": "account"})[0] == 200
        assert bench.http("POST", "/v1/deadman", keys.guard.secret, {"timeout_ms": 5_000})[0] == 200
        assert bench.http("POST", "/v1/deadman", keys.guard.secret, {"timeout_ms": 1})[0] == 400
        trader.drop()
        bench.pass_time(1)
        assert not bench.engine.open_orders[keys.agent_id]
        bench.pass_time(5 * SECOND)
        assert bench.login(keys.trade.secret).place("b")[0]["code"] == "DEADMAN_FIRED"

    def test_unknown_orders_and_routes(self, bench: Bench) -> None:
        secret = bench.account().trade.secret
        assert bench.http("GET", "/v1/orders/zzz", secret)[1]["never_seen"] is True
        assert bench.http("DELETE", "/v1/orders/zzz", secret)[0] == 404
        assert bench.http("GET", "/v1/nonsense", secret)[0] == 404
        assert bench.http("GET", "/v1/orders", None)[0] == 401
        assert bench.http("POST", "/v1/orders", secret, [1])[0] == 400


class TestKeys:
    def test_only_the_owner_makes_keys_and_a_secret_is_shown_once(self, bench: Bench) -> None:
        keys = bench.account()
        body = {"label": "x", "scopes": ["read"]}
        for secret in (keys.trade.secret, keys.guard.secret):
            assert bench.http("POST", "/v1/keys", secret, body)[0] == 403
        status, made = bench.http("POST", "/v1/keys", keys.owner.secret, body)
        assert (status, made["scopes"]) == (201, ["read"])
        assert bench.venue.exchange.admit({"x-api-key": made["secret"]}, "::1").key_id == made["id"]
        _, listed = bench.http("GET", "/v1/keys", keys.owner.secret)
        assert made["id"] in [row["id"] for row in listed["keys"]]
        assert all("secret" not in row for row in listed["keys"])

    @pytest.mark.parametrize("scopes", [[], ["owner"], ["everything"], "trade", None])
    def test_scopes_are_a_closed_list(self, scopes: object, bench: Bench) -> None:
        assert bench.http("POST", "/v1/keys", bench.account().owner.secret, {"scopes": scopes})[0] == 400

    def test_a_deletion_acts_at_once(self, bench: Bench) -> None:
        keys = bench.account()
        trader = bench.login(keys.trade.secret)
        trader.place("a", price="59000.0")
        assert bench.http("DELETE", f"/v1/keys/{keys.trade.key_id}", keys.trade.secret)[0] == 403
        for _ in range(2):
            assert bench.http("DELETE", f"/v1/keys/{keys.trade.key_id}", keys.guard.secret)[0] == 200
        assert trader.closed == (4401, "key revoked")
        assert bench.http("GET", "/v1/positions", keys.trade.secret)[0] == 401
        with pytest.raises(TurnedAway):
            bench.login(keys.trade.secret)
        assert not bench.engine.open_orders[keys.agent_id]
        assert bench.engine.orders[keys.agent_id, "a"].code == "admin"
        assert keys.trade.key_id not in [
            row["id"] for row in bench.http("GET", "/v1/keys", keys.guard.secret)[1]["keys"]
        ]

    def test_nobody_deletes_the_keys_of_others(self, bench: Bench) -> None:
        mine, theirs = bench.account(), bench.account()
        assert bench.http("DELETE", f"/v1/keys/{theirs.trade.key_id}", mine.owner.secret)[0] == 404

    def test_a_rotated_key_lives_a_minute_more(self, bench: Bench) -> None:
        keys = bench.account()
        _, made = bench.http("POST", f"/v1/keys/{keys.trade.key_id}/rotate", keys.owner.secret)
        for secret in (keys.trade.secret, made["secret"]):
            assert bench.http("GET", "/v1/positions", secret)[0] == 200
        bench.clock.ns += 60 * SECOND
        assert bench.http("GET", "/v1/positions", keys.trade.secret)[0] == 401
        assert bench.http("GET", "/v1/positions", made["secret"])[0] == 200


class TestRegisterAndFaucet:
    def test_a_new_agent_claims_once_and_can_trade(self, bench: Bench) -> None:
        status, agent = bench.http("POST", "/v1/auth/register", body={"referral_code": "r"})
        assert status == 201
        _, key = bench.http("POST", "/v1/keys", agent["api_key"], {"scopes": ["trade"]})
        client = bench.login(key["secret"])
        assert client.place("poor")[0]["code"] == "INSUFFICIENT_BALANCE"
        status, claim = bench.http("POST", "/faucet/claim", body={"agent_casino_id": agent["agent_id"]})
        assert (status, claim["credited"]) == (200, "10000.000000")
        assert kinds(client.place("rich")) == ["order_ack"]
        status, again = bench.http("POST", "/faucet/claim", body={"agent_id": agent["agent_id"]})
        assert (status, again["error"]) == (409, "already_claimed")
        assert bench.http("GET", "/faucet/stats")[1]["total_claims"] == 1

    def test_it_never_takes_a_signing_key(self, bench: Bench) -> None:
        assert bench.http("POST", "/v1/auth/register", body={"hl_signing_key": "0x1"})[0] == 400

    def test_whom_the_faucet_refuses(self) -> None:
        bench = Bench(terms=Terms(faucet_claims_per_ip=1))
        assert bench.http("POST", "/faucet/claim", body={})[0] == 400
        assert bench.http("POST", "/faucet/claim", body={"agent_id": "ag_nobody"})[0] == 404
        assert bench.http("POST", "/faucet/claim", body={"agent_id": bench.account().agent_id})[0] == 403
        poor = [bench.account("0").agent_id for _ in range(2)]
        assert bench.http("POST", "/faucet/claim", body={"agent_id": poor[0]})[0] == 200
        assert bench.http("POST", "/faucet/claim", body={"agent_id": poor[1]})[0] == 429
        assert bench.http("POST", "/faucet/claim", body={"agent_id": poor[1]}, ip="10.0.0.2")[0] == 200


class TestPublic:
    def test_time_instruments_and_health(self, bench: Bench) -> None:
        assert bench.http("GET", "/v1/time")[1]["server_ts_ns"] == bench.venue.floor.now().wall_ns
        rows = bench.http("GET", "/v1/instruments")[1]["instruments"]
        assert [row["symbol"] for row in rows] == ["BTC-USDC", "ETH-USDC"]
        assert bench.http("GET", "/v1/health")[1]["_info"]["protocol"] == "pf.v1"
        assert bench.http("GET", "/v1/markets/NOPE/orderbook")[0] == 404
        assert bench.http("GET", "/v1/markets/BTC-USDC/orderbook?depth=-1")[0] == 400


def test_every_answer_says_how_much_is_left_and_a_refusal_when_to_come_back() -> None:
    bench = Bench(terms=Terms(reads_per_minute=2))
    keys = bench.account()
    seen = []
    for _ in range(3):
        status, _ = bench.http("GET", "/v1/positions", keys.guard.secret)
        seen.append((status, bench.headers["X-RateLimit-Remaining"], bench.headers.get("Retry-After")))
    assert seen == [(200, "1", None), (200, "0", None), (429, "0", "60")]
    assert bench.http("DELETE", "/v1/orders", keys.guard.secret)[0] == 200
    bench.clock.ns += 60 * SECOND
    assert bench.http("GET", "/v1/positions", keys.guard.secret)[0] == 200


def test_the_books_say_what_happened_to_whom(bench: Bench) -> None:
    keys = bench.account()
    maker = bench.trader()
    maker.place("m", "sell", "0.010", "60000.0")
    bench.login(keys.trade.secret).place("t", "buy", "0.010", "60000.0")
    books = bench.venue.books()
    own = books["accounts"][keys.agent_id]
    assert [(row["client_order_id"], row["status"], row["session_epoch"]) for row in own["orders"]] == [
        ("t", "filled", 1)
    ]
    assert own["orders"][0]["judged_mono_ns"] == bench.clock.ns
    assert [(row["liquidity"], row["fee"]) for row in own["fills"]] == [("taker", "0.270000")]
    assert own["fees_paid"] == {"USDC": "0.270000"}
    assert books["venue_fees"] == {"USDC": "0.240000"}
    assert books["imbalance_atoms"] == {}
