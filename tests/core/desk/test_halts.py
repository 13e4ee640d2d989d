"""A halt: that it reaches the venue, that it is looked after, and how a person ends it."""

from __future__ import annotations

from agent.core.effects.control import Alarm, ModeChanged, Stop
from agent.core.effects.orders import CancelAll
from agent.core.events.control import GuardPulse, HaltAsked, OperatorCommand
from agent.core.events.orders import (
    FenceDone,
    SendResult,
    SessionDown,
)
from agent.core.instruments import Side
from tests.core.desk.account import ASK, BID, MILLISECOND_NS, SECOND_NS, SETTINGS, SYMBOL, Played, of, only
from tests.core.desk.test_desk import fallen_account, refusal


def test_a_breakers_halt_without_a_session_fences_as_soon_as_there_is_one() -> None:
    played = Played().live()
    for _ in range(8):
        played.wait(200 * MILLISECOND_NS)
        played.hold(30)
    resting = played.place(Side.BUY, 1, BID - 50)
    played.ack(resting)
    played.step(SessionDown(reason="cut"))
    desk = played.desk
    desk.state.accounts.marks[SYMBOL].bid_ticks = BID * 3 // 4  # floor: what the book would have shown
    effects = played.timer("beat")
    assert any(change.by == "day_loss" for change in of(ModeChanged, effects))
    assert not of(CancelAll, effects), "nobody would hear it"
    played.epoch += 1
    before = len(played.log)
    played.up(lots=240)
    asked = [fence for _, _, effects in played.log[before:] for fence in of(CancelAll, effects)]
    assert [fence.fence for fence in asked] == ["account"]


def test_a_halts_fence_is_asked_for_again_until_it_is_done() -> None:
    played, _ = fallen_account(SETTINGS)
    (_,) = [fence for _, _, effects in played.log for fence in of(CancelAll, effects)]
    assert not of(CancelAll, played.timer("beat")), "one at a time"
    played.wait(2 * SECOND_NS)
    again = only(CancelAll, played.timer("beat"))
    done = FenceDone(
        request_id=again.request_id, scope="account", failed=(("x", "BUSY"),), exec_seq=played.exec_seq, epoch=2
    )
    played.step(done)
    played.wait(2 * SECOND_NS)
    third = only(CancelAll, played.timer("beat"))
    played.step(FenceDone(request_id=third.request_id, scope="account", exec_seq=played.exec_seq, epoch=3))
    played.wait(2 * SECOND_NS)
    assert not of(CancelAll, played.timer("beat"))


def test_a_person_lifts_the_halt_of_one_symbol() -> None:
    played = Played().live()
    place = played.place()
    played.step(SendResult(place.client_order_id, "place", "maybe"))
    played.wait(30 * SECOND_NS)
    effects = played.timer(f"unknown:{place.client_order_id}")
    source = "orders:ORDER_STAYS_UNKNOWN"
    assert [(one.by, one.symbol, one.mode) for one in of(ModeChanged, effects)] == [(source, SYMBOL, "HALTED")]
    refused = played.step(OperatorCommand(action="reset_breaker", reason="", target=source, symbol=SYMBOL))
    assert only(Alarm, refused).code == "RESET_REFUSED", "not without a reason"
    lifted = played.step(OperatorCommand(action="reset_breaker", reason="looked", target=source, symbol=SYMBOL))
    assert only(ModeChanged, lifted).mode == "ACTIVE"


def test_a_guard_that_is_not_armed_and_falls_silent_stops_an_agent_as_well() -> None:
    played = Played().live()
    place = played.place(price_ticks=BID - 5)
    played.ack(place)
    played.step(GuardPulse(False))
    played.wait(501 * MILLISECOND_NS, is_guarded=False)
    assert only(Stop, played.timer("beat")).by == "guard"


def test_a_halted_core_goes_on_looking_after_what_is_left() -> None:
    played = Played().live()
    played.hold(10)
    played.step(HaltAsked("person", "drill"))
    played.wait(600 * MILLISECOND_NS, is_guarded=False)
    before = played.desk.state.breakers.seen_ns
    played.timer("beat")
    assert played.desk.state.breakers.seen_ns > before
    played.wait(2 * SECOND_NS, is_guarded=False)
    assert only(CancelAll, played.timer("beat")).fence == "account", "the first one was never answered"


def test_evidence_counts_for_reducing_orders_too() -> None:
    played = Played().live()
    played.hold(10)
    place = played.place(price_ticks=BID - 5)
    played.step(SendResult(place.client_order_id, "place", "maybe"))
    played.book()
    assert refusal(played.request(Side.SELL, 10, ASK)) == "R_SYMBOL_FENCED"
