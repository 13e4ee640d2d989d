"""How a session begins, lives and ends."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.effects.orders import CancelOrder, Place
from agent.core.events import Stamp
from agent.core.events.market import InstrumentDefined, MarketTick
from agent.core.events.orders import ClockOffset, SessionDown, SessionUp
from agent.core.instruments import OrderType, Side, TradingStatus
from agent.errors import Rejected
from agent.venues.purpleflea.protocol import Phase
from tests.venues.purpleflea.worlds import BTC, MS, NOW_NS, SECOND, Session, encoded, hello


def place(epoch: int = 1) -> Place:
    return Place(
        client_order_id="aaa",
        symbol="BTC-USDC",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        lots=10,
        price_ticks=1_000,
        expire_ns=NOW_NS + SECOND,
        epoch=epoch,
    )


STAMP = Stamp(7, 10 * SECOND, NOW_NS)


def test_a_hello_brings_the_session_up_by_the_smaller_limits() -> None:
    session = Session(is_live=False, orders_per_s=50, cancels_per_s=10, max_open=100)
    (up,) = session.hear(hello(session_epoch=4, last_exec_seq=17))
    assert up == SessionUp(epoch=4, last_exec_seq=17, orders_per_s=20, cancels_per_s=10, max_open=30)
    assert session.protocol.epoch == 4
    assert session.protocol.may_place


def test_private_channels_are_asked_for_before_all_else() -> None:
    session = Session(is_live=False)
    session.hear(hello())
    first, cod, public = session.said()
    assert first == {
        "action": "subscribe",
        "channels": ["orders", "fills", "account"],
        "symbols": ["BTC-USDC", "ETH-USDC"],
    }
    assert cod == {"action": "set_cod", "enabled": True, "scope": "connection", "grace_ms": 0}
    assert public["channels"] == ["ticker", "orderbook", "trades", "status"]
    assert public["depth"] == 50


def test_cancel_on_disconnect_is_not_asked_for_where_it_is_off() -> None:
    session = Session(is_live=False, cod_grace_ms=None)
    session.hear(hello())
    assert [frame["action"] for frame in session.said()] == ["subscribe", "subscribe"]


def test_nothing_is_heard_before_the_hello() -> None:
    session = Session(is_live=False)
    assert session.say(type="tick", symbol="BTC-USDC", price="100.0", exchange_ts=NOW_NS // 1_000) == []
    assert session.protocol.counters == {"out_of_session": 1}
    assert session.protocol.phase is Phase.HELLO


def test_another_protocol_is_final() -> None:
    session = Session(is_live=False)
    assert session.hear(hello(protocol="pf.v2")) == [SessionDown(reason="it speaks another protocol", is_terminal=True)]
    assert session.protocol.must_close


def test_an_epoch_that_goes_back_is_not_believed() -> None:
    session = Session()
    session.protocol.closed(None, "")
    session.connect()
    session.hear(hello(session_epoch=5))
    session.protocol.closed(None, "")
    session.connect()
    session.hear(hello(session_epoch=4))
    assert session.protocol.must_close == "its epoch went back"
    assert not session.protocol.may_place


def test_a_second_hello_is_a_lie() -> None:
    session = Session()
    assert session.hear(hello(session_epoch=9)) == []
    assert session.protocol.counters["malformed"] == 1
    assert session.protocol.epoch == 1


# Article mode


def article() -> tuple[Session, list[Any]]:
    session = Session(is_live=False)
    events = session.wait(2 * SECOND)
    return session, events


def test_no_hello_within_two_seconds_means_market_data_only() -> None:
    session = Session(is_live=False)
    assert session.protocol.next_deadline_ns == session.monotonic_ns + 2 * SECOND
    assert session.wait(2 * SECOND - 1) == []
    (up,) = session.wait(1)
    assert isinstance(up, SessionUp) and not up.acknowledges and up.epoch == 0
    assert session.said() == [
        {"action": "subscribe", "channels": ["ticker", "orderbook", "fills"], "symbols": ["BTC-USDC", "ETH-USDC"]}
    ]
    assert [alarm.code for alarm in session.protocol.alarms] == ["VENUE_UNACKED"]


def test_an_order_to_a_peer_that_proved_nothing_is_refused() -> None:
    session, _ = article()
    with pytest.raises(Rejected) as refused:
        session.protocol.send(place(0), STAMP)
    assert refused.value.code == "VENUE_UNACKED"
    assert session.protocol.send(CancelOrder("aaa"), STAMP)


def test_the_simulated_venue_may_be_sent_orders_without_acknowledgements() -> None:
    session = Session(is_live=False, allow_unacked_orders=True)
    (up,) = session.wait(2 * SECOND)
    assert isinstance(up, SessionUp) and up.acknowledges
    assert session.protocol.send(place(0), STAMP)


@pytest.mark.parametrize("price", ["100.1", '"100.1"', "1001e-1"])
def test_a_price_is_taken_from_its_literal_text(price: str) -> None:
    session, _ = article()
    data = f'{{"type":"tick","symbol":"BTC-USDC","price":{price},"exchange_ts":{NOW_NS // 1_000}}}'
    assert session.hear(data.encode()) == [MarketTick(symbol="BTC-USDC", price_ticks=1_001, exchange_ns=NOW_NS)]


@pytest.mark.parametrize(
    "price", ["100.15", "1e400", "NaN", "-5", "0", "null", "[1]", "true", '"x"', "100.10000000000001"]
)
def test_a_price_that_is_none_or_off_the_grid_is_counted(price: str) -> None:
    session, _ = article()
    assert session.hear(f'{{"type":"tick","symbol":"BTC-USDC","price":{price}}}'.encode()) == []
    assert session.protocol.counters["malformed"] == 1


def test_fills_without_ids_are_counted_and_told_but_never_booked() -> None:
    session, _ = article()
    assert session.say(type="fill", symbol="BTC-USDC", price=100.1, quantity=1) == []
    assert session.protocol.counters["article_fills"] == 1
    assert session.protocol.alarms[-1].code == "FILL_WITHOUT_ID"
    assert session.protocol.alarms[-1].severity == "critical"


def test_a_hello_after_all_begins_a_session() -> None:
    session, _ = article()
    down, up = session.hear(hello())
    assert isinstance(down, SessionDown) and isinstance(up, SessionUp)
    assert session.protocol.may_place


# Ends


def test_three_heartbeats_without_a_frame_end_it() -> None:
    session = Session()
    session.wait(1_500 * MS)
    session.say(type="pong", id=1, server_ts_ns=session.wall_ns)
    assert session.wait(2_999 * MS) == []
    (down,) = session.wait(1 * MS)
    assert down == SessionDown(reason="silent: no frame for three heartbeats")
    assert session.protocol.must_close
    assert session.protocol.closed(None, "") == []


def test_the_heartbeat_of_the_hello_is_the_one_that_counts() -> None:
    session = Session(is_live=False)
    session.hear(hello(heartbeat_ms=100))
    assert session.wait(299 * MS) == []
    assert len(session.wait(1 * MS)) == 1


@pytest.mark.parametrize("code", [4401, 4403, 4409])
def test_a_final_close_is_final(code: int) -> None:
    session = Session()
    (down,) = session.protocol.closed(code, "")
    assert isinstance(down, SessionDown) and down.is_terminal
    assert session.protocol.closed(code, "") == []


@pytest.mark.parametrize("code", [None, 1000, 1001, 1008, 1009, 1011, 4408, 4429, 4503])
def test_any_other_close_may_be_followed_by_another_connection(code: int | None) -> None:
    (down,) = Session().protocol.closed(code, "broken")
    assert isinstance(down, SessionDown) and not down.is_terminal


def test_a_final_close_before_the_hello_is_told_too() -> None:
    (down,) = Session(is_live=False).protocol.closed(4401, "")
    assert isinstance(down, SessionDown) and down.is_terminal


def test_a_connection_that_never_came_up_ends_in_silence() -> None:
    assert Session(is_live=False).protocol.closed(None, "") == []


def test_an_epoch_that_another_session_took_is_final_and_told_once() -> None:
    session = Session()
    assert session.say(type="epoch_ended", session_epoch=1, reason="replaced") == [
        SessionDown(reason="epoch ended: replaced", is_terminal=True)
    ]
    assert session.protocol.closed(4409, "") == []


def test_an_epoch_that_a_fence_ended_is_begun_anew() -> None:
    session = Session()
    assert session.say(type="epoch_ended", session_epoch=1, reason="fence") == [
        SessionDown(reason="epoch ended: fence", is_terminal=False)
    ]
    assert session.protocol.closed(4409, "") == []
    session.connect()
    assert len(session.hear(hello(session_epoch=3))) == 1


def test_the_end_of_an_older_epoch_is_none_of_ours() -> None:
    session = Session(is_live=False)
    session.hear(hello(session_epoch=3))
    assert session.say(type="epoch_ended", session_epoch=2, reason="replaced") == []
    assert session.protocol.phase is Phase.LIVE


def test_frames_after_our_end_are_left_for_the_replay() -> None:
    session = Session()
    session.say(type="epoch_ended", session_epoch=1, reason="fence")
    assert session.say(type="replay_done", to_exec_seq=5) == []


def test_a_fatal_error_ends_it() -> None:
    session = Session()
    (down,) = session.say(type="error", code="MAINTENANCE", text="bye", fatal=True)
    assert isinstance(down, SessionDown) and "MAINTENANCE" in down.reason
    assert session.say(type="error", code="X", fatal=False) == []


def test_a_resumed_session_names_its_epoch_and_last_execution() -> None:
    session = Session(is_live=False)
    assert session.protocol.resume == ""
    session.hear(hello(session_epoch=6))
    session.say(type="trade_bust", exec_seq=42, trade_id="t1", qty="0.000")
    session.protocol.closed(None, "")
    assert session.protocol.resume == "6:42"


# Malformed frames


def test_more_malformed_frames_than_allowed_in_a_minute_end_it() -> None:
    session = Session(malformed_per_minute=3)
    assert [session.hear(b"{") for _ in range(3)] == [[], [], []]
    (down,) = session.hear(b"{")
    assert down == SessionDown(reason="too many malformed frames")
    assert session.protocol.alarms[-1].code == "MALFORMED"


def test_malformed_frames_far_apart_do_not() -> None:
    session = Session(malformed_per_minute=3)
    for _ in range(20):
        session.monotonic_ns += 21 * SECOND
        assert session.hear(b"{") == []


def test_an_unknown_type_is_counted_and_nothing_else() -> None:
    session = Session(malformed_per_minute=1)
    for _ in range(5):
        assert session.say(type="liquidation") == []
    assert session.protocol.counters == {"unknown_type": 5}


# Clock


def test_a_ping_goes_out_five_times_a_second_and_its_answer_gives_the_offset() -> None:
    session = Session()
    session.wait(0)
    (ping,) = session.said()
    assert ping == {"action": "ping", "id": 1, "client_ts_ns": session.wall_ns}
    session.monotonic_ns += 10 * MS
    session.wall_ns += 10 * MS
    events = session.say(type="pong", id=1, client_ts_ns=ping["client_ts_ns"], server_ts_ns=NOW_NS + 105 * MS)
    assert events == [ClockOffset(100 * MS, 10 * MS)]
    session.wait(189 * MS)
    assert session.said() == []
    session.wait(1 * MS)
    assert [frame["id"] for frame in session.said()] == [2]


def test_where_heartbeats_are_faster_a_ping_goes_out_at_each() -> None:
    session = Session(is_live=False)
    session.hear(hello(heartbeat_ms=100))
    session.wait(0)
    session.said()
    session.wait(99 * MS)
    assert session.said() == []
    session.wait(1 * MS)
    assert len(session.said()) == 1


def test_when_the_venue_was_heard_is_told_while_a_session_lives() -> None:
    session = Session()
    assert session.protocol.heard_ns == session.monotonic_ns
    session.wait(150 * MS)
    assert session.monotonic_ns - (session.protocol.heard_ns or 0) == 150 * MS
    session.protocol.closed(None, "cut")
    assert session.protocol.heard_ns is None


def test_the_answer_with_the_shortest_way_is_believed() -> None:
    session = Session()
    offsets = []
    for round_trip_ms, ahead_ms in ((20, 5), (4, 1), (30, 50), (4, 0)):
        session.wait(SECOND)
        ping = session.pings()[-1]
        session.monotonic_ns += round_trip_ms * MS
        session.wall_ns += round_trip_ms * MS
        server_ns = session.wall_ns - round_trip_ms * MS // 2 + ahead_ms * MS
        offsets += session.say(type="pong", id=ping["id"], server_ts_ns=server_ns)
    assert offsets == [ClockOffset(5 * MS, 20 * MS), ClockOffset(1 * MS, 4 * MS)]


def test_a_step_of_our_own_clock_makes_earlier_answers_worthless() -> None:
    session = Session()

    def answered() -> list[Any]:
        session.wait(SECOND)
        ping = session.pings()[-1]
        session.monotonic_ns += 2 * MS
        session.wall_ns += 2 * MS
        return session.say(
            type="pong", id=ping["id"], server_ts_ns=NOW_NS + session.monotonic_ns - 10 * SECOND - 1 * MS
        )

    assert answered() == [ClockOffset(0, 2 * MS)]
    session.wall_ns += 5 * SECOND
    assert answered() == [ClockOffset(-5 * SECOND, 2 * MS)]


def test_an_answer_to_no_ping_is_not_believed() -> None:
    session = Session()
    session.wait(0)
    assert session.say(type="pong", id=99, server_ts_ns=NOW_NS) == []
    assert session.say(type="pong", id="1", server_ts_ns=NOW_NS) == []
    assert len(session.say(type="pong", id=1, server_ts_ns=NOW_NS)) == 1
    assert session.say(type="pong", id=1, server_ts_ns=NOW_NS) == []


def test_a_clock_that_differs_by_more_than_a_quarter_second_is_told() -> None:
    session = Session()
    session.wait(0)
    session.say(type="pong", id=1, server_ts_ns=NOW_NS + 251 * MS)
    assert [alarm.code for alarm in session.protocol.alarms] == ["CLOCK_OFFSET"]


def test_a_ping_of_the_venue_is_answered() -> None:
    session = Session()
    session.say(type="ping", id="x7")
    assert session.said() == [{"action": "pong", "id": "x7", "client_ts_ns": session.wall_ns}]


# Listing


def test_a_status_that_allows_less_holds_at_once_and_one_that_allows_more_in_its_time() -> None:
    session = Session()
    (closed,) = session.say(type="status", symbol="BTC-USDC", status="halted", from_ns=NOW_NS + 60 * SECOND)
    assert isinstance(closed, InstrumentDefined) and closed.instrument.status is TradingStatus.HALTED
    later = session.wall_ns + 1_500 * MS
    assert session.say(type="status", symbol="BTC-USDC", status="trading", from_ns=later) == []
    assert session.wait(1_499 * MS) == []
    (opened,) = session.wait(1 * MS)
    assert opened == InstrumentDefined(BTC)


def test_a_status_without_a_symbol_is_everybodys() -> None:
    events = Session().say(type="status", status="maintenance")
    assert [event.instrument.symbol for event in events if isinstance(event, InstrumentDefined)] == [
        "BTC-USDC",
        "ETH-USDC",
    ]


def test_before_an_announced_restart_nothing_new_is_ordered() -> None:
    session = Session()
    events = session.say(type="drain", in_ms=5_000)
    assert {event.instrument.status for event in events if isinstance(event, InstrumentDefined)} == {
        TradingStatus.CANCEL_ONLY
    }


def wire_instrument(**changed: Any) -> bytes:
    frame = {
        "type": "instrument",
        "symbol": "BTC-USDC",
        "tick": "0.1",
        "lot": "0.001",
        "min_qty": "0.001",
        "min_notional": "10.000000",
        "max_qty": "1000.000",
        "price_band_bps": 1_000,
        "maker_fee_ppm": -50,
        "taker_fee_ppm": 450,
        "quote_atoms_per_tick_lot": 100,
        "status": "trading",
    }
    return encoded(**{**frame, **changed})


def test_an_instrument_is_told_where_it_is_new() -> None:
    session = Session()
    assert session.hear(wire_instrument()) == []
    (defined,) = session.hear(wire_instrument(tick="0.5", quote_atoms_per_tick_lot=500))
    assert isinstance(defined, InstrumentDefined)
    assert (defined.instrument.tick.units, defined.instrument.tick.digits) == (5, 1)
    assert defined.instrument.quote_digits == 6


@pytest.mark.parametrize(
    "changed",
    [
        {"tick": "0"},
        {"tick": "-0.1"},
        {"lot": "x"},
        {"symbol": "BTCUSDC"},
        {"quote_atoms_per_tick_lot": 101},
        {"quote_atoms_per_tick_lot": 0},
        {"min_qty": "0.0005"},
        {"taker_fee_ppm": -1},
        {"status": "open"},
        {"price_band_bps": 1.5},
    ],
)
def test_an_instrument_whose_terms_do_not_fit_together_is_malformed(changed: dict[str, Any]) -> None:
    session = Session()
    assert session.hear(wire_instrument(**changed)) == []
    assert session.protocol.counters["malformed"] == 1


def test_a_market_that_is_not_configured_is_left_out() -> None:
    assert Session(symbols=("ETH-USDC",)).hear(wire_instrument(tick="0.5", quote_atoms_per_tick_lot=500)) == []


@pytest.mark.parametrize(
    ("channel", "is_final"), [("orders", True), ("fills", True), ("trades", False), ("orderbook", False)]
)
def test_a_refused_channel_is_told_and_without_private_ones_there_is_no_session(channel: str, is_final: bool) -> None:
    session = Session()
    session.snapshot()
    events = session.say(type="subscribed", rejected=[{"channel": channel, "symbol": "BTC-USDC", "code": "KEY_SCOPE"}])
    assert session.protocol.alarms[-1].code == "SUBSCRIPTION_REFUSED"
    assert [type(event).__name__ for event in events] == {
        "orders": ["SessionDown"],
        "fills": ["SessionDown"],
        "trades": [],
        "orderbook": ["BookStale"],
    }[channel]
    assert bool(session.protocol.must_close) is is_final
