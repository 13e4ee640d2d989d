"""The session's timers to the nanosecond, what it says when, and comparisons that other things happen in between."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import QueryAccount, QueryOpen, QueryStatus, Reconnect
from agent.core.events.orders import (
    AccountSnapshot,
    Balance,
    ClockOffset,
    FenceDone,
    OpenOrders,
    ReplayDone,
    SessionDown,
    VenuePosition,
)
from agent.core.instruments import OrderType, Side
from agent.core.orders.order import NewOrder
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from agent.core.risk.modes import ACTIVE, REDUCE_ONLY
from agent.core.session import Session, SessionState
from tests.core.test_session import CASH_ATOMS, SYMBOL, World, alarms, kinds, row

SECOND_NS = 10**9


@pytest.fixture
def world() -> World:
    return World()


def timers(effects: list[Effect], world: World) -> dict[str, int | None]:
    """The session's armed timers by name with the time from now on, disarmed ones with None."""
    told: dict[str, int | None] = {}
    for effect in effects:
        if not isinstance(effect, ArmTimer | DisarmTimer) or not effect.name.startswith("session:"):
            continue
        if isinstance(effect, ArmTimer):
            told[effect.name] = effect.at_monotonic_ns - world.now_ns
        else:
            told[effect.name] = None
    return told


def alarm(effects: list[Effect]) -> Alarm:
    (found,) = (effect for effect in effects if isinstance(effect, Alarm))
    return found


