"""Busts to the field, timers to the nanosecond, fences by whom they bind, and what is told of each."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import CancelAll, Reconnect
from agent.core.events.orders import (
    Amended,
    FenceDone,
    SendResult,
    SessionDown,
    SessionUp,
    TradeBusted,
)
from agent.core.instruments import Side
from agent.core.orders import orders as orders_module
from agent.core.orders import trades
from agent.core.orders.outcome import AppliedBust, Outcome
from agent.core.orders.table import OrderState
from tests.core.orders.history import LIMITS, SECOND_NS, SYMBOL, acked, canceled, filled, new_order
from tests.core.orders.test_orders import Account, alarms, armed


@pytest.fixture
def account() -> Account:
    return Account()


def bust(seq: int, trade_id: str, lots: int = 0, price_ticks: int | None = None) -> TradeBusted:
    return TradeBusted(exec_seq=seq, trade_id=trade_id, lots=lots, price_ticks=price_ticks, epoch=1)


def alarm(out: Outcome) -> Alarm:
    (found,) = (effect for effect in out.effects if isinstance(effect, Alarm))
    return found


class TestBusts:
    def test_it_says_what_the_trade_was_and_what_it_is(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name), filled(2, name, Side.BUY, 4, 4))
        expected = AppliedBust(
            owner="s",
            client_order_id=name,
            exec_seq=3,
            trade_id="t2",
            symbol=SYMBOL,
            side=Side.BUY,
            lots_before=4,
            price_ticks_before=1_000,
            lots=3,
            price_ticks=990,
        )
        assert account.tell(bust(3, "t2", 3, 990)).busts == [expected]
        again = account.tell(bust(4, "t2")).busts
        assert again == [
            msgspec.structs.replace(expected, exec_seq=4, lots_before=3, price_ticks_before=990, lots=0)
        ], "without a price it keeps the one it has"
        order = account.orders.get(name)
        assert order is not None and (order.cum_lots, order.state) == (4, OrderState.OPEN), "it does not work again"
        assert order.exec_seq == 4

    def test_both_sides_of_a_trade_with_ourselves_are_taken_back(self, account: Account) -> None:
        buy, sale = account.place(), account.place(side=Side.SELL)
        twin = msgspec.structs.replace(filled(4, sale, Side.SELL, 4, 4), trade_id="t3")
        account.tell(acked(1, buy), acked(2, sale), filled(3, buy, Side.BUY, 4, 4), twin)
        busts = account.tell(bust(5, "t3")).busts
        assert [(one.client_order_id, one.side, one.lots_before) for one in busts] == [
            (buy, Side.BUY, 4),
            (sale, Side.SELL, 4),
        ]

    def test_of_a_trade_that_is_not_known_or_of_two_symbols_it_halts(self, account: Account) -> None:
        out = account.tell(bust(1, "nothing"))
        detail = "0 symbols have a remembered trade of this id"
        assert alarm(out) == Alarm("critical", "BUST_OF_UNKNOWN_TRADE", "nothing", detail)
        assert out.halts == [("BUST_OF_UNKNOWN_TRADE", f"trade nothing: {detail}")]
        other = msgspec.structs.replace(filled(3, "ghost", Side.SELL, 1, 1), symbol="ETH-USDC", trade_id="t2")
        account.tell(filled(2, "ghost", Side.BUY, 1, 1), other)
        out = account.tell(bust(4, "t2"))
        assert out.busts == [] and alarm(out).detail == "2 symbols have a remembered trade of this id"

    def test_of_an_order_that_is_forgotten_the_position_is_counted_and_it_is_told(self, account: Account) -> None:
        account.tell(filled(1, "ghost", Side.BUY, 5, 5))
        out = account.tell(bust(2, "t1", 2))
        assert [(one.lots_before, one.lots) for one in out.busts] == [(5, 2)]
        detail = "2 lots remain of a trade whose order is forgotten"
        assert alarm(out) == Alarm("critical", "TRADE_BUSTED", "ghost", detail)

    def test_trades_are_remembered_for_two_generations(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trades, "KEPT_TRADES", 2)
        name = account.place()
        account.tell(acked(1, name), *(filled(1 + n, name, Side.BUY, 1, n) for n in range(1, 6)))
        known = [trades.knows_trade(account.orders.state, f"t{n}") for n in range(2, 7)]
        assert known == [False, False, True, True, True]


class TestTimers:
    def test_an_unknown_order_is_no_case_before_its_time(self, account: Account) -> None:
        name = account.place()
        at_ns = armed(account.tell(SendResult(name, "place", "maybe")).effects, f"unknown:{name}")
        early = account.fire(f"unknown:{name}", at_ns - 1)
        assert (early.effects, early.ignored) == ([], 1)
        out = account.fire(f"unknown:{name}", at_ns)
        detail = "its fate is unknown for 30 s"
        assert alarm(out) == Alarm("critical", "ORDER_STAYS_UNKNOWN", name, detail)
        assert out.symbol_halts == [(SYMBOL, "ORDER_STAYS_UNKNOWN", f"order {name}: {detail}")]
        assert armed(out.effects, f"unknown:{name}") == at_ns + SECOND_NS, "then the fence is overdue"
        at_ns += 90 * SECOND_NS
        assert not account.fire(f"unknown:{name}", at_ns - 1).halts
        assert account.fire(f"unknown:{name}", at_ns).halts == [
            ("ORDER_STAYS_UNKNOWN", f"order {name}: its fate is unknown for 120 s")
        ]
        assert account.fire(f"unknown:{name}", at_ns + SECOND_NS).halts, "and again, if somebody asks again"

    def test_one_that_is_settled_is_none(self, account: Account) -> None:
        name = account.place()
        at_ns = armed(account.tell(SendResult(name, "place", "maybe")).effects, f"unknown:{name}")
        out = account.tell(acked(1, name))
        assert DisarmTimer(f"unknown:{name}") in out.effects
        assert account.fire(f"unknown:{name}", at_ns).ignored == 1

    def test_names_of_nothing_are_counted(self, account: Account) -> None:
        name = account.place()
        for timer in ("request:nobody", f"nothing:{name}", "nonsense"):
            assert account.fire(timer, account.now_ns).ignored == 1
        assert account.fire(f"query:{name}", account.now_ns).ignored == 1, "nothing is asked for"

    def test_fills_that_are_owed_are_told_by_their_number(self, account: Account) -> None:
        name = account.place()
        out = account.tell(acked(1, name), canceled(2, name, cum_lots=4))
        at_ns = armed(out.effects, f"owed:{name}")
        assert at_ns == account.now_ns + 60 * SECOND_NS
        out = account.fire(f"owed:{name}", at_ns)
        detail = "4 lots that the venue counts as filled did not come as fills"
        assert alarm(out) == Alarm("critical", "FILLS_OWED", name, detail)
        out = account.tell(filled(3, name, Side.BUY, 4, 4))
        assert DisarmTimer(f"owed:{name}") in out.effects

    def test_an_execution_that_is_only_heard_of_is_waited_for_a_moment(self, account: Account) -> None:
        out = account.tell(FenceDone(request_id="nobody's", scope="session", exec_seq=3, epoch=1))
        assert armed(out.effects, "gap") > account.now_ns
        again = account.tell(FenceDone(request_id="nobody's", scope="session", exec_seq=3, epoch=1))
        assert not [effect for effect in again.effects if isinstance(effect, ArmTimer)], "once"

    def test_a_session_that_ends_disarms_the_replay_it_asked_for(self, account: Account) -> None:
        account.tell(SessionDown(reason="closed"))
        account.tell(SessionUp(epoch=2, last_exec_seq=0, **LIMITS))
        assert account.orders.state.is_replay_asked
        out = account.tell(SessionDown(reason="closed"))
        assert DisarmTimer("replay") in out.effects and not account.orders.state.is_replay_asked
        assert DisarmTimer("replay") not in account.tell(SessionDown(reason="closed")).effects

    def test_a_new_run_arms_anew_what_waits(self, account: Account) -> None:
        unknown, owed = account.place(), account.place()
        account.tell(SendResult(unknown, "place", "maybe"), acked(1, owed), canceled(2, owed, cum_lots=4))
        account.now_ns = 5
        out = Outcome()
        account.orders.begin_run(2, account.stamp(), out)
        assert armed(out.effects, f"unknown:{unknown}") == 5 + 30 * SECOND_NS
        assert armed(out.effects, f"owed:{owed}") == 5 + 60 * SECOND_NS


class TestFences:
    def test_what_was_sent_before_it_was_asked_for_is_bound_by_it(self, account: Account) -> None:
        name = account.place()
        account.tell(SendResult(name, "place", "maybe"))
        assert account.orders.is_fenced(SYMBOL)
        out = Outcome()
        request_id = account.orders.fence("account", account.stamp(), out)
        assert out.effects == [CancelAll(request_id=request_id, fence="account")]
        assert request_id.endswith("-all")
        account.tell(FenceDone(request_id=request_id, scope="account", exec_seq=0, epoch=2))
        assert account.orders.state.epoch == 2 and not account.orders.is_fenced(SYMBOL)
        later = account.place()
        account.tell(SendResult(later, "place", "maybe"))
        assert account.orders.is_fenced(SYMBOL), "not by one of before"

    def test_of_a_session_it_raises_no_epoch_and_binds_what_that_session_sent(self, account: Account) -> None:
        name = account.place()
        account.tell(SendResult(name, "place", "maybe"))
        out = Outcome()
        request_id = account.orders.fence("session", account.stamp(), out, SYMBOL)
        assert request_id.endswith(SYMBOL)
        account.tell(FenceDone(request_id=request_id, scope="session", exec_seq=0, epoch=7, symbol=SYMBOL))
        assert account.orders.state.epoch == 1 and not account.orders.is_fenced(SYMBOL)

    def test_one_that_nobody_asked_for_proves_nothing_and_is_counted(self, account: Account) -> None:
        done = FenceDone(request_id="nobody's", scope="account", exec_seq=0, epoch=1)
        assert (account.tell(done).ignored, account.orders.state.fences) == (1, {})

    def test_an_order_that_it_left_is_told_by_name(self, account: Account) -> None:
        done = FenceDone(request_id="x", scope="session", exec_seq=0, epoch=1, failed=(("a", "LOCKED"), ("b", "BUSY")))
        told = [effect for effect in account.tell(done).effects if isinstance(effect, Alarm)]
        assert told == [
            Alarm("critical", "FENCE_LEFT_ORDER", "a", "not cancelled by the fence: LOCKED"),
            Alarm("critical", "FENCE_LEFT_ORDER", "b", "not cancelled by the fence: BUSY"),
        ]

    def test_only_so_many_wait_for_an_answer(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(orders_module, "MAX_FENCES_ASKED", 2)
        ids = []
        for _ in range(3):
            account.seq += 1
            account.now_ns += SECOND_NS  # or its answer would be awaited
            ids.append(account.orders.fence("account", account.stamp(), Outcome()))
        assert list(account.orders.state.fences_asked) == ids[1:]
        assert account.tell(FenceDone(request_id=ids[0], scope="account", exec_seq=0, epoch=1)).ignored == 1
        assert account.tell(FenceDone(request_id=ids[1], scope="account", exec_seq=0, epoch=1)).ignored == 0


class TestSessions:
    def test_a_hello_of_an_epoch_that_did_not_rise_is_told(self, account: Account) -> None:
        out = account.tell(SessionUp(epoch=1, last_exec_seq=0, **LIMITS))
        detail = "the hello names epoch 1 after 1"
        assert alarm(out) == Alarm("critical", "EPOCH_DID_NOT_RISE", "", detail)
        assert Reconnect(detail) in out.effects

    def test_executions_that_went_back_are_told_by_their_numbers(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name), filled(2, name, Side.BUY, 1, 1), SessionDown(reason="closed"))
        out = account.tell(SessionUp(epoch=2, last_exec_seq=1, **LIMITS))
        detail = "the venue has 1 executions, we applied 2"
        assert alarm(out) == Alarm("critical", "EXECUTIONS_WENT_BACK", "", detail)
        assert out.halts == [("EXECUTIONS_WENT_BACK", detail)]

    def test_a_wall_clock_that_was_set_back_is_followed_for_deadlines(self, account: Account) -> None:
        stamp = account.stamp()
        account.orders.clock_stepped(0, stamp)
        account.orders.clock_stepped(5, stamp)
        assert account.orders.state.wall_base_ns is None, "stamps go forward by themselves"
        account.orders.clock_stepped(-9, stamp)
        assert account.orders.state.wall_base_ns == 7 - 9
        account.orders.clock_stepped(4, stamp)
        assert account.orders.state.wall_base_ns == 7 - 9 + 4

    def test_an_order_that_a_person_vouches_for_is_kept_once(self, account: Account) -> None:
        for _ in range(2):
            account.orders.allow("theirs")
        assert account.orders.state.allowed == ["theirs"]


class TestRequests:
    def test_of_an_order_that_is_not_known_they_are_counted_and_nothing_else(self, account: Account) -> None:
        orders, stamp = account.orders, account.stamp()
        for out in (
            orders.cancel("nobody", stamp),
            orders.release("nobody", stamp),
            orders.deny_queued("nobody", "QUEUE_TTL", stamp),
            orders.amend("nobody", 1, 1, stamp),
            account.tell(SendResult("nobody", "place", "maybe")),
        ):
            assert (out.effects, out.ignored) == ([], 1)

    def test_one_outcome_may_be_of_several(self, account: Account) -> None:
        out = Outcome()
        for name in ("a", "b", "c"):
            account.orders.cancel(name, account.stamp(), out)
            account.orders.apply(SendResult(name, "place", "maybe"), account.stamp(), out)
            account.orders.timer(f"query:{name}", account.stamp(), out)
        assert out.ignored == 9

    def test_a_denial_leaves_its_code_with_an_order_that_waits_and_with_no_other(self, account: Account) -> None:
        waiting = account.orders.place(new_order(), release=False, stamp=account.stamp()).placed
        sent = account.place()
        for name in (waiting, sent):
            account.orders.deny_queued(name, "QUEUE_TTL", account.stamp())
        denied, working = account.orders.get(waiting), account.orders.get(sent)
        assert denied is not None and (denied.state, denied.reason) == (OrderState.DENIED, "QUEUE_TTL")
        assert account.orders.is_over(waiting)
        assert working is not None and working.reason == "" and not account.orders.is_over(sent)

    def test_an_order_is_found_by_the_venues_id_while_it_is_open(self, account: Account) -> None:
        first, second = account.place(), account.place()
        account.tell(acked(1, first), acked(2, second))
        by_venue = msgspec.structs.replace(canceled(3, "", cum_lots=0), order_id=f"v{second}")
        account.tell(by_venue)
        assert (account.state(first), account.state(second)) == (OrderState.OPEN, OrderState.CANCELED)
        assert account.orders.is_over(second)

    def test_an_amendment_of_an_order_that_is_not_ours_is_told(self, account: Account) -> None:
        amended = Amended(
            exec_seq=1,
            client_order_id="ghost",
            order_id="vghost",
            total_lots=3,
            price_ticks=9,
            cum_lots=0,
            leaves_lots=3,
            epoch=1,
        )
        assert alarms(account.tell(amended)) == ["FOREIGN_ORDER"]
