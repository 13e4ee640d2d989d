"""What scripts of one order do not say: escalation, views, a new run, fills that are not as ordered, what is kept."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer
from agent.core.effects.orders import CancelAll, CancelOrder, Place, QueryStatus, Reconnect, ReplayFrom
from agent.core.events import Stamp
from agent.core.events.orders import (
    Amended,
    AmendReject,
    Asked,
    Canceled,
    ClockOffset,
    Fill,
    OrderStatus,
    ReplayDone,
    SendResult,
    SessionDown,
    SessionUp,
    TradeBusted,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders import ingress, machine, trades
from agent.core.orders.ids import encoded
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import EXTERNAL, Outcome
from agent.core.orders.state import OrdersState
from agent.core.orders.table import OrderState
from tests.core.orders.history import LIMITS, SECOND_NS, SYMBOL, acked, canceled, filled, new_order
from tests.core.orders.kept import in_order


class Account:
    """One live account and its clock."""

    def __init__(self) -> None:
        self.orders = OwnOrders(OrdersState(run_epoch=1))
        self.now_ns = SECOND_NS
        self.seq = 0
        self.orders.apply(SessionUp(epoch=1, last_exec_seq=0, **LIMITS), self.stamp())
        self.orders.apply(ReplayDone(0, 1), self.stamp())
        self.orders.session_live(self.stamp())

    def stamp(self) -> Stamp:
        self.seq += 1
        return Stamp(self.seq, self.now_ns, self.now_ns + 7)

    def place(self, lots: int = 10, side: Side = Side.BUY, order_type: OrderType = OrderType.LIMIT) -> str:
        new = msgspec.structs.replace(new_order(side, lots), order_type=order_type)
        return in_order(self.orders, self.orders.place(new, release=True, stamp=self.stamp())).placed

    def tell(self, *events: object) -> Outcome:
        out = Outcome()
        for event in events:
            self.orders.apply(event, self.stamp(), out)  # type: ignore[arg-type]
        return in_order(self.orders, out)

    def fire(self, name: str, at_ns: int) -> Outcome:
        self.now_ns = at_ns
        return in_order(self.orders, self.orders.timer(name, self.stamp()))

    def state(self, name: str) -> OrderState:
        order = self.orders.get(name)
        assert order is not None
        return order.state


@pytest.fixture
def account() -> Account:
    return Account()


def alarms(out: Outcome) -> list[str]:
    return [effect.code for effect in out.effects if isinstance(effect, Alarm)]


def armed(effects: list[Effect], name: str) -> int:
    (at_ns,) = (effect.at_monotonic_ns for effect in effects if isinstance(effect, ArmTimer) and effect.name == name)
    return at_ns


def test_a_place_says_when_the_venue_must_not_take_it_any_more_by_the_venues_clock(account: Account) -> None:
    account.tell(ClockOffset(50, 1))
    out = account.orders.place(new_order(), release=True, stamp=Stamp(9, 1, 1_000))
    (place,) = (effect for effect in out.effects if isinstance(effect, Place))
    assert place.expire_ns == 1_000 + 50 + SECOND_NS


def test_an_order_of_unknown_fate_is_asked_for_by_the_schedule(account: Account) -> None:
    name = account.place()
    account.tell(SendResult(name, "place", "maybe"))
    waits = []
    for _ in range(8):
        order = account.orders.get(name)
        assert order is not None
        waits.append((order.query_at_ns - account.now_ns) // 10**6)
        assert QueryStatus(name) in account.fire(f"query:{name}", order.query_at_ns).effects
    assert waits == [200, 400, 800, 1600, 3200, 5000, 5000, 5000]


def test_an_answer_that_settles_nothing_does_not_make_a_loop_at_the_speed_of_the_wire(account: Account) -> None:
    name = account.place()
    account.tell(SendResult(name, "place", "maybe"))
    asked = 0
    for _ in range(100):
        answer = OrderStatus(
            client_order_id=name, status="not_found", as_of_exec_seq=0, asked=Asked(account.seq, True, 1), epoch=1
        )
        asked += QueryStatus(name) in account.tell(answer).effects
    assert asked < 10


def test_after_30_seconds_the_symbol_halts_behind_a_fence_and_after_120_everything(account: Account) -> None:
    name = account.place()
    out = account.tell(SendResult(name, "place", "maybe"))
    at_ns = armed(out.effects, f"unknown:{name}")
    assert at_ns == account.now_ns + 30 * SECOND_NS

    out = account.fire(f"unknown:{name}", at_ns)
    assert [halt[:2] for halt in out.symbol_halts] == [(SYMBOL, "ORDER_STAYS_UNKNOWN")] and not out.halts
    (fence,) = (effect for effect in out.effects if isinstance(effect, CancelAll))
    assert (fence.fence, fence.symbol) == ("account", SYMBOL)
    order = account.orders.get(name)
    assert order is not None and order.state is OrderState.UNKNOWN and order.reserved_lots == 10

    fences = 1
    while not out.halts:
        out = account.fire(f"unknown:{name}", armed(out.effects, f"unknown:{name}"))
        fences += sum(isinstance(effect, CancelAll) for effect in out.effects)
    assert account.now_ns == SECOND_NS + 120 * SECOND_NS
    assert [code for code, _ in out.halts] == ["ORDER_STAYS_UNKNOWN"]
    assert fences == 90, "without an answer it is asked for again each second"


def test_fills_that_are_owed_for_a_minute_halt(account: Account) -> None:
    name = account.place()
    out = account.tell(acked(1, name), canceled(2, name, cum_lots=4))
    at_ns = armed(out.effects, f"owed:{name}")
    assert account.orders.reserved_lots(SYMBOL, Side.BUY) == 4 and account.orders.open_count() == 0
    assert [code for code, _ in account.fire(f"owed:{name}", at_ns).halts] == ["FILLS_OWED"]


def test_a_fill_that_is_not_ours_counts_under_external_and_halts(account: Account) -> None:
    out = account.tell(filled(1, "ghost", Side.SELL, 3, 3))
    assert [applied.owner for applied in out.fills] == [EXTERNAL]
    assert [code for code, _ in out.halts] == ["FILL_OF_FOREIGN_ORDER"]


def test_a_fill_of_an_order_whose_record_was_lost_is_told_apart() -> None:
    account = Account()
    account.orders.begin_run(2, account.stamp(), Outcome())
    account.tell(SessionUp(epoch=2, last_exec_seq=1, **LIMITS))
    out = account.tell(filled(1, encoded(1, 77), Side.BUY, 3, 3, epoch=2))
    assert [code for code, _ in out.halts] == ["FILL_OF_LOST_ORDER"] and len(out.fills) == 1


@pytest.mark.parametrize(
    ("change", "code", "halts"),
    [
        ({"side": Side.SELL}, "FILL_OF_ANOTHER_KIND", True),
        ({"symbol": "ETH-USDC"}, "FILL_OF_ANOTHER_KIND", True),
        ({"cum_lots": 5}, "FILLS_DO_NOT_ADD_UP", False),
    ],
)
def test_a_fill_that_is_not_what_was_ordered_counts_and_is_told(
    account: Account, change: dict[str, object], code: str, halts: bool
) -> None:
    name = account.place()
    fill: Fill = msgspec.structs.replace(filled(2, name, Side.BUY, 4, 4), **change)
    out = account.tell(acked(1, name), fill)
    assert [applied.fill for applied in out.fills] == [fill]
    assert alarms(out) == [code] and bool(out.halts) == halts


def test_a_fok_that_fills_in_part_is_a_breach(account: Account) -> None:
    name = account.place(order_type=OrderType.FOK)
    assert alarms(account.tell(acked(1, name), filled(2, name, Side.BUY, 4, 4))) == []
    assert alarms(account.tell(canceled(3, name, 4))) == ["FOK_FILLED_IN_PART"]


def test_a_fok_that_meets_several_orders_is_filled_whole_in_several_fills(account: Account) -> None:
    name = account.place(order_type=OrderType.FOK)
    out = account.tell(acked(1, name), filled(2, name, Side.BUY, 4, 4), filled(3, name, Side.BUY, 6, 10))
    assert alarms(out) == []


def test_a_fok_that_is_not_filled_at_all_is_none(account: Account) -> None:
    name = account.place(order_type=OrderType.FOK)
    assert alarms(account.tell(acked(1, name), canceled(2, name, 0))) == []


def test_an_amendment_that_never_left_changes_nothing(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name))
    account.orders.amend(name, 30, 1_000, account.stamp())
    assert account.orders.reserved_lots(SYMBOL, Side.BUY) == 30
    account.tell(SendResult(name, "amend", "clean"))
    assert account.state(name) is OrderState.OPEN and account.orders.reserved_lots(SYMBOL, Side.BUY) == 10


def test_an_amendment_refused_for_an_unknown_reason_stays_open(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name))
    account.orders.amend(name, 30, 1_000, account.stamp())
    account.tell(AmendReject(client_order_id=name, code="SOMETHING_NEW", epoch=1))
    assert account.state(name) is OrderState.UNKNOWN and account.orders.reserved_lots(SYMBOL, Side.BUY) == 30


def test_a_cancel_sent_while_unknown_is_sent_again_when_its_time_has_passed(account: Account) -> None:
    name = account.place()
    account.tell(SendResult(name, "place", "maybe"))
    account.orders.cancel(name, account.stamp())
    sent = []
    for _ in range(5):
        order = account.orders.get(name)
        assert order is not None
        out = account.fire(f"query:{name}", order.query_at_ns)
        sent.append(CancelOrder(name) in out.effects)
    assert sent == [False, True, True, True, True], "the first question comes while the cancel is still in time"


def test_a_timer_that_was_replaced_does_nothing(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name))
    out = account.fire(f"request:{name}", account.now_ns + SECOND_NS)
    assert out.ignored == 1 and not out.effects
    account.orders.cancel(name, account.stamp())
    assert account.fire(f"request:{name}", account.now_ns + SECOND_NS - 1).ignored == 1, "armed for later"


def test_views_name_what_may_trade(account: Account) -> None:
    buy, sell = account.place(), account.place(4, Side.SELL)
    account.tell(acked(1, buy), acked(2, sell))
    account.orders.amend(buy, 12, 990, account.stamp())
    assert list(account.orders.resting_prices(SYMBOL, Side.BUY)) == [1_000, 990]
    assert [order.client_order_id for order in account.orders.live(SYMBOL)] == [buy, sell]
    assert account.orders.open_count(SYMBOL) == 2 and account.orders.open_count("ETH-USDC") == 0
    account.tell(canceled(3, sell, 0))
    assert list(account.orders.resting_prices(SYMBOL, Side.SELL)) == []
    assert account.state(sell) is OrderState.CANCELED, "its end can still be read"


def test_a_new_run_asks_anew_and_gives_new_ids(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name), filled(2, name, Side.BUY, 4, 4))
    data = msgspec.msgpack.encode(account.orders.state)
    orders = OwnOrders(msgspec.msgpack.decode(data, type=OrdersState))
    out = Outcome()
    orders.begin_run(2, Stamp(50, 5, 5), out)
    order = orders.get(name)
    assert order is not None and order.state is OrderState.UNKNOWN and order.reserved_lots == 6
    assert armed(out.effects, f"unknown:{name}") == 5 + 30 * SECOND_NS
    assert orders.was_issued(name)
    assert orders.place(new_order(), release=False, stamp=Stamp(51, 5, 5)).placed == encoded(2, 0)


def test_closed_orders_and_trades_are_forgotten_in_the_end(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "KEPT_CLOSED", 4)
    monkeypatch.setattr(trades, "KEPT_TRADES", 4)
    names = []
    for number in range(20):
        names.append(name := account.place(10))
        account.tell(acked(2 * number + 1, name), filled(2 * number + 2, name, Side.BUY, 10, 10))
    state = account.orders.state
    assert not state.live
    assert 4 <= len(state.closed) + len(state.closed_before) <= 8
    assert 4 <= len(state.trades) + len(state.trades_before) <= 8
    assert account.orders.get(names[0]) is None and account.state(names[-1]) is OrderState.FILLED

    out = account.tell(TradeBusted(exec_seq=41, trade_id="t40", lots=0, epoch=1))
    assert [(one.owner, one.lots_before, one.lots) for one in out.busts] == [("s", 10, 0)] and not out.halts
    out = account.tell(TradeBusted(exec_seq=42, trade_id="t2", lots=0, epoch=1))
    assert [code for code, _ in out.halts] == ["BUST_OF_UNKNOWN_TRADE"]


def test_a_replay_that_does_not_come_is_asked_for_again_and_then_given_up(account: Account) -> None:
    name = account.place()
    out = account.tell(filled(2, name, Side.BUY, 4, 4))
    assert ReplayFrom(1) in out.effects
    out = account.fire("replay", armed(out.effects, "replay"))
    assert ReplayFrom(1) in out.effects
    assert any(isinstance(effect, Reconnect) for effect in account.fire("replay", account.now_ns + 10**10).effects)


def test_frames_behind_a_gap_are_held_up_to_a_bound(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "MAX_HELD", 3)
    name = account.place()
    out = account.tell(*(filled(seq, name, Side.BUY, 1, seq) for seq in range(2, 6)))
    assert any(isinstance(effect, Reconnect) for effect in out.effects) and not account.orders.state.held


def test_executions_that_go_back_halt(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name), SessionDown(reason="closed"))
    out = account.tell(SessionUp(epoch=2, last_exec_seq=0, **LIMITS))
    assert [code for code, _ in out.halts] == ["EXECUTIONS_WENT_BACK"]


def test_a_venue_that_counts_no_executions_is_known_by_its_trades(account: Account) -> None:
    name = account.place()
    fill = msgspec.structs.replace(filled(0, name, Side.BUY, 4, 4), trade_id="x")
    out = account.tell(fill, fill)
    assert len(out.fills) == 1 and out.ignored == 1


def test_a_session_that_is_over_for_good_halts(account: Account) -> None:
    out = account.tell(SessionDown(reason="replaced", is_terminal=True))
    assert [code for code, _ in out.halts] == ["SESSION_ENDED_FOR_GOOD"]


def test_canceled_with_more_than_the_old_total_means_the_amendment_was_applied(account: Account) -> None:
    name = account.place()
    account.tell(acked(1, name))
    account.orders.amend(name, 20, 1_000, account.stamp())
    end = Canceled(exec_seq=2, client_order_id=name, order_id="", cum_lots=15, reason="user", epoch=1)
    out = account.tell(end, filled(3, name, Side.BUY, 15, 15))
    assert not out.halts and account.state(name) is OrderState.CANCELED


def amended(seq: int, name: str, total_lots: int) -> Amended:
    return Amended(
        exec_seq=seq,
        client_order_id=name,
        order_id=f"v{name}",
        total_lots=total_lots,
        price_ticks=1_000,
        cum_lots=0,
        leaves_lots=total_lots,
        epoch=1,
    )


def open_status(account: Account, name: str, total_lots: int, as_of: int) -> OrderStatus:
    return OrderStatus(
        client_order_id=name,
        status="open",
        total_lots=total_lots,
        price_ticks=1_000,
        cum_lots=0,
        as_of_exec_seq=as_of,
        asked=Asked(account.seq, True, 1),
        epoch=1,
    )


def amend_twice(account: Account, as_of: int, total_lots: int) -> str:
    """The first amendment (to 14) is settled by a status, its own answer has not come; the second (to 18) is out."""
    name = account.place()
    account.tell(acked(1, name))
    account.orders.amend(name, 14, 1_000, account.stamp())
    account.fire(f"request:{name}", account.now_ns + SECOND_NS)
    account.tell(open_status(account, name, total_lots, as_of))
    assert account.state(name) is OrderState.OPEN
    account.orders.amend(name, 18, 1_000, account.stamp())
    return name


def test_the_late_frame_of_an_earlier_amendment_does_not_settle_the_next_one(account: Account) -> None:
    name = amend_twice(account, as_of=2, total_lots=14)
    account.tell(amended(2, name, 14))
    assert account.state(name) is OrderState.PENDING_AMEND and account.orders.reserved_lots(SYMBOL, Side.BUY) == 18
    account.tell(amended(3, name, 18))
    assert account.state(name) is OrderState.OPEN and account.orders.reserved_lots(SYMBOL, Side.BUY) == 18


def test_a_refusal_that_may_be_of_an_earlier_amendment_settles_nothing(account: Account) -> None:
    name = amend_twice(account, as_of=1, total_lots=10)
    refused = AmendReject(client_order_id=name, code="TOO_LATE_TO_CANCEL", epoch=1)
    assert QueryStatus(name) in account.tell(refused).effects
    assert account.state(name) is OrderState.UNKNOWN and account.orders.reserved_lots(SYMBOL, Side.BUY) == 18
    account.tell(refused)
    assert account.orders.reserved_lots(SYMBOL, Side.BUY) == 10
