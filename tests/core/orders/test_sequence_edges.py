"""The sequence of executions at a gap, and what is left of an order when it is closed."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.effects.orders import Place, Reconnect, ReplayFrom
from agent.core.events.orders import (
    Amended,
    Asked,
    FenceDone,
    OrderStatus,
    ReplayDone,
    SendResult,
    SessionDown,
)
from agent.core.instruments import Side
from agent.core.orders import machine
from agent.core.orders.order import Order
from agent.core.orders.outcome import Outcome
from agent.core.orders.table import OrderState
from tests.core.orders.history import SECOND_NS, SYMBOL, acked, canceled, filled, new_order
from tests.core.orders.test_orders import Account, armed


@pytest.fixture
def account() -> Account:
    return Account()


def missing(out: Outcome) -> Alarm:
    (found,) = (e for e in out.effects if isinstance(e, Alarm) and e.code == "EXECUTIONS_MISSING")
    assert (found.severity, found.subject) == ("critical", "")
    assert Reconnect(found.detail) in out.effects
    return found


class TestGap:
    def test_what_came_early_is_taken_in_order_as_soon_as_the_gap_is_closed(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        out = account.tell(filled(4, name, Side.BUY, 2, 6), filled(3, name, Side.BUY, 2, 4))
        assert out.fills == [] and out.effects.count(ReplayFrom(2)) == 1
        assert sorted(account.orders.state.held) == [3, 4]
        out = account.tell(filled(2, name, Side.BUY, 2, 2))
        assert [applied.fill.exec_seq for applied in out.fills] == [2, 3, 4]
        assert (account.orders.state.cursor, account.orders.state.held) == (4, {})

    def test_a_double_is_counted_and_nothing_else(self, account: Account) -> None:
        name = account.place()
        fill = filled(2, name, Side.BUY, 2, 2)
        account.tell(acked(1, name), fill)
        out = account.tell(fill, fill, acked(1, name))
        assert (out.fills, out.effects, out.ignored) == ([], [], 3)

    def test_a_fill_without_a_number_is_known_by_its_trade(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        fill = msgspec.structs.replace(filled(0, name, Side.BUY, 2, 2), trade_id="uncounted")
        assert len(account.tell(fill).fills) == 1
        assert (account.tell(fill).fills, account.tell(fill).ignored) == ([], 1)

    def test_a_replay_that_is_done_is_disarmed_and_what_was_only_heard_of_is_waited_for(self, account: Account) -> None:
        name = account.place()
        account.tell(filled(2, name, Side.BUY, 2, 2))
        out = account.tell(ReplayDone(0, 9))
        assert (out.effects, out.ignored) == ([], 1), "of another session"
        out = account.tell(acked(1, name), ReplayDone(2, 1))
        assert DisarmTimer("replay") in out.effects
        assert not [effect for effect in out.effects if isinstance(effect, ArmTimer) and effect.name == "gap"]
        account.tell(filled(4, name, Side.BUY, 2, 6), filled(3, name, Side.BUY, 2, 4))
        account.tell(FenceDone(request_id="nobody's", scope="session", exec_seq=9, epoch=1))
        account.tell(filled(6, name, Side.BUY, 1, 7), filled(5, name, Side.BUY, 1, 6))
        out = account.tell(ReplayDone(6, 1))
        assert armed(out.effects, "gap") > account.now_ns, "the ninth was heard of"


class TestGivingUp:
    def test_it_is_told_what_failed_and_how_far_is_known(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name), filled(3, name, Side.BUY, 2, 2))
        first = account.tell(ReplayDone(1, 1))
        assert ReplayFrom(2) in first.effects, "asked for once more"
        out = account.tell(ReplayDone(1, 1))
        told = missing(out)
        assert told.detail == "a replay left a gap: executions are known up to 1, told of up to 3"
        assert out.halts == []
        assert account.orders.state.replay_failures == 0

    def test_a_replay_that_does_not_come_says_so(self, account: Account) -> None:
        name = account.place()
        out = account.tell(filled(2, name, Side.BUY, 2, 2))
        for _ in range(2):
            out = account.fire("replay", armed(out.effects, "replay"))
        assert missing(out).detail.startswith("a replay did not come: ")
        assert account.fire("replay", account.now_ns).ignored == 1, "nothing is asked for any more"

    def test_executions_that_move_on_begin_the_count_anew(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        for step in range(2, 9, 2):
            account.tell(filled(step + 1, name, Side.BUY, 1, 1))
            account.tell(ReplayDone(step - 1, 1))
            out = account.tell(ReplayDone(step - 1, 1))
            assert missing(out) and out.halts == []
            account.tell(filled(step, name, Side.BUY, 1, 1))


class TestClosed:
    def test_a_closed_order_is_what_it_was(self, account: Account) -> None:
        """Kept in less, but nothing that a late frame or a person asks of it."""
        names = [account.place(lots) for lots in (10, 7)]
        account.tell(acked(1, names[0]), filled(2, names[0], Side.BUY, 3, 3))
        account.orders.cancel(names[0], account.stamp())
        before: list[Order] = []
        for name in names:
            order = account.orders.get(name)
            assert order is not None
            before.append(msgspec.structs.replace(order))
        account.tell(canceled(3, names[0], 3), SendResult(names[1], "place", "clean"))
        kept = (
            "client_order_id", "strategy", "symbol", "side", "order_type", "total_lots", "price_ticks", "cum_lots",
            "is_cancel_requested", "is_acked", "placed_seq", "placed_epoch", "placed_ns",
        )  # fmt: skip
        for name, was in zip(names, before, strict=True):
            order = account.orders.get(name)
            assert order is not None and account.orders.is_over(name)
            assert {field: getattr(order, field) for field in kept} == {field: getattr(was, field) for field in kept}
            assert order.placed_epoch == 1 and order.placed_ns and order.placed_seq
        first = account.orders.get(names[0])
        assert first is not None and (first.exec_seq, first.is_acked) == (3, True)

    def test_a_late_fill_of_one_is_booked_and_closes_it_again(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name), canceled(2, name, 0))
        out = account.tell(filled(3, name, Side.BUY, 4, 4))
        assert [applied.owner for applied in out.fills] == ["s"]
        assert account.orders.is_over(name) and account.orders.open_count() == 0

    def test_one_of_the_generation_before_is_found_too(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "KEPT_CLOSED", 2)
        names = [account.place() for _ in range(3)]
        account.tell(*(canceled(n + 1, name, 0) for n, name in enumerate(names)))
        assert list(account.orders.state.closed_before) == names[:2] and list(account.orders.state.closed) == names[2:]
        out = account.tell(filled(4, names[0], Side.BUY, 4, 4))
        assert [applied.owner for applied in out.fills] == ["s"] and out.halts == []


class TestAmendments:
    def amended(self, seq: int, name: str, lots: int, order_id: str = "") -> Amended:
        return Amended(
            exec_seq=seq, client_order_id=name, order_id=order_id or f"v{name}", total_lots=lots, price_ticks=1_000,
            cum_lots=0, leaves_lots=lots, epoch=1,
        )  # fmt: skip

    def test_one_that_never_left_is_not_waited_for(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        account.orders.amend(name, 12, 1_000, account.stamp())
        order = account.orders.get(name)
        assert order is not None and (order.state, order.unanswered_amends, order.reserved_lots) == (
            OrderState.PENDING_AMEND, 1, 12,
        )  # fmt: skip
        account.tell(SendResult(name, "amend", "clean"))
        order = account.orders.get(name)
        assert order is not None and (order.state, order.unanswered_amends, order.reserved_lots) == (
            OrderState.OPEN, 0, 10,
        )  # fmt: skip

    def test_the_end_of_a_session_ends_the_count_of_those_without_an_answer(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        account.orders.amend(name, 12, 1_000, account.stamp())
        account.tell(SessionDown(reason="cut"))
        order = account.orders.get(name)
        assert order is not None and order.unanswered_amends == 0

    def test_an_order_that_the_venue_made_anew_is_known_by_its_new_name(self, account: Account) -> None:
        name = account.place()
        account.tell(acked(1, name))
        account.orders.amend(name, 12, 1_000, account.stamp())
        account.tell(self.amended(2, name, 12, "another"))
        order = account.orders.get(name)
        assert order is not None and order.total_lots == 12
        assert account.orders.state.aliases == {"another": name}
        account.orders.amend(name, 11, 1_000, account.stamp())
        account.tell(self.amended(3, name, 11))
        assert account.orders.state.aliases == {"another": name}, "its first name is no other"
        by_venue = msgspec.structs.replace(canceled(4, "", 0), order_id="another")
        account.tell(by_venue)
        assert account.orders.is_over(name)


class TestNames:
    def test_a_fill_may_be_the_first_to_tell_the_venues_name(self, account: Account) -> None:
        name = account.place()
        account.tell(filled(1, name, Side.BUY, 4, 4))
        order = account.orders.get(name)
        assert order is not None and order.venue_id == f"v{name}"
        account.tell(msgspec.structs.replace(filled(2, "", Side.BUY, 6, 10), order_id=f"v{name}"))
        assert account.orders.is_over(name)

    def test_a_fill_of_another_kind_halts_with_what_it_was_and_what_was_ordered(self, account: Account) -> None:
        name = account.place()
        out = account.tell(acked(1, name), filled(2, name, Side.SELL, 4, 4))
        detail = f"sell {SYMBOL} for an order to buy {SYMBOL}"
        assert ("FILL_OF_ANOTHER_KIND", f"order {name}: {detail}") in out.halts
        assert Alarm("critical", "FILL_OF_ANOTHER_KIND", name, detail) in out.effects


class TestAnswers:
    """What the venue says of an order that has ended by our books."""

    def ended(self, account: Account) -> str:
        """Cancelled with three of ten lots filled."""
        name = account.place()
        account.tell(acked(1, name), filled(2, name, Side.BUY, 3, 3), canceled(3, name, 3))
        return name

    def status(self, account: Account, name: str, word: Literal["canceled", "expired", "filled"], cum: int) -> Outcome:
        asked = Asked(account.seq, True, 1)
        return account.tell(
            OrderStatus(client_order_id=name, status=word, as_of_exec_seq=3, cum_lots=cum, asked=asked, epoch=1)
        )

    @pytest.mark.parametrize(("word", "cum_lots"), [("canceled", 2), ("expired", 3), ("filled", 2)])
    def test_another_end_than_ours_halts(
        self, account: Account, word: Literal["canceled", "expired", "filled"], cum_lots: int
    ) -> None:
        name = self.ended(account)
        out = self.status(account, name, word, cum_lots)
        (told,) = (effect for effect in out.effects if isinstance(effect, Alarm))
        assert (told.severity, told.subject) == ("critical", name)
        assert told.detail == f"we have CANCELED with 3 filled, the venue another end with {cum_lots}"
        assert out.halts == [(told.code, told.detail)] and told.code.isupper()

    def test_the_same_end_says_nothing(self, account: Account) -> None:
        out = self.status(account, self.ended(account), "canceled", 3)
        assert (out.effects, out.halts) == ([], [])

    def test_more_filled_than_we_know_of_is_owed_and_asked_for(self, account: Account) -> None:
        name = self.ended(account)
        out = self.status(account, name, "canceled", 5)
        order = account.orders.get(name)
        assert order is not None and (order.claimed_lots, order.reserved_lots, out.halts) == (5, 2, [])
        assert ReplayFrom(4) in out.effects

    def test_a_question_that_is_answered_is_disarmed(self, account: Account) -> None:
        name = account.place()
        out = account.tell(SendResult(name, "place", "maybe"))
        assert armed(out.effects, f"query:{name}") == account.now_ns + 200_000_000
        out = account.tell(acked(1, name))
        assert DisarmTimer(f"query:{name}") in out.effects
        assert account.fire(f"query:{name}", account.now_ns + 10**9).ignored == 1

    def test_a_clock_that_was_set_back_makes_no_deadline_later(self, account: Account) -> None:
        account.orders.clock_stepped(-(10**9), account.stamp())
        out = account.orders.place(new_order(), release=True, stamp=account.stamp())
        (place,) = (effect for effect in out.effects if isinstance(effect, Place))
        stamp = account.stamp()
        assert place.expire_ns == stamp.wall_ns - 10**9 + SECOND_NS
