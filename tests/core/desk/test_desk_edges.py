"""What people, signals, the queue and a halt do to the desk, told to the word and counted to the lot."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.accounts import position as position_module
from agent.core.codes import Code
from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer, ModeChanged, Stop
from agent.core.effects.orders import CancelAll, CancelOrder, Place, Refuse
from agent.core.events import Stamp
from agent.core.events.control import Action, HaltAsked, OperatorCommand
from agent.core.events.market import BookDelta, BookStale, InstrumentDefined, TradePrint
from agent.core.events.orders import (
    AmendRequested,
    Asked,
    CancelRequested,
    FenceDone,
    OpenOrder,
    OpenOrders,
    SessionDown,
    SessionUp,
    TradeBusted,
)
from agent.core.instruments import OrderType, Side
from agent.core.risk.modes import HALTED
from agent.core.risk.profiles import STANDARD
from agent.core.signals.admission import ProducerBudget
from tests.core.desk.account import ASK, BID, BTC, MILLISECOND_NS, SECOND_NS, SETTINGS, SYMBOL, Played, of, only
from tests.core.desk.test_desk import SIGNALLED, refusal, signal

OTHER = "ETH-USDC"


def command(played: Played, action: Action, target: str = "", reason: str = "a person looked") -> tuple[Effect, ...]:
    return played.step(OperatorCommand(action=action, reason=reason, target=target))


def other_market(played: Played) -> None:
    played.step(InstrumentDefined(msgspec.structs.replace(BTC, symbol=OTHER, base="ETH")))


class TestPeople:
    def test_a_pause_of_a_symbol_is_of_that_symbol_and_ends_with_it(self) -> None:
        played = Played().live()
        other_market(played)
        told = only(ModeChanged, command(played, "pause", OTHER, "lunch"))
        assert (told.symbol, told.mode, told.by, told.detail) == (OTHER, "PAUSED", "operator", "lunch")
        assert only(Place, (played.book(), played.request())[1])
        command(played, "pause", SYMBOL)
        played.book()
        assert refusal(played.request(lots=9)) == "R_PAUSED"
        command(played, "resume", OTHER)
        played.book()
        assert refusal(played.request(lots=9)) == "R_PAUSED"
        command(played, "resume", SYMBOL)
        played.book()
        only(Place, played.request(lots=9))

    def test_cancel_all_of_a_symbol_fences_that_symbol(self) -> None:
        played = Played().live()
        fence = only(CancelAll, command(played, "cancel_all", SYMBOL))
        assert (fence.symbol, fence.fence) == (SYMBOL, "account")
        assert only(CancelAll, command(played, "cancel_all")).symbol == ""

    def test_an_order_of_a_stranger_is_let_stand_by_its_name(self) -> None:
        def listed(played: Played) -> list[str]:
            played.timer("session:light")
            row = OpenOrder(
                client_order_id="ghost", order_id="v1", symbol=SYMBOL, side=Side.BUY, total_lots=1, price_ticks=BID,
                cum_lots=0,
            )  # fmt: skip
            asked = Asked(played.seq, True, played.epoch)
            rows = OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(row,), asked=asked, epoch=played.epoch)
            return [cancel.client_order_id for cancel in of(CancelOrder, played.step(rows))]

        played = Played().live()
        command(played, "allow_order", "other")
        assert listed(played) == ["ghost"]
        played = Played().live()
        command(played, "allow_order", "ghost")
        assert listed(played) == []

    def test_a_halt_that_a_person_ends_is_told_with_who_halted_and_why(self) -> None:
        played = Played().live()
        played.step(HaltAsked("drill", "to see it"))
        refused = only(Alarm, command(played, "reset_halt", reason=" "))
        assert (refused.code, refused.subject, refused.severity) == ("COMMAND_REFUSED", "reset_halt", "warning")
        told = command(played, "reset_halt", reason="seen")
        detail = "it was drill: to see it; seen"
        assert Alarm("warning", "HALT_RESET", "halt", detail) in told
        changed = only(ModeChanged, told)
        assert (changed.mode, changed.by, changed.detail) == ("REDUCE_ONLY", "reset", "seen")

    def test_a_profile_and_a_reset_have_the_persons_reason_and_day(self) -> None:
        played = Played().live()
        told = only(Alarm, command(played, "set_profile", "conservative", "a storm"))
        assert told.detail == "at once: a storm"
        assert only(Alarm, command(played, "reset_breaker", "day_loss")).code == "RESET_REFUSED"


class TestHalts:
    def test_it_is_told_as_a_stop_a_mode_and_a_fence(self) -> None:
        played = Played().live()
        effects = played.step(HaltAsked("drill", "to see it"))
        assert effects[0] == Stop("drill", "to see it")
        assert only(ModeChanged, effects) == ModeChanged(mode="HALTED", by="drill", detail="to see it")
        assert only(CancelAll, effects).fence == "account"

    def test_its_fence_is_asked_for_again_after_a_second_and_no_sooner(self) -> None:
        played = Played().live()
        request = only(CancelAll, played.step(HaltAsked("drill", "x"))).request_id
        asked_ns = played.now_ns
        played.now_ns = asked_ns + SECOND_NS - 2_000
        assert not of(CancelAll, played.timer("beat"))
        again = of(CancelAll, played.timer("beat"))
        assert len(again) == 1, "exactly a second after"
        played.step(FenceDone(request_id=request, scope="account", exec_seq=0, epoch=played.epoch))
        played.now_ns += 2 * SECOND_NS
        assert of(CancelAll, played.timer("beat")), "an answer to an earlier one is none to the last"

    def test_a_bust_of_a_trade_that_is_not_kept_halts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(position_module, "FILLS_KEPT_MAX", 1)
        monkeypatch.setattr(position_module, "PRUNE_BATCH", 1)
        played = Played().live()
        for _ in range(3):
            played.wait(200 * MILLISECOND_NS)
            played.hold(1)
        played.exec_seq += 1
        first = next(iter(played.desk.orders.state.trades))
        effects = played.step(TradeBusted(exec_seq=played.exec_seq, trade_id=first, lots=0, epoch=played.epoch))
        stop = only(Stop, effects)
        assert (stop.by, stop.reason) == ("BUST_NOT_KEPT", f"trade {first} is too old to be counted anew")

    def test_a_pause_leaves_what_reduces_to_the_lot(self) -> None:
        for lots, cancelled in ((5, []), (6, [6])):
            played = Played().live()
            played.hold(5)
            place = played.place(Side.SELL, lots, ASK + 9)
            played.ack(place)
            cancels = of(CancelOrder, command(played, "pause"))
            assert [played.desk.orders.get(c.client_order_id).total_lots for c in cancels] == cancelled  # type: ignore[union-attr] # all live

    def test_a_short_is_reduced_by_buying_and_a_flat_account_by_nothing(self) -> None:
        for held, left in ((-1, 1), (0, 0), (1, 0)):
            played = Played().live()
            if held:
                played.hold(held, ASK if held < 0 else BID)
            place = played.place(Side.BUY, 1, BID - 9)
            played.ack(place)
            assert len(of(CancelOrder, command(played, "pause"))) == 1 - left


class TestSession:
    def test_the_venues_rates_are_each_of_its_own_kind(self) -> None:
        played = Played().live()
        rate = played.desk.state.rate
        assert (rate.orders.per_s, rate.cancels.per_s) == (50, 100)
        for orders_per_s, cancels_per_s, expected in ((10, 30, (8, 30)), (0, 30, (50, 30)), (10, 0, (8, 100))):
            played.step(SessionDown(reason="cut"))
            played.epoch += 1
            played.step(
                SessionUp(
                    epoch=played.epoch,
                    last_exec_seq=0,
                    orders_per_s=orders_per_s,
                    cancels_per_s=cancels_per_s,
                    max_open=100,
                )
            )
            assert (rate.orders.per_s, rate.cancels.per_s) == expected

    def test_a_decision_of_the_instant_at_which_the_session_came_up_is_of_it(self) -> None:
        played = Played().live()
        played.desk.state.session_up_ns = played.now_ns + 2_000
        played.book()
        assert played.now_ns == played.desk.state.session_up_ns
        only(Place, played.request())
        played.desk.state.session_up_ns += 1
        assert refusal(played.request(lots=9)) == "R_STALE_EPOCH"


class TestMarkets:
    def test_a_delta_moves_the_touch_for_signals_and_marks(self) -> None:
        played = Played(SIGNALLED).live()
        played.book(BID, ASK)
        played.step(signal(played, limit_ticks=ASK - 5))
        now_ns = played.now_ns
        delta = BookDelta(symbol=SYMBOL, book_seq=10**6, bids=(), asks=((ASK - 5, 500),), exchange_ns=now_ns)
        place = only(Place, played.step(delta))
        assert place.price_ticks == ASK - 5
        assert played.desk.state.accounts.marks[SYMBOL].ask_ticks == ASK - 5

    def test_a_stale_symbol_is_that_symbol_and_no_name_is_all(self) -> None:
        played = Played().live()
        other_market(played)
        played.book()
        played.step(BookStale(symbol=OTHER, reason="gap"))
        assert only(Place, played.request())
        played.step(BookStale(symbol="", reason="cut"))
        (refused,) = of(Refuse, played.request(lots=9))
        assert (refused.code, refused.detail) == (Code.STALE_DATA, "cut")

    def test_a_trade_is_the_last_price_and_something_to_decide_on(self) -> None:
        played = Played().live()
        played.book()
        played.wait(300 * MILLISECOND_NS)
        print_ = TradePrint(
            symbol=SYMBOL, trade_id="t", price_ticks=ASK, lots=1, aggressor=Side.BUY, exchange_ns=played.now_ns
        )
        played.step(print_)
        book = played.desk.state.markets.of(SYMBOL).book
        assert (book.last_trade_ticks, book.trade_arrival_ns) == (ASK, played.now_ns)
        assert refusal(played.request(lots=9)) == "R_DECISION_STALE", "what it was decided on is 300 ms old"
        played.decided_seq = played.seq - 1
        only(Place, played.request(lots=9))


class TestSignals:
    def test_a_sale_is_charged_at_the_bid(self) -> None:
        """A bid of 600,000 at 100 an atom: ten lots are 600 million."""
        exactly = msgspec.structs.replace(
            SETTINGS, budgets={"model": ProducerBudget(signals_per_s=5, notional_atoms_per_day=10 * BID * 100)}
        )
        for bid, expected in ((BID, []), (BID + 1, [Code.SIGNAL_BUDGET])):
            played = Played(exactly).live()
            played.book(bid, ASK)
            effects = played.step(signal(played, side=Side.SELL, limit_ticks=1, urgency=1))
            assert [refused.code for refused in of(Refuse, effects)] == expected

    def test_what_is_refused_too_often_is_given_up_and_both_are_told(self) -> None:
        played = Played(SIGNALLED).live()
        command(played, "pause")
        played.book()
        told = of(Refuse, played.step(signal(played, expires_ns=played.now_ns + 10**11 + 1_800_000_000 * SECOND_NS)))
        for _ in range(25):
            played.wait(300 * MILLISECOND_NS)
            told += of(Refuse, played.book())
        assert [one.code for one in told] == [Code.PAUSED] * 20 + [Code.SIGNAL_GIVEN_UP]
        assert {one.subject for one in told} == {"0" * 31 + "1"}
        assert len(played.desk.signals) == 0

    def test_an_order_of_it_that_waits_is_judged_by_its_deadline(self) -> None:
        played = Played(SIGNALLED).live()
        played.desk.state.rate.orders.tokens_nano = 0
        played.book()
        ends_ns = played.now_ns + 10 * MILLISECOND_NS
        effects = played.step(signal(played, expires_ns=1_800_000_000 * SECOND_NS + ends_ns))
        assert not of(Place, effects)
        played.now_ns = ends_ns + 1_000
        refusals = of(Refuse, played.timer("desk:rate"))
        assert refusals and refusals[0].code in (Code.QUEUE_TTL, Code.EXPIRED)


class TestShedding:
    @pytest.mark.parametrize(("held", "side"), [(20, Side.SELL), (-20, Side.BUY)])
    def test_what_is_on_its_way_already_is_not_shed_twice(self, held: int, side: Side) -> None:
        played = Played(msgspec.structs.replace(SETTINGS, is_flattened_on_halt=True)).live()
        played.hold(held, BID if held > 0 else ASK)
        played.ack(played.place(side, 8, ASK + 50 if held > 0 else BID - 50))
        played.desk.state.breakers.hold("test", HALTED, "to flatten", Stamp(0, played.now_ns, played.now_ns))
        played.book()
        shed = only(Place, played.timer("beat"))
        assert (shed.side, shed.lots, shed.order_type, shed.is_reduce_only) == (side, 12, OrderType.IOC, True)
        assert not of(Place, played.timer("beat")), "one at a time"


class TestQueue:
    def test_a_reduce_only_order_is_still_one_when_it_leaves(self) -> None:
        played = Played().live()
        played.hold(5)
        played.desk.state.rate.orders.tokens_nano = 0
        played.book()
        played.request(Side.SELL, 5, ASK, is_reduce_only=True)
        played.now_ns += 30 * MILLISECOND_NS
        left = only(Place, played.timer("desk:rate"))
        assert left.is_reduce_only and left.lots == 5

    def test_a_cancel_of_what_waits_takes_no_token(self) -> None:
        played = Played().live()
        played.desk.state.rate.orders.tokens_nano = 0
        played.book()
        effects = played.request()
        assert only(ArmTimer, tuple(e for e in effects if isinstance(e, ArmTimer) and e.name == "desk:rate"))
        (order,) = played.desk.orders.all_live()
        tokens = played.desk.state.rate.cancels.tokens_nano
        played.step(CancelRequested(order.client_order_id))
        assert played.desk.state.rate.length == 0 and played.desk.orders.is_over(order.client_order_id)
        assert played.desk.state.rate.cancels.tokens_nano == tokens

    def test_an_amendment_of_nothing_is_refused_by_name(self) -> None:
        played = Played().live()
        (refused,) = of(Refuse, played.step(AmendRequested(client_order_id="nobody", total_lots=1, price_ticks=1)))
        assert (refused.subject, refused.code, refused.detail) == ("nobody", Code.BAD_FIELD, "no such order")


def test_taking_dear_leaves_resting_orders_alone() -> None:
    """Three lots bought far above the middle at which they were decided: the figures of the fills, lot by lot."""
    played = Played(
        msgspec.structs.replace(SETTINGS, profile=msgspec.structs.replace(STANDARD, slippage_ppm=100))
    ).live()
    played.book()
    place = only(Place, played.request(Side.BUY, 3, ASK + 60, order_type=OrderType.IOC))
    played.ack(place)
    played.fill(place, 1, ASK + 50)
    effects = played.fill(place, 2, ASK + 60)
    changed = only(ModeChanged, effects)
    middle = BID + ASK
    over = 2 * ((ASK + 50) + 2 * (ASK + 60)) - 3 * middle
    assert changed.detail == f"average {-(-over * 10**6 // (3 * middle))} ppm of 100"
    assert (changed.mode, changed.symbol) == ("LIMIT_ONLY", SYMBOL)
