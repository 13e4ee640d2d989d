"""A session lets orders out only when venue and books agree, and goes on asking whether they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from agent.core.accounts.accounts import Accounts
from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer
from agent.core.effects.orders import CancelOrder, QueryAccount, QueryOpen, QueryStatus, Reconnect, ReplayFrom
from agent.core.events import Stamp
from agent.core.events.orders import (
    AccountSnapshot,
    Asked,
    Balance,
    Canceled,
    ClockOffset,
    FenceDone,
    Fill,
    Flow,
    OpenOrder,
    OpenOrders,
    OrderAck,
    OrderEvent,
    ReplayDone,
    SessionDown,
    SessionUp,
    VenuePosition,
)
from agent.core.instruments import Instrument, OrderType, Side, Step
from agent.core.orders.order import NewOrder
from agent.core.orders.orders import OwnOrders
from agent.core.orders.outcome import Outcome
from agent.core.orders.state import OrdersState
from agent.core.orders.table import OrderState
from agent.core.risk.modes import ACTIVE, HALTED, REDUCE_ONLY
from agent.core.session import Adoption, Phase, Session, SessionState
from tests.core.kept import as_kept
from tests.core.orders.kept import in_order

SYMBOL = "BTC-USDC"
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDC",
    tick=Step(1, 1),
    lot=Step(1, 3),
    tick_value_atoms=100,
    quote_digits=6,
    min_lots=1,
    max_lots=10_000,
    min_notional_atoms=0,
    price_band_bps=1_000,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
)
CASH_ATOMS = 1_000_000_000


class World:
    """Orders, books and session of one account, and a venue that answers what the test says."""

    def __init__(self) -> None:
        self.orders = OwnOrders(OrdersState(run_epoch=1))
        self.accounts = Accounts(currency="USDC")
        self.accounts.define(INSTRUMENT)
        self.accounts.on_flow(Flow(kind="deposit", currency="USDC", atoms=CASH_ATOMS, flow_id="1"), 0)
        self.session = Session(SessionState(), self.orders, self.accounts)
        self.seq = 0
        self.now_ns = 10**9
        self.exec_seq = 0
        self.halts: list[str] = []
        self.modes: list[tuple[str, str, int]] = []
        """What the session told of its own mode: words, why, and the event it was at."""
        self.session.on_mode = lambda mode, why, stamp, out: self.modes.append((mode.words, why, stamp.seq))

    def tell(self, event: OrderEvent) -> list[Effect]:
        """The books take a fill in after the session has seen it, which is the harder order."""
        stamp, out = self.stamp(), Outcome()
        self.orders.apply(event, stamp, out)
        self.session.apply(event, stamp, out)
        for applied in out.fills:
            self.accounts.on_fill(applied.fill, stamp)
        return self.done(out)

    def fire(self, name: str, at_ns: int | None = None) -> list[Effect]:
        self.now_ns = max(self.now_ns, at_ns or 0)
        stamp, out = self.stamp(), Outcome()
        self.orders.timer(name, stamp, out)
        self.session.timer(name, stamp, out)
        return self.done(out)

    def done(self, out: Outcome) -> list[Effect]:
        self.halts += [code for code, _ in out.halts]
        in_order(self.orders, out)
        as_kept(self.session.state)
        return out.effects

    def stamp(self) -> Stamp:
        self.seq += 1
        self.now_ns += 1_000_000
        return Stamp(self.seq, self.now_ns, self.now_ns)

    def up(self, epoch: int = 1, last: int | None = None, **also: Any) -> list[Effect]:
        last = self.exec_seq if last is None else last
        limits = {"orders_per_s": 100, "cancels_per_s": 100, "max_open": 100}
        return self.tell(SessionUp(epoch=epoch, last_exec_seq=last, **limits, **also))

    def replayed(self) -> list[Effect]:
        return self.tell(ReplayDone(self.orders.state.cursor, self.session.epoch))

    def answer(
        self, rows: Iterable[OpenOrder] = (), *, complete: bool = True, as_of: int | None = None
    ) -> list[Effect]:
        return self.tell(
            OpenOrders(
                as_of_exec_seq=self.exec_seq if as_of is None else as_of,
                is_complete=complete,
                orders=tuple(rows),
                asked=self.asked(),
                epoch=self.session.epoch,
            )
        )

    def account(self, lots: int = 0, atoms: int = CASH_ATOMS, *, as_of: int | None = None) -> list[Effect]:
        return self.tell(
            AccountSnapshot(
                as_of_exec_seq=self.exec_seq if as_of is None else as_of,
                balances=(Balance("USDC", atoms),),
                positions=(VenuePosition(SYMBOL, lots),) if lots else (),
                asked=self.asked(),
                epoch=self.session.epoch,
            )
        )

    def asked(self) -> Asked:
        return Asked(self.seq, True, self.session.epoch)

    def go_live(self) -> list[Effect]:
        self.up()
        self.replayed()
        self.answer()
        return self.account()

    def open_order(self, lots: int = 10, order_type: OrderType = OrderType.LIMIT) -> str:
        new = NewOrder(strategy="s", symbol=SYMBOL, side=Side.BUY, order_type=order_type, lots=lots, price_ticks=1_000)
        name = self.orders.place(new, release=True, stamp=self.stamp()).placed
        self.tell(
            OrderAck(
                exec_seq=self.next(), client_order_id=name, order_id=f"v{name}", status="open", cum_lots=0, epoch=1
            )
        )
        return name

    def fill(self, name: str, lots: int, cum_lots: int) -> Fill:
        return Fill(
            exec_seq=self.next(),
            symbol=SYMBOL,
            client_order_id=name,
            order_id=f"v{name}",
            trade_id=f"t{self.exec_seq}",
            side=Side.BUY,
            lots=lots,
            price_ticks=1_000,
            is_maker=True,
            fee=0,
            fee_currency="USDC",
            cum_lots=cum_lots,
            leaves_lots=0,
            epoch=self.session.epoch,
        )

    def next(self) -> int:
        self.exec_seq += 1
        return self.exec_seq


def row(name: str, cum_lots: int = 0) -> OpenOrder:
    return OpenOrder(
        client_order_id=name,
        order_id=f"v{name}",
        symbol=SYMBOL,
        side=Side.BUY,
        total_lots=10,
        price_ticks=1_000,
        cum_lots=cum_lots,
    )


def kinds(effects: list[Effect]) -> list[type]:
    """Without timers."""
    return [type(effect) for effect in effects if "Timer" not in type(effect).__name__]


def alarms(effects: list[Effect]) -> list[str]:
    return [effect.code for effect in effects if isinstance(effect, Alarm)]


@pytest.fixture
def world() -> World:
    return World()


def test_the_way_up_is_replay_then_comparison_then_live(world: World) -> None:
    assert not world.session.is_live
    assert kinds(world.up()) == [ReplayFrom]
    assert world.session.state.phase is Phase.SYNCING
    assert kinds(world.replayed()) == [QueryOpen, QueryAccount]
    assert world.session.state.phase is Phase.RECONCILING
    assert kinds(world.answer()) == []
    assert not world.session.is_live
    world.account()
    assert world.session.is_live and world.orders.state.is_live
    assert world.session.mode == ACTIVE


def test_a_replay_that_ends_before_the_hello_said_is_asked_for_again_and_then_given_up(world: World) -> None:
    world.go_live()
    world.tell(SessionDown(reason="closed"))
    world.up(epoch=2, last=7)
    assert ReplayFrom in kinds(world.replayed())
    assert world.session.state.phase is Phase.SYNCING
    assert Reconnect in kinds(world.replayed())
    assert not world.halts


def test_executions_that_three_connections_cannot_bring_halt(world: World) -> None:
    world.go_live()
    for epoch in (2, 3, 4):
        world.tell(SessionDown(reason="closed"))
        world.up(epoch=epoch, last=7)
        world.replayed()
        world.replayed()
    assert world.halts == ["EXECUTIONS_MISSING"]


def test_a_hello_whose_epoch_did_not_rise_is_no_session(world: World) -> None:
    world.go_live()
    world.tell(SessionDown(reason="closed"))
    effects = world.up(epoch=1)
    assert kinds(effects) == [Alarm, Reconnect]
    assert world.session.state.phase is Phase.DOWN and not world.orders.state.is_up


def test_a_venue_that_does_not_acknowledge_is_never_live(world: World) -> None:
    assert kinds(world.up(acknowledges=False)) == []
    assert not world.session.acknowledges and not world.session.is_live


def test_an_incomplete_list_is_not_an_empty_one(world: World) -> None:
    world.up()
    world.replayed()
    world.account()
    assert kinds(world.answer(complete=False)) == [QueryOpen]
    assert not world.session.is_live
    world.answer()
    assert world.session.is_live


def test_answers_that_do_not_come_are_asked_for_again_and_then_the_connection_is_given_up(world: World) -> None:
    world.up()
    world.replayed()
    assert kinds(world.fire("session:answer")) == [QueryOpen, QueryAccount]
    world.answer()
    assert kinds(world.fire("session:answer")) == [QueryAccount]
    assert kinds(world.fire("session:answer")) == [Alarm, Reconnect]
    assert not world.session.is_live


def test_an_answer_to_a_question_of_before_is_not_taken(world: World) -> None:
    world.up()
    early = world.asked()
    world.replayed()
    old = OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=early, epoch=1)
    world.tell(old)
    world.account()
    assert not world.session.is_live


def test_the_comparison_waits_for_the_executions_that_the_answers_count(world: World) -> None:
    world.go_live()
    name = world.open_order()
    late = world.fill(name, 4, 4)
    world.fire("session:full")
    world.answer([row(name, cum_lots=4)])
    effects = world.account(lots=4, atoms=CASH_ATOMS - 4 * 1_000 * 100)
    assert alarms(effects) == [] and world.session.state.round is not None
    world.tell(late)
    world.fire("session:compare")
    assert world.session.state.round is None and world.session.mode == ACTIVE


def test_figures_of_an_account_that_executions_have_passed_are_asked_for_again(world: World) -> None:
    world.go_live()
    name = world.open_order()
    world.fire("session:full")
    world.answer([row(name)])
    world.tell(world.fill(name, 4, 4))
    assert QueryAccount in kinds(world.account(as_of=1))
    world.account(lots=4, atoms=CASH_ATOMS - 4 * 1_000 * 100)
    assert world.session.mode == ACTIVE and world.session.state.round is None


def test_comparing_twice_is_comparing_once(world: World) -> None:
    world.go_live()
    name = world.open_order()
    states = []
    for _ in range(3):
        world.now_ns += 2 * 10**9
        world.fire("session:full")
        assert kinds(world.answer([row(name)])) == []
        assert kinds(world.account()) == []
        # But for the position of the last comparison itself.
        session = msgspec.structs.replace(world.session.state, agreed_seq=0)
        states.append(msgspec.msgpack.encode((world.orders.state, session)))
    assert states[0] == states[1] == states[2]


def test_an_order_that_is_not_ours_is_cancelled_unless_a_person_lets_it_stand(world: World) -> None:
    world.go_live()
    world.fire("session:light")
    effects = world.answer([row("ghost")])
    assert alarms(effects) == ["FOREIGN_ORDER"] and CancelOrder("ghost") in effects
    world.orders.allow("ghost")
    world.fire("session:light")
    assert kinds(world.answer([row("ghost")])) == []


def test_an_order_missing_in_the_list_is_asked_for_and_not_judged(world: World) -> None:
    world.go_live()
    name = world.open_order()
    world.now_ns += 2 * 10**9
    world.fire("session:light")
    effects = world.answer()
    assert QueryStatus(name) in effects
    order = world.orders.get(name)
    assert order is not None and order.state is OrderState.OPEN and order.reserved_lots == 10


def test_an_order_younger_than_a_second_may_be_missing(world: World) -> None:
    world.go_live()
    world.open_order()
    world.fire("session:light")
    assert kinds(world.answer()) == []


def test_a_lost_last_frame_is_found_by_the_light_check(world: World) -> None:
    world.go_live()
    name = world.open_order()
    world.next()  # its cancellation happened and its frame was lost
    world.now_ns += 2 * 10**9
    world.fire("session:light")
    world.answer()
    assert kinds(world.fire("gap")) == [ReplayFrom]
    canceled = Canceled(exec_seq=2, client_order_id=name, order_id="", cum_lots=0, reason="admin", epoch=1)
    world.tell(canceled)
    world.replayed()
    order = world.orders.get(name)
    assert order is not None and order.state is OrderState.CANCELED
    assert world.session.state.round is None and not world.halts


def test_an_immediate_order_that_rests_is_told(world: World) -> None:
    world.go_live()
    name = world.open_order(order_type=OrderType.IOC)
    world.now_ns += 2 * 10**9
    world.fire("session:light")
    assert alarms(world.answer([row(name)])) == ["IMMEDIATE_ORDER_RESTS"]


@pytest.mark.parametrize(("lots", "atoms"), [(1, CASH_ATOMS), (0, CASH_ATOMS - 1), (0, CASH_ATOMS + 1)])
def test_a_difference_lets_only_reduce_and_halts_after_a_minute(world: World, lots: int, atoms: int) -> None:
    world.go_live()
    world.fire("session:full")
    world.answer()
    effects = world.account(lots, atoms)
    assert alarms(effects) == ["ACCOUNT_DIFFERS"] and ReplayFrom in kinds(effects)
    assert world.session.mode == REDUCE_ONLY and world.session.is_live
    (timer,) = (effect for effect in effects if isinstance(effect, ArmTimer) and effect.name == "session:difference")

    world.fire("session:difference", timer.at_monotonic_ns - 10_000_000)
    assert not world.halts
    world.fire("session:difference", timer.at_monotonic_ns)
    assert world.halts == ["ACCOUNT_DIFFERS"] and world.session.mode == HALTED


def test_a_difference_that_goes_away_is_over(world: World) -> None:
    world.go_live()
    world.fire("session:full")
    world.answer()
    world.account(lots=1)
    world.replayed()
    world.fire("session:light")  # while there is a difference, each check is a full one
    world.answer()
    assert alarms(world.account()) == ["ACCOUNT_AGREES"]
    assert world.session.mode == ACTIVE
    world.fire("session:difference", world.now_ns + 10**12)
    assert not world.halts


def test_a_person_adopts_what_stays_unexplained(world: World) -> None:
    world.go_live()
    world.fire("session:full")
    world.answer()
    world.account(lots=1)
    world.fire("session:difference", world.now_ns + 10**12)
    seen = []

    def book(asked: Adoption, statement: AccountSnapshot, stamp: Stamp, out: Outcome) -> bool:
        seen.append((asked.symbol, statement.positions))
        world.accounts.adopt(SYMBOL, 1, 100, "adopted:1", stamp)
        return True

    world.session.when_adoptable = book
    out = Outcome()
    world.session.adopt(Adoption(symbol=SYMBOL, reason="looked"), world.stamp(), out)
    assert QueryAccount in kinds(out.effects), "what is adopted is what the venue says now"
    assert world.session.mode == HALTED
    world.answer()
    world.account(lots=1)
    assert seen == [(SYMBOL, (VenuePosition(SYMBOL, 1),))] and world.session.mode == ACTIVE
    assert world.session.state.adoption is None


def test_a_clock_that_is_far_off_keeps_the_session_from_going_live(world: World) -> None:
    assert "CLOCK_OFF" in alarms(world.up(server_offset_ns=251_000_000))
    world.replayed()
    world.answer()
    world.account()
    assert not world.session.is_live and world.session.mode == REDUCE_ONLY
    world.tell(ClockOffset(1_000_000, 1_000_000))
    world.answer()
    world.account()
    assert world.session.is_live and world.session.mode == ACTIVE


def test_a_list_that_proves_something_is_asked_for_behind_the_fence(world: World) -> None:
    world.go_live()
    new = NewOrder(strategy="s", symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=10, price_ticks=1_000)
    name = world.orders.place(new, release=True, stamp=world.stamp()).placed
    world.fire(f"request:{name}", world.now_ns + 2 * 10**9)
    assert world.orders.is_fenced(SYMBOL)
    out = Outcome()
    world.orders.fence("account", world.stamp(), out)
    request_id = out.effects[0].request_id  # type: ignore[union-attr] # CancelAll
    done = FenceDone(request_id=request_id, scope="account", exec_seq=0, epoch=2)
    assert kinds(world.tell(done)) == [QueryOpen]
    assert world.session.epoch == 2 and not world.orders.is_fenced(SYMBOL)
    world.answer()
    order = world.orders.get(name)
    assert order is not None and order.state is OrderState.REJECTED


def test_the_end_of_the_session_ends_everything_that_was_asked(world: World) -> None:
    world.go_live()
    world.fire("session:full")
    world.tell(SessionDown(reason="closed"))
    assert world.session.state.round is None and not world.session.is_live
    assert kinds(world.fire("session:light")) == kinds(world.fire("session:answer")) == []
