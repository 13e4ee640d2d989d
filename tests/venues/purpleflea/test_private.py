"""Private frames as events, and effects as frames: every message of the contract there and back."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from agent.core.effects.orders import (
    Amend,
    ArmDeadman,
    CancelAll,
    CancelOrder,
    Notify,
    OrderEffect,
    Place,
    QueryAccount,
    QueryOpen,
    QueryStatus,
    Reconnect,
    Refuse,
    ReplayFrom,
    Resynchronise,
)
from agent.core.events import Stamp
from agent.core.events.orders import (
    AccountSnapshot,
    Amended,
    AmendReject,
    Asked,
    Balance,
    Canceled,
    CancelReject,
    FenceDone,
    Fill,
    OpenOrder,
    OpenOrders,
    OrderAck,
    OrderStatus,
    Reject,
    ReplayDone,
    TradeBusted,
    VenuePosition,
)
from agent.core.instruments import OrderType, Side
from agent.venues.purpleflea.protocol import PurpleFleaProtocol
from agent.venues.purpleflea.questions import UNASKED
from agent.venues.purpleflea.strict import Malformed
from tests.venues.purpleflea.worlds import BTC, ETH, NOW_NS, NOW_US, SECOND, Session, encoded, hello, options

STAMP = Stamp(41, 10 * SECOND, NOW_NS + 999_999)
EXPIRE_NS = NOW_NS + SECOND


def place(**changed: Any) -> Place:
    return Place(
        **{
            "client_order_id": "aaa",
            "symbol": "BTC-USDC",
            "side": Side.BUY,
            "order_type": OrderType.LIMIT,
            "lots": 1_234,
            "price_ticks": 1_001,
            "expire_ns": EXPIRE_NS,
            "epoch": 1,
            **changed,
        }
    )


def sent(session: Session, effect: OrderEffect) -> dict[str, Any]:
    return dict(json.loads(session.protocol.send(effect, STAMP)))


FILL = {
    "type": "fill",
    "exec_seq": 2,
    "symbol": "BTC-USDC",
    "client_order_id": "aaa",
    "order_id": "v1",
    "trade_id": "t1",
    "side": "buy",
    "qty": "0.004",
    "price": "100.1",
    "liquidity": "taker",
    "fee": "0.000180",
    "fee_ccy": "USDC",
    "cum_qty": "0.004",
    "leaves_qty": "1.230",
    "status": "anything",
    "exchange_ts": NOW_US,
    "replayed": True,
}
ACK = {
    "type": "order_ack",
    "exec_seq": 1,
    "client_order_id": "aaa",
    "order_id": "v1",
    "status": "open",
    "cum_qty": "0.000",
}
CANCELED = {
    "type": "order_canceled",
    "exec_seq": 3,
    "client_order_id": "aaa",
    "order_id": "v1",
    "cum_qty": "0.004",
    "reason": "user",
}
AMENDED = {
    "type": "order_amended",
    "exec_seq": 4,
    "client_order_id": "aaa",
    "order_id": "v1",
    "quantity": "0.900",
    "price": "100.2",
    "cum_qty": "0.004",
    "leaves_qty": "0.896",
    "priority_kept": False,
}


# Effects to frames


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("side", Side)
def test_all_five_types_reach_the_wire_with_their_price(order_type: OrderType, side: Side) -> None:
    assert sent(Session(), place(order_type=order_type, side=side)) == {
        "action": "place_order",
        "symbol": "BTC-USDC",
        "side": side.value,
        "quantity": "1.234",
        "price": "100.1",
        "type": order_type.value,
        "timestamp": NOW_NS // 1_000_000,
        "client_order_id": "aaa",
        "req_id": "paaa",
        "session_epoch": 1,
        "expire_ns": EXPIRE_NS,
        "stp": "cancel_taker",
    }


def test_a_reducing_order_says_so() -> None:
    session = Session(stp="cancel_both")
    assert "reduce_only" not in sent(session, place())
    frame = sent(session, place(is_reduce_only=True))
    assert (frame["reduce_only"], frame["stp"]) == (True, "cancel_both")
    assert "reduce_only" not in sent(session, place())


def test_a_grid_of_quarters_is_written_exactly() -> None:
    frame = sent(Session(), place(symbol="ETH-USDC", price_ticks=12_001, lots=7))
    assert (frame["price"], frame["quantity"]) == ("3000.25", "0.07")


def test_every_other_effect_has_its_frame() -> None:
    session = Session()
    session.snapshot()
    sent(session, place())
    assert [
        sent(session, effect)
        for effect in (
            CancelOrder("aaa"),
            Amend(client_order_id="aaa", total_lots=900, price_ticks=1_002, epoch=1),
            CancelAll(request_id="f", fence="account"),
            CancelAll(request_id="g", fence="session", symbol="BTC-USDC"),
            QueryStatus("aaa"),
            QueryOpen(),
            QueryAccount(),
            ReplayFrom(17),
            ArmDeadman(5_000),
            Resynchronise("BTC-USDC"),
        )
    ] == [
        {"action": "cancel_order", "client_order_id": "aaa", "req_id": "caaa"},
        {
            "action": "amend_order",
            "client_order_id": "aaa",
            "quantity": "0.900",
            "price": "100.2",
            "req_id": "aaaa",
            "session_epoch": 1,
        },
        {"action": "cancel_all", "req_id": "q1", "fence": "account"},
        {"action": "cancel_all", "req_id": "q2", "fence": "session", "symbol": "BTC-USDC"},
        {"action": "order_status", "client_order_id": "aaa", "req_id": "q3"},
        {"action": "open_orders", "req_id": "q4"},
        {"action": "account", "req_id": "q5"},
        {"action": "fills_since", "from_exec_seq": 17, "req_id": "q6"},
        {"action": "deadman", "timeout_ms": 5_000},
        {"action": "subscribe", "channels": ["orderbook"], "symbols": ["BTC-USDC"], "depth": 50},
    ]


def test_an_effect_that_is_not_for_the_venue_is_no_frame() -> None:
    session = Session()
    for effect in (Notify("aaa"), Refuse(subject="s", code="c", detail="d"), Reconnect("r")):
        assert session.protocol.send(effect, STAMP) == b""


def test_no_effect_is_left_out() -> None:
    known = set(Session().protocol._sender._senders) | {Notify, Refuse, Reconnect}
    assert known == set(get_args(OrderEffect))


# Frames to events


def test_an_acknowledgement() -> None:
    session = Session()
    sent(session, place())
    assert session.say(**ACK, accepted_price="100.1", duplicate=True, exchange_ts=NOW_US) == [
        OrderAck(
            exec_seq=1,
            client_order_id="aaa",
            order_id="v1",
            status="open",
            cum_lots=0,
            accepted_price_ticks=1_001,
            is_duplicate=True,
            exchange_ns=NOW_NS,
            epoch=1,
        )
    ]


def test_a_fill_by_its_quantities_and_never_by_its_status_word() -> None:
    assert Session().say(**FILL) == [
        Fill(
            exec_seq=2,
            symbol="BTC-USDC",
            client_order_id="aaa",
            order_id="v1",
            trade_id="t1",
            side=Side.BUY,
            lots=4,
            price_ticks=1_001,
            is_maker=False,
            fee=180,
            fee_currency="USDC",
            cum_lots=4,
            leaves_lots=1_230,
            is_replayed=True,
            exchange_ns=NOW_NS,
            epoch=1,
        )
    ]


def test_a_rebate_is_a_negative_fee_and_one_in_the_base_is_lots() -> None:
    session = Session()
    (rebate,) = session.say(**{**FILL, "fee": "-0.000020"})
    (base,) = session.say(**{**FILL, "fee": "0.001", "fee_ccy": "BTC"})
    assert isinstance(rebate, Fill) and rebate.fee == -20
    assert isinstance(base, Fill) and (base.fee, base.fee_currency) == (1, "BTC")


@pytest.mark.parametrize(
    ("fee", "currency", "units"),
    [
        ("0.000180", "PFT", 180 * 10**12),
        ("-0.000000000000000001", "PFT", -1),
        ("0.02", "ETH", 2),
        ("0.011", "ETH", 2),
        ("-0.019", "ETH", -1),
    ],
)
def test_a_fee_in_another_currency_counts_as_its_balance_does_and_is_rounded_against_us(
    fee: str, currency: str, units: int
) -> None:
    session = Session()
    (fill,) = session.say(**{**FILL, "fee": fee, "fee_ccy": currency})
    assert isinstance(fill, Fill) and (fill.fee, fill.fee_currency) == (units, currency)
    assert session.protocol.counters["malformed"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"qty": "0.000"},
        {"qty": "-0.004"},
        {"qty": 0.004},
        {"qty": "0.0045"},
        {"price": "0.0"},
        {"price": "100.15"},
        {"side": "BUY"},
        {"liquidity": "both"},
        {"fee": "0.0000001"},
        {"fee_ccy": "DOGE", "fee": "1e-5"},
        {"symbol": "DOGE-USDC"},
        {"exec_seq": 0},
        {"exec_seq": 2**63},
        {"exec_seq": "2"},
        {"exec_seq": 2.0},
        {"exchange_ts": NOW_NS},
        {"exchange_ts": NOW_US // 1_000},
        {"leaves_qty": "-0.001"},
        {"client_order_id": ""},
        {"client_order_id": "a" * 37},
        {"trade_id": None},
        {"replayed": 1},
    ],
)
def test_a_fill_that_cannot_be_is_malformed(changed: dict[str, Any]) -> None:
    session = Session()
    assert session.say(**{**FILL, **changed}) == []
    assert session.protocol.counters["malformed"] == 1
    assert session.protocol.last_exec_seq == 0


@pytest.mark.parametrize(
    "field", ["exec_seq", "symbol", "client_order_id", "order_id", "trade_id", "side", "qty", "price"]
)
def test_a_fill_without_one_of_its_fields_is_malformed(field: str) -> None:
    session = Session()
    assert session.say(**{name: value for name, value in FILL.items() if name != field}) == []
    assert session.protocol.counters["malformed"] == 1


def test_rejects_carry_the_venues_own_word() -> None:
    session = Session()
    frame = {"type": "reject", "client_order_id": "aaa", "code": "NEW_WORD", "text": "\u001b[31mhostile"}
    assert session.say(**frame, exec_seq=9, retry_after_ms=250) == [
        Reject(client_order_id="aaa", code="NEW_WORD", exec_seq=9, retry_after_ms=250, epoch=1)
    ]
    assert session.say(type="cancel_reject", client_order_id="aaa", code="RATE_LIMIT", retry_after_ms=5) == [
        CancelReject(client_order_id="aaa", code="RATE_LIMIT", retry_after_ms=5, epoch=1)
    ]
    assert session.say(type="amend_reject", client_order_id="aaa", code="STALE_EPOCH") == [
        AmendReject(client_order_id="aaa", code="STALE_EPOCH", epoch=1)
    ]


def test_ends_and_changes_of_an_order() -> None:
    session = Session()
    sent(session, place())
    assert session.say(**CANCELED, replayed=True) == [
        Canceled(exec_seq=3, client_order_id="aaa", order_id="v1", cum_lots=4, reason="user", is_replayed=True, epoch=1)
    ]
    assert session.say(**AMENDED, new_client_order_id="bbb") == [
        Amended(
            exec_seq=4,
            client_order_id="aaa",
            order_id="v1",
            new_client_order_id="bbb",
            total_lots=900,
            price_ticks=1_002,
            cum_lots=4,
            leaves_lots=896,
            epoch=1,
        )
    ]


def test_an_id_that_stays_is_no_new_one() -> None:
    (amended,) = Session().say(**AMENDED, new_client_order_id="aaa")
    assert isinstance(amended, Amended) and amended.new_client_order_id is None


def test_quantities_are_of_the_orders_own_market() -> None:
    session = Session()
    sent(session, place(client_order_id="eee", symbol="ETH-USDC"))
    (ack,) = session.say(**{**ACK, "client_order_id": "eee", "cum_qty": "0.04", "accepted_price": "3000.25"})
    assert isinstance(ack, OrderAck) and (ack.cum_lots, ack.accepted_price_ticks) == (4, 12_001)
    (late,) = session.say(**{**CANCELED, "client_order_id": "eee", "cum_qty": "0.04"})
    (again,) = session.say(**{**CANCELED, "client_order_id": "eee", "cum_qty": "0.04"})
    assert late == again


def test_an_order_of_an_earlier_run_can_be_made_known() -> None:
    session = Session()
    session.protocol.remember("old", "ETH-USDC")
    (ack,) = session.say(**{**ACK, "client_order_id": "old", "cum_qty": "0.04"})
    assert isinstance(ack, OrderAck) and ack.cum_lots == 4


def test_a_stranger_is_read_by_the_symbol_in_its_frame() -> None:
    (ack,) = Session().say(**{**ACK, "client_order_id": "ghost", "cum_qty": "0.04", "symbol": "ETH-USDC"})
    assert isinstance(ack, OrderAck) and ack.cum_lots == 4
    session = Session()
    assert session.say(**{**ACK, "client_order_id": "ghost", "symbol": "DOGE-USDC"}) == []
    assert session.protocol.counters["malformed"] == 1


def test_what_is_remembered_of_closed_orders_is_bounded() -> None:
    session = Session()
    for number in range(10_000):
        sent(session, place(client_order_id=f"o{number}"))
        session.say(**{**CANCELED, "client_order_id": f"o{number}", "exec_seq": number + 1})
    markets = session.protocol.markets
    assert not markets._live
    assert len(markets._closed) == 4_096


def test_a_bust_and_a_correction() -> None:
    session = Session()
    session.say(**FILL)
    assert session.say(type="trade_bust", exec_seq=5, trade_id="t1", qty="0.000", price="0.0") == [
        TradeBusted(exec_seq=5, trade_id="t1", lots=0, epoch=1)
    ]
    assert session.say(type="trade_correct", exec_seq=6, trade_id="t1", qty="0.003", price="100.0") == [
        TradeBusted(exec_seq=6, trade_id="t1", lots=3, price_ticks=1_000, epoch=1)
    ]


def test_the_account_with_its_balances_in_atoms_and_positions_in_lots() -> None:
    session = Session()
    frame = {
        "type": "account",
        "as_of_exec_seq": 8,
        "balances": [
            {"ccy": "USDC", "total": "100.000001"},
            {"ccy": "BTC", "total": "0.0049999"},
            {"ccy": "DOGE", "total": "5"},
        ],
        "positions": [{"symbol": "BTC-USDC", "qty": "-0.004"}],
    }
    balances, positions = (Balance("USDC", 100_000_001), Balance("BTC", 4)), (VenuePosition("BTC-USDC", -4),)
    assert session.say(**frame) == [
        AccountSnapshot(as_of_exec_seq=8, balances=balances, positions=positions, asked=None, epoch=1)
    ]
    question = sent(session, QueryAccount())
    assert session.say(**frame, req_id=question["req_id"]) == [
        AccountSnapshot(as_of_exec_seq=8, balances=balances, positions=positions, asked=Asked(41, True, 1), epoch=1)
    ]


# Questions and their answers


STATE = {
    "type": "order_state",
    "client_order_id": "aaa",
    "order_id": "v1",
    "status": "open",
    "as_of_exec_seq": 7,
    "quantity": "1.000",
    "price": "100.1",
    "cum_qty": "0.004",
}


def test_an_answer_carries_when_it_was_asked() -> None:
    session = Session()
    question = sent(session, QueryStatus("aaa"))
    (status,) = session.say(**STATE, req_id=question["req_id"])
    assert status == OrderStatus(
        client_order_id="aaa",
        order_id="v1",
        status="open",
        as_of_exec_seq=7,
        total_lots=1_000,
        price_ticks=1_001,
        cum_lots=4,
        asked=Asked(41, True, 1),
        epoch=1,
    )


def test_an_answer_to_no_question_of_ours_proves_nothing() -> None:
    session = Session()
    question = sent(session, QueryStatus("aaa"))
    other = sent(session, QueryOpen())
    answers = [
        session.say(**STATE),
        session.say(**STATE, req_id="q99"),
        session.say(**STATE, req_id=other["req_id"]),
        session.say(**STATE, req_id=question["req_id"]),
        session.say(**STATE, req_id=question["req_id"]),
    ]
    asked = [status.asked for (status,) in answers if isinstance(status, OrderStatus)]
    assert asked == [UNASKED, UNASKED, UNASKED, Asked(41, True, 1), UNASKED]


def test_an_answer_about_another_order_than_was_asked_is_a_lie() -> None:
    session = Session()
    question = sent(session, QueryStatus("bbb"))
    assert session.say(**STATE, req_id=question["req_id"]) == []
    assert session.protocol.counters["malformed"] == 1


def test_questions_do_not_outlive_their_connection() -> None:
    session = Session()
    question = sent(session, QueryStatus("aaa"))
    session.protocol.closed(None, "")
    session.connect()
    session.hear(hello(session_epoch=2))
    (status,) = session.say(**STATE, req_id=question["req_id"])
    assert isinstance(status, OrderStatus) and status.asked == UNASKED and status.epoch == 2


def test_an_order_that_is_not_found_has_no_figures() -> None:
    frame = {"type": "order_state", "client_order_id": "aaa", "status": "not_found", "as_of_exec_seq": 7}
    (status,) = Session().say(**frame, never_seen=True)
    assert isinstance(status, OrderStatus)
    assert status.never_seen and status.total_lots is status.price_ticks is status.cum_lots is None


def test_an_open_order_without_its_quantities_is_malformed() -> None:
    session = Session()
    assert session.say(**{name: value for name, value in STATE.items() if name != "quantity"}) == []
    assert session.protocol.counters["malformed"] == 1


ROW = {"client_order_id": "aaa", "order_id": "v1", "symbol": "BTC-USDC", "side": "sell", "quantity": "1.000"}
OPEN = {
    "type": "open_orders",
    "as_of_exec_seq": 7,
    "complete": True,
    "orders": [{**ROW, "price": "100.1", "cum_qty": "0.004"}],
}


def test_the_list_of_open_orders() -> None:
    session = Session()
    question = sent(session, QueryOpen())
    row = OpenOrder(
        client_order_id="aaa",
        order_id="v1",
        symbol="BTC-USDC",
        side=Side.SELL,
        total_lots=1_000,
        price_ticks=1_001,
        cum_lots=4,
    )
    assert session.say(**OPEN, req_id=question["req_id"]) == [
        OpenOrders(as_of_exec_seq=7, is_complete=True, orders=(row,), asked=Asked(41, True, 1), epoch=1)
    ]


def test_a_list_that_does_not_say_whether_it_is_complete_is_no_list() -> None:
    session = Session()
    assert session.say(**{name: value for name, value in OPEN.items() if name != "complete"}) == []
    assert session.protocol.counters["malformed"] == 1


def test_a_fence_has_the_scope_it_was_asked_with_and_brings_the_new_epoch() -> None:
    session = Session()
    question = sent(session, CancelAll(request_id="fence-9-all", fence="account"))
    frame = {"type": "cancel_all_done", "canceled": ["aaa"], "failed": [{"id": "bbb", "code": "INTERNAL"}]}
    assert session.say(**frame, exec_seq=9, session_epoch=2, req_id=question["req_id"]) == [
        FenceDone(
            request_id="fence-9-all",
            scope="account",
            canceled=("aaa",),
            failed=(("bbb", "INTERNAL"),),
            exec_seq=9,
            epoch=2,
        )
    ]
    assert session.protocol.epoch == 2
    assert sent(session, QueryOpen())["req_id"] == "q2"


def test_a_fence_that_others_asked_for_is_told_without_a_scope() -> None:
    (done,) = Session().say(type="cancel_all_done", exec_seq=9, canceled=[], failed=[], reason="deadman")
    assert isinstance(done, FenceDone) and done.scope == "none"


def test_a_replay_ends_and_one_that_is_not_whole_is_told() -> None:
    session = Session()
    assert session.say(type="replay_done", to_exec_seq=9) == [ReplayDone(9, 1)]
    assert session.say(type="replay_done", to_exec_seq=9, complete=False) == [ReplayDone(9, 1)]
    assert [alarm.code for alarm in session.protocol.alarms] == ["REPLAY_INCOMPLETE"]


def test_an_error_that_answers_a_request_about_an_order_is_its_reject() -> None:
    session = Session()
    sent(session, place())
    assert session.say(type="error", code="MALFORMED", req_id="paaa") == [
        Reject(client_order_id="aaa", code="MALFORMED", epoch=1)
    ]
    assert session.say(type="error", code="INTERNAL", req_id="caaa") == [
        CancelReject(client_order_id="aaa", code="INTERNAL", epoch=1)
    ]
    assert session.say(type="error", code="INTERNAL", req_id="aaaa") == [
        AmendReject(client_order_id="aaa", code="INTERNAL", epoch=1)
    ]
    assert session.say(type="error", code="INTERNAL", req_id="pghost") == []
    assert session.say(type="error", code="INTERNAL", req_id="q1") == []


def test_an_answer_by_rest_is_read_with_when_it_was_asked() -> None:
    session = Session()
    asked = Asked(3, False, 1)
    (status,) = session.protocol.answer(encoded(**STATE, _info={"service": "x"}), asked)
    (listed,) = session.protocol.answer(encoded(**OPEN, _info={"service": "x"}), asked)
    assert isinstance(status, OrderStatus) and status.asked == asked
    assert isinstance(listed, OpenOrders) and listed.asked == asked
    for data in (b"{", b"[]", encoded(type="hello"), encoded(**FILL), encoded(type="nonsense")):
        with pytest.raises(Malformed):
            session.protocol.answer(data, asked)


def test_what_the_venue_says_of_the_rates_is_kept() -> None:
    session = Session()
    sent(session, place())
    session.say(**ACK, rl={"orders_left": 3, "cancels_left": 4, "reset_ns": 0})
    assert session.protocol._private.rate is not None
    assert session.protocol._private.rate.orders_left == 3


@pytest.mark.parametrize(
    "frame",
    [
        FILL,
        ACK,
        CANCELED,
        AMENDED,
        {"type": "reject", "client_order_id": "aaa", "code": "X"},
        {"type": "trade_bust", "trade_id": "t", "qty": "0"},
        {"type": "trade_correct", "trade_id": "t", "qty": "0.001"},
    ],
)
def test_every_numbered_frame_moves_what_a_resumed_session_names(frame: dict[str, Any]) -> None:
    session = Session()
    session.say(**{**frame, "exec_seq": 50})
    session.say(**{**frame, "exec_seq": 49})
    assert session.protocol.last_exec_seq == 50


def test_fields_that_nobody_knows_are_ignored() -> None:
    session = Session()
    assert len(session.say(**FILL, new_field={"a": [1, 2]}, text="x")) == 1


def test_balances_in_a_currency_that_a_market_still_to_be_named_may_have_are_not_read_as_none() -> None:
    session = Session(is_live=False)
    session.protocol = PurpleFleaProtocol(options(), [ETH])
    session.connect()
    session.hear(hello())
    account = {"type": "account", "req_id": "", "as_of_exec_seq": 0, "positions": []}
    money, coins = {"ccy": "USDC", "total": "10"}, {"ccy": "BTC", "total": "1.000"}
    assert len(session.say(**account, balances=[money])) == 1
    assert session.say(**account, balances=[money, coins]) == []
    session.protocol.define(BTC)
    (told,) = session.say(**account, balances=[money, coins, {"ccy": "AIR", "total": "1"}])
    assert isinstance(told, AccountSnapshot)
    assert [(balance.currency, balance.atoms) for balance in told.balances] == [("USDC", 10**7), ("BTC", 1_000)]