class TestTimers:
    def test_an_answer_is_waited_for_two_seconds(self, world: World) -> None:
        world.up()
        assert timers(world.replayed(), world) == {"session:answer": 2 * SECOND_NS}

    def test_being_live_is_to_ask_again_after_five_seconds_and_after_sixty(self, world: World) -> None:
        told = timers(world.go_live(), world)
        assert told == {"session:answer": None, "session:light": 5 * SECOND_NS, "session:full": 60 * SECOND_NS}
        assert timers(world.fire("session:light"), world)["session:light"] == 5 * SECOND_NS
        assert timers(world.fire("session:full"), world)["session:full"] == 60 * SECOND_NS

    def test_a_full_check_takes_the_place_of_a_light_one_that_is_under_way(self, world: World) -> None:
        world.go_live()
        assert kinds(world.fire("session:light")) == [QueryOpen]
        assert kinds(world.fire("session:light")) == [], "one that is under way is not begun again"
        assert kinds(world.fire("session:full")) == [QueryOpen, QueryAccount]
        round_ = world.session.state.round
        assert round_ is not None and round_.is_full and round_.asked_seq == world.seq

    def test_the_end_of_a_session_disarms_what_it_armed(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        down = timers(world.tell(SessionDown(reason="closed")), world)
        assert down == {"session:answer": None, "session:light": None, "session:full": None}
        world.up(epoch=2)
        assert timers(world.tell(SessionDown(reason="closed")), world) == {}, "nothing was live, nothing was asked"

    def test_a_difference_halts_a_minute_after_it_was_first_seen(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        world.answer()
        first = timers(world.account(lots=1), world)["session:difference"]
        assert first == 60 * SECOND_NS
        since_ns = world.now_ns
        world.now_ns += 20 * SECOND_NS
        world.fire("session:full")
        world.answer()
        again = timers(world.account(lots=1), world)["session:difference"]
        assert again == since_ns + 60 * SECOND_NS - world.now_ns, "seen again, it is no younger"
        # `fire` moves time on by a millisecond.
        assert kinds(world.fire("session:difference", since_ns + 60 * SECOND_NS - 1_000_001)) == []
        effects = world.fire("session:difference", since_ns + 60 * SECOND_NS - 1_000_000)
        assert (alarm(effects).code, alarm(effects).severity, alarm(effects).subject) == (
            "ACCOUNT_DIFFERS", "critical", "",
        )  # fmt: skip
        assert kinds(world.fire("session:difference")) == [], "once"

    def test_a_difference_that_is_over_disarms_its_timer_and_leaves_no_words(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        world.answer()
        world.account(lots=1)
        world.replayed()
        world.fire("session:full")
        world.answer()
        effects = world.account()
        assert timers(effects, world)["session:difference"] is None
        assert (alarm(effects).code, alarm(effects).subject) == ("ACCOUNT_AGREES", "")
        assert (world.session.state.difference, world.session.state.differs_since_ns) == ("", None)


class TestWhatIsSaid:
    def test_of_a_venue_that_does_not_answer(self, world: World) -> None:
        world.up()
        world.replayed()
        for _ in range(2):
            world.fire("session:answer")
        effects = world.fire("session:answer")
        detail = "open orders and account could not be compared: no answer"
        assert Alarm("critical", "VENUE_DOES_NOT_ANSWER", "", detail) in effects
        assert Reconnect(detail) in effects
        assert timers(effects, world) == {"session:answer": None}

    def test_of_a_list_that_stays_incomplete(self, world: World) -> None:
        world.up()
        world.replayed()
        for _ in range(2):
            world.answer(complete=False)
        assert "an incomplete list" in alarm(world.answer(complete=False)).detail

    def test_of_figures_that_are_always_older_than_the_executions(self, world: World) -> None:
        world.up(last=0)
        world.replayed()
        world.answer()
        name = world.open_order()
        world.tell(world.fill(name, 1, 1))
        for _ in range(2):
            assert kinds(world.account(as_of=0)) == [QueryAccount]
        effects = world.account(as_of=0)
        assert "older than its executions" in alarm(effects).detail and Reconnect in kinds(effects)
        assert not world.session.is_live

    def test_of_its_own_mode_with_the_reason_at_the_event_that_changed_it(self, world: World) -> None:
        world.go_live()
        world.tell(ClockOffset(251_000_000, 1))
        assert world.modes == [("REDUCE_ONLY", "the venue's clock is off", world.seq)]
        world.tell(ClockOffset(250_000_000, 1))
        assert world.modes[1:] == [("ACTIVE", "books and clock agree with the venue's", world.seq)]
        world.fire("session:full")
        world.answer()
        world.account(lots=1)
        words = f"the account differs: {SYMBOL}: we have 0 lots, the venue 1"
        assert world.modes[2:] == [("REDUCE_ONLY", words, world.seq)]

    def test_of_a_clock_that_is_off(self, world: World) -> None:
        world.go_live()
        effects = world.tell(ClockOffset(-251_000_000, 1))
        assert (alarm(effects).code, alarm(effects).subject) == ("CLOCK_OFF", "")
        assert "-251 ms" in alarm(effects).detail
        assert alarms(world.tell(ClockOffset(-252_000_000, 1))) == [], "once"

    def test_of_every_difference_by_name(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        world.answer()
        statement = AccountSnapshot(
            as_of_exec_seq=world.exec_seq,
            balances=(Balance("USDC", CASH_ATOMS), Balance("PTS", 3), Balance("NIL", 0), Balance("BTC", 9)),
            positions=(VenuePosition("ETH-USDC", 2), VenuePosition("SOL-USDC", 0)),
            asked=world.asked(),
            epoch=1,
        )
        said = alarm(world.tell(statement)).detail
        assert said == "ETH-USDC: we have 0 lots, the venue 2; PTS: we have 0 atoms, the venue 3"
        assert alarm(world.tell(msgspec.structs.replace(statement, asked=None)) or [Alarm("notice", "", "", "-")])

    def test_a_session_on_its_own_adopts_nothing_and_tells_nobody(self, world: World) -> None:
        alone = Session(SessionState(), world.orders, world.accounts)
        account = AccountSnapshot(as_of_exec_seq=0, balances=(), positions=(), epoch=1)
        stamp, out = world.stamp(), Outcome()
        assert alone.when_adoptable(None, account, stamp, out) is False  # type: ignore[arg-type] # it looks at nothing
        assert alone.on_mode(REDUCE_ONLY, "why", stamp, out) is None
        assert out.effects == []


class TestClock:
    def test_a_quarter_of_a_second_is_not_off(self, world: World) -> None:
        world.up(server_offset_ns=250_000_000)
        assert not world.session.state.is_clock_off
        world.tell(ClockOffset(-250_000_001, 1))
        assert world.session.state.is_clock_off

    def test_only_a_clock_that_comes_right_again_is_a_reason_to_compare(self, world: World) -> None:
        world.up()
        world.replayed()
        assert kinds(world.tell(ClockOffset(1, 1))) == [], "it was never off"
        world.tell(ClockOffset(SECOND_NS, 1))
        assert kinds(world.tell(ClockOffset(SECOND_NS + 1, 1))) == [], "it is off still"
        assert kinds(world.tell(ClockOffset(1, 1))) == [QueryOpen, QueryAccount]
        world.answer()
        world.account()
        world.tell(ClockOffset(SECOND_NS, 1))
        assert kinds(world.tell(ClockOffset(1, 1))) == [], "a live session has its own rhythm"


class TestFence:
    def done(self, scope: str) -> FenceDone:
        return FenceDone(request_id="nobody's", scope=scope, exec_seq=0, epoch=1)  # type: ignore[arg-type] # one of its words

    def test_one_that_raised_no_fence_proves_nothing(self, world: World) -> None:
        world.go_live()
        assert QueryOpen not in kinds(world.tell(self.done("none")))
        assert QueryOpen in kinds(world.tell(self.done("session")))

    def test_without_a_comparison_to_come_it_asks_nothing(self, world: World) -> None:
        world.up()
        assert QueryOpen not in kinds(world.tell(self.done("session"))), "before the replay has ended"

    def test_before_a_session_is_live_the_account_is_asked_for_too(self, world: World) -> None:
        world.up()
        world.replayed()
        assert QueryAccount in kinds(world.tell(self.done("session")))
        world.answer()
        world.account()
        assert world.session.is_live
        assert QueryAccount not in kinds(world.tell(self.done("session")))
        world.fire("session:full")
        assert QueryAccount in kinds(world.tell(self.done("session"))), "a full one stays a full one"


class TestComparison:
    def test_a_replay_that_ends_while_answers_wait_lets_them_be_compared(self, world: World) -> None:
        world.go_live()
        name = world.open_order()
        late = world.fill(name, 4, 4)
        world.fire("session:full")
        world.answer([row(name, cum_lots=4)])
        world.account(lots=4, atoms=CASH_ATOMS - 4 * 1_000 * 100)
        assert "session:compare" in timers(world.tell(late), world), "the books take it in behind the session"
        world.tell(ReplayDone(world.exec_seq, 1))
        assert world.session.state.round is None and world.session.mode == ACTIVE

    def test_the_books_are_given_time_to_take_a_fill_in(self, world: World) -> None:
        world.go_live()
        name = world.open_order()
        world.fire("session:full")
        late = world.fill(name, 4, 4)
        world.answer([row(name, cum_lots=4)])
        world.account(lots=4, atoms=CASH_ATOMS - 4 * 1_000 * 100)
        told = timers(world.tell(late), world)
        assert told["session:compare"] == 0
        assert alarms(world.fire("session:compare")) == []
        assert world.session.state.round is None

    def test_the_account_alone_may_be_ahead(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        world.answer(as_of=0)
        assert alarms(world.account(lots=4, as_of=1)) == []
        assert world.session.state.round is not None, "an execution that it counts is still to come"

    def test_executions_too_fast_for_a_full_check_leave_a_light_one(self, world: World) -> None:
        world.go_live()
        name = world.open_order(lots=100)
        world.fire("session:full")
        world.answer([row(name)])
        world.tell(world.fill(name, 1, 1))
        assert kinds(world.account(as_of=1)) == [QueryAccount]
        world.tell(world.fill(name, 1, 2))
        assert kinds(world.account(as_of=2)) == [QueryAccount]
        world.tell(world.fill(name, 1, 3))
        assert kinds(world.account(as_of=3)) == []
        assert world.session.state.round is None and world.session.is_live
        assert world.session.state.agreed_seq < world.seq, "the account was not compared"

    def test_an_answer_without_a_question_is_no_answer(self, world: World) -> None:
        world.go_live()
        world.fire("session:full")
        unasked = AccountSnapshot(
            as_of_exec_seq=0, balances=(Balance("USDC", CASH_ATOMS),), positions=(), asked=None, epoch=1
        )
        world.tell(unasked)
        round_ = world.session.state.round
        assert round_ is not None and round_.account is None
        world.tell(msgspec.structs.replace(unasked, asked=world.asked(), epoch=7))
        assert round_.account is None, "nor is one of another epoch"
        world.tell(OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=world.asked(), epoch=7))
        assert round_.open_orders is None


class TestMissing:
    def test_an_order_of_exactly_a_second_is_not_young_any_more(self, world: World) -> None:
        world.go_live()
        name = world.open_order()
        order = world.orders.get(name)
        assert order is not None
        world.fire("session:light")
        world.now_ns = order.placed_ns + SECOND_NS - 1_000_001
        assert kinds(world.answer()) == []
        world.fire("session:light")
        world.now_ns = order.placed_ns + SECOND_NS - 1_000_000
        assert QueryStatus(name) in world.answer()

    def test_each_order_is_judged_for_itself(self, world: World) -> None:
        """The first is too young for the list, the second is not in it, the third is."""
        world.go_live()
        old, listed = world.open_order(), world.open_order()
        world.now_ns += 2 * SECOND_NS
        young = world.open_order()
        world.fire("session:light")
        asked = [e.client_order_id for e in world.answer([row(listed)]) if isinstance(e, QueryStatus)]
        assert asked == [old]
        assert world.orders.get(young) is not None

    def test_an_order_that_waits_for_its_turn_is_in_no_list(self, world: World) -> None:
        world.go_live()
        new = NewOrder(
            strategy="s", symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=10, price_ticks=1_000
        )
        name = world.orders.place(new, release=False, stamp=world.stamp()).placed
        world.now_ns += 2 * SECOND_NS
        world.fire("session:light")
        assert kinds(world.answer()) == []
        order = world.orders.get(name)
        assert order is not None and order.state is OrderState.QUEUED

    def test_a_list_that_is_older_than_the_order_proves_nothing(self, world: World) -> None:
        world.go_live()
        name = world.open_order()
        world.tell(world.fill(name, 1, 1))
        world.now_ns += 2 * SECOND_NS
        world.fire("session:light")
        assert kinds(world.answer(as_of=1)) == [], "as of before its fill"
        world.fire("session:light")
        assert QueryStatus(name) in world.answer(as_of=2)

    def test_an_immediate_order_that_rests_is_asked_for(self, world: World) -> None:
        world.go_live()
        name = world.open_order(order_type=OrderType.FOK)
        world.now_ns += 2 * SECOND_NS
        world.fire("session:light")
        effects = world.answer([row(name)])
        assert QueryStatus(name) in effects
        assert (alarm(effects).subject, alarm(effects).detail) == (name, "fok is open after 0 of 10 lots")

    def test_one_whose_fate_is_asked_for_already_is_not_asked_for_twice(self, world: World) -> None:
        world.go_live()
        new = NewOrder(
            strategy="s", symbol=SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, lots=10, price_ticks=1_000
        )
        name = world.orders.place(new, release=True, stamp=world.stamp()).placed
        world.fire(f"request:{name}", world.now_ns + 2 * SECOND_NS)
        order = world.orders.get(name)
        assert order is not None and order.state is OrderState.UNKNOWN and order.query_at_ns
        world.now_ns += 2 * SECOND_NS
        world.fire("session:light")
        assert QueryStatus not in kinds(world.answer())
