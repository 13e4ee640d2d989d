"""A halt: that it reaches the venue, that it is looked after, and how a person ends it."""

from __future__ import annotations

import msgspec

from agent.core.effects.control import Alarm, ModeChanged, Stop
from agent.core.effects.orders import CancelAll, Place
from agent.core.events.control import ClockStepped, GuardPulse, HaltAsked, OperatorCommand, RunStarted
from agent.core.events.market import InstrumentDefined
from agent.core.events.orders import (
    AccountSnapshot,
    Asked,
    Balance,
    ClockOffset,
    FenceDone,
    Flow,
    OpenOrders,
    ReplayDone,
    SendResult,
    SessionDown,
    SessionUp,
)
from agent.core.instruments import Side
from tests.core.desk.account import (
    ASK,
    BID,
    BTC,
    FUNDS_ATOMS,
    MILLISECOND_NS,
    SECOND_NS,
    SETTINGS,
    START_NS,
    SYMBOL,
    Played,
    of,
    only,
)
from tests.core.desk.test_desk import fallen_account, refusal, resumed


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


def test_what_was_held_before_us_is_valued_with_the_first_book_and_halts_nothing() -> None:
    played = Played()
    played.step(RunStarted(run_epoch=1))
    played.step(GuardPulse(True))
    played.step(InstrumentDefined(BTC))
    played.step(SessionUp(epoch=1, last_exec_seq=0, orders_per_s=500, cancels_per_s=500, max_open=9))
    played.step(ReplayDone(0, 1))
    balances = (Balance("USDC", FUNDS_ATOMS), Balance("BTC", 10))
    asked = Asked(played.seq, True, 1)
    played.step(OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked, epoch=1))
    played.step(AccountSnapshot(as_of_exec_seq=0, balances=balances, positions=(), asked=asked, epoch=1))
    played.timer("beat")
    breakers = played.desk.state.breakers
    assert breakers.mode().words == "ACTIVE"
    assert breakers.nav_ref_atoms == 0, "which lets nothing pass"
    played.book()
    played.timer("beat")
    assert breakers.day_loss.nav_start_atoms == FUNDS_ATOMS + 10 * BID * 100


def test_money_of_which_nobody_knows_the_price_halts() -> None:
    played = Played().live()
    effects = played.step(Flow(kind="deposit", currency="OTHER", atoms=1, flow_id="o1"))
    assert any(change.by == "valuation" and change.mode == "HALTED" for change in of(ModeChanged, effects))


def test_a_clock_that_was_set_lets_only_reducing_out_until_the_venue_agrees() -> None:
    played = Played().live()
    played.step(ClockStepped(-3_600 * SECOND_NS))
    played.book()
    assert refusal(played.request()) == "R_REDUCE_ONLY"
    played.step(ClockOffset(300 * MILLISECOND_NS, MILLISECOND_NS))
    assert refusal(played.request()) == "R_REDUCE_ONLY"
    assert only(Alarm, played.step(ClockOffset(20 * MILLISECOND_NS, MILLISECOND_NS))).code == "CLOCK_AGREED"
    place = only(Place, played.request())
    hour_ahead = START_NS + played.now_ns  # stamps never go back; the venue agrees with the clock as it is now
    assert place.expire_ns <= hour_ahead - 3_600 * SECOND_NS + 20 * MILLISECOND_NS + SECOND_NS


def test_a_person_ends_a_halt_that_an_earlier_run_left_and_then_only_reducing_goes_out() -> None:
    played = Played().live()
    played.hold(10)
    refused = played.step(OperatorCommand(action="reset_halt", reason="nothing to reset"))
    assert only(Alarm, refused).code == "COMMAND_REFUSED"
    played.step(HaltAsked("person", "drill"))
    again = resumed(played)
    assert only(Alarm, again.step(OperatorCommand(action="reset_halt", reason=" "))).code == "COMMAND_REFUSED"
    again.step(OperatorCommand(action="reset_halt", reason="looked at everything"))
    again.book()
    assert refusal(again.request()) == "R_REDUCE_ONLY"
    only(Place, again.request(Side.SELL))


def test_a_position_goes_in_as_many_parts_as_it_takes() -> None:
    small = msgspec.structs.replace(BTC, max_lots=5)
    played, fallen = fallen_account(msgspec.structs.replace(SETTINGS, is_flattened_on_halt=True))
    played.step(InstrumentDefined(small))
    for _ in range(48):
        played.wait(200 * MILLISECOND_NS)
        played.book(fallen, fallen + 10)
        place = only(Place, played.timer("beat"))
        played.ack(place)
        played.fill(place, price_ticks=fallen)
    assert played.desk.state.accounts.lots(SYMBOL) == 0
