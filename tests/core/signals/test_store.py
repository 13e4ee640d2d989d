"""The book of signals: its bounds, its order, and that no signal holds up another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.codes import Code
from agent.core.events import Stamp
from agent.core.events.market import SignalIn
from agent.core.instruments import OrderType, Side
from agent.core.signals.admission import ProducerBudget
from agent.core.signals.store import (
    Ended,
    SignalBook,
    SignalState,
    Situation,
)
from tests.core.risk.views import INSTRUMENT
from tests.core.signals.making import BUDGET, NOW, S, a_signal, admitted, at

PER_SIDE, LIVE, TRIES, REST = 64, 1_000, 20, 250_000_000
SITUATION = Situation(INSTRUMENT, 9_999, 10_001, 0, 0, 0, collar_ppm=5_000)


def a_book(**budgets: ProducerBudget) -> SignalBook:
    return SignalBook({"model": BUDGET, **budgets})


def wanted(book: SignalBook, now: Stamp = NOW, **changes: Any) -> list[str]:
    return [intent.signal_id for intent in book.evaluate("BTC-USDC", now, SITUATION._replace(**changes))]


class TestOrder:
    def test_the_most_urgent_comes_first_then_the_first_come(self) -> None:
        book = a_book()
        for number, urgency in enumerate((5, 9, 5, 10, 9), 1):
            admitted(book, a_signal(number, urgency=urgency))
        assert [int(signal_id, 16) for signal_id in wanted(book)] == [4, 2, 5, 1, 3]

    @given(st.lists(st.integers(1, 10), min_size=1, max_size=30))
    def test_as_a_stable_sort_would(self, urgencies: list[int]) -> None:
        book = a_book()
        for number, urgency in enumerate(urgencies):
            admitted(book, a_signal(number, urgency=urgency))
        in_store = [live.signal.signal_id for live in book.state.symbols["BTC-USDC"].buys]
        expected = sorted(range(len(urgencies)), key=lambda number: -urgencies[number])
        assert [int(signal_id, 16) for signal_id in in_store] == expected


class TestTrigger:
    def test_one_that_is_not_met_holds_up_no_other(self) -> None:
        """The urgent one's limit is far off, and a patient one behind it, another side and another symbol act."""
        book = a_book()
        admitted(book, a_signal(1, urgency=10, limit_ticks=9_000))
        admitted(book, a_signal(2, urgency=9))
        admitted(book, a_signal(3, urgency=9, side=Side.SELL, limit_ticks=9_990))
        admitted(book, a_signal(4, urgency=9, symbol="ETH-USDC"))
        assert [int(signal_id, 16) for signal_id in wanted(book)] == [2, 3]
        assert len(book.evaluate("ETH-USDC", NOW, SITUATION)) == 1

    def test_a_tick_of_one_symbol_moves_no_other(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, symbol="BTC-USDC"))
        assert book.evaluate("ETH-USDC", NOW, SITUATION) == []
        assert len(wanted(book)) == 1

    def test_a_buy_waits_for_the_ask_and_a_sale_for_the_bid(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, limit_ticks=10_000))
        admitted(book, a_signal(2, side=Side.SELL, limit_ticks=10_000))
        assert wanted(book) == []
        assert [int(i, 16) for i in wanted(book, bid_ticks=9_998, ask_ticks=10_000)] == [1]
        assert [int(i, 16) for i in wanted(book, bid_ticks=10_000, ask_ticks=10_002)] == [2]

    def test_nothing_is_wanted_before_it_is_valid(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, valid_from_ns=NOW.wall_ns + S))
        assert wanted(book, at(S - 1)) == []
        assert len(wanted(book, at(S))) == 1

    @pytest.mark.parametrize(("bid", "ask"), [(0, 10_001), (9_999, 0), (10_002, 10_001)])
    def test_nothing_is_wanted_of_a_book_without_a_touch(self, bid: int, ask: int) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        assert wanted(book, bid_ticks=bid, ask_ticks=ask) == []

    def test_the_order_it_wants(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=7, limit_ticks=10_020))
        (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION)
        assert intent.deadline_ns == NOW.monotonic_ns + 60 * S
        place = intent.place
        assert (place.strategy, place.symbol, place.side, place.lots) == ("model", "BTC-USDC", Side.BUY, 7)
        assert (place.order_type, place.price_ticks, place.decided_seq) == (OrderType.IOC, 10_020, NOW.seq)

    def test_at_a_locked_touch_both_sides_act(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        admitted(book, a_signal(2, side=Side.SELL))
        assert len(wanted(book, bid_ticks=10_000, ask_ticks=10_000)) == 2

    def test_at_the_lowest_touch_there_is(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        assert len(wanted(book, bid_ticks=1, ask_ticks=1)) == 1


class TestOneOrderAtATime:
    def test_what_is_at_work_wants_nothing(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        (signal_id,) = wanted(book)
        assert wanted(book) == []
        book.placed(signal_id, "A")
        assert wanted(book) == []

    def test_what_was_filled_is_not_wanted_again(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=10))
        (signal_id,) = wanted(book)
        book.placed(signal_id, "A")
        book.filled("A", 4)
        assert book.order_ended("A") is None
        (again,) = book.evaluate("BTC-USDC", at(1), SITUATION)
        assert again.place.lots == 6
        book.placed(signal_id, "B")
        book.filled("A", 2)  # late
        book.filled("B", 4)
        assert len(book) == 0

    def test_nine_tenths_filled_finish_by_fill_or_kill(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=100, urgency=7))
        (signal_id,) = wanted(book, bid_ticks=9_980, ask_ticks=10_020)
        book.placed(signal_id, "A")
        book.filled("A", 90)
        book.order_ended("A")
        (intent,) = book.evaluate("BTC-USDC", at(1), SITUATION)
        assert (intent.place.order_type, intent.place.lots) == (OrderType.FOK, 10)

    def test_a_refused_try_rests(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        (signal_id,) = wanted(book)
        assert book.refused(signal_id, NOW) is None
        assert wanted(book, at(REST - 1)) == []
        assert wanted(book, at(REST)) == [signal_id]

    def test_after_enough_tries_it_is_given_up(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        for number in range(TRIES):
            (signal_id,) = wanted(book, at(number))
            book.placed(signal_id, str(number))
            given_up = book.order_ended(str(number))
            assert (given_up is None) is (number < TRIES - 1)
        assert given_up is not None and given_up[0] is Code.SIGNAL_GIVEN_UP
        assert len(book) == 0

    def test_orders_of_others_change_nothing(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        book.filled("X", 100)
        assert book.order_ended("X") is None
        book.placed("no such signal", "Y")
        assert book.refused("no such signal", NOW) is None
        assert len(book) == 1


class TestPositionAim:
    def test_two_signals_with_one_aim_do_not_both_reach_for_it(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=8, position_target_lots=10))
        admitted(book, a_signal(2, lots=8, position_target_lots=10))
        intents = book.evaluate("BTC-USDC", NOW, SITUATION)
        assert [intent.place.lots for intent in intents] == [8, 2]

    @pytest.mark.parametrize(
        ("position", "reserved", "lots"), [(0, 0, 8), (5, 0, 5), (5, 3, 2), (5, 4, None), (10, 0, None), (-5, 0, 8)]
    )
    def test_it_wants_what_is_left_to_the_aim(self, position: int, reserved: int, lots: int | None) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=8, position_target_lots=10))
        situation = SITUATION._replace(position_lots=position, reserved_buy_lots=reserved)
        intents = book.evaluate("BTC-USDC", NOW, situation)
        assert [intent.place.lots for intent in intents] == ([] if lots is None else [lots])

    def test_a_sale_aims_from_the_other_side(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, side=Side.SELL, lots=100, limit_ticks=9_990, position_target_lots=-10))
        situation = SITUATION._replace(position_lots=15, reserved_sell_lots=5)
        assert [intent.place.lots for intent in book.evaluate("BTC-USDC", NOW, situation)] == [20]

    def test_an_aim_of_nothing_closes_what_is_held(self) -> None:
        """How far it is filled is then told by the signal's own quantity: there is no share of nothing."""
        book = a_book()
        admitted(book, a_signal(1, side=Side.SELL, lots=100, position_target_lots=0))
        (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION._replace(position_lots=15))
        assert intent.place.lots == 15

    def test_a_position_near_its_aim_is_finished_by_fill_or_kill(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=8, urgency=7, position_target_lots=100))
        (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION._replace(position_lots=90))
        assert intent.place.order_type is OrderType.FOK


class TestSizes:
    def test_a_drawdown_leaves_a_part_rounded_down(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=7))
        (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION._replace(size_ppm=500_000))
        assert intent.place.lots == 3

    def test_less_than_the_venue_takes_is_not_sent(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, lots=7))
        assert wanted(book, size_ppm=250_000) == []


class TestExpiry:
    def test_at_its_deadline_it_is_taken_out_with_its_order(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, expires_ns=NOW.wall_ns + S))
        admitted(book, a_signal(2, expires_ns=NOW.wall_ns + 2 * S, limit_ticks=9_000))
        assert book.next_deadline_ns() == NOW.monotonic_ns + S
        (signal_id,) = wanted(book)
        book.placed(signal_id, "A")
        book.filled("A", 3)
        assert book.expire(at(S - 1)) == []
        assert book.expire(at(S)) == [Ended(signal_id, "A", 3)]
        assert book.next_deadline_ns() == NOW.monotonic_ns + 2 * S
        book.filled("A", 1)
        assert [ended.working_order for ended in book.expire(at(2 * S))] == [None]
        assert book.next_deadline_ns() is None
        assert book.state.symbols == {}

    def test_an_order_that_is_over_needs_no_cancel(self) -> None:
        book = a_book()
        admitted(book, a_signal(1))
        (signal_id,) = wanted(book)
        book.placed(signal_id, "A")
        book.order_ended("A")
        assert book.expire(at(60 * S)) == [Ended(signal_id, None, 0)]

    def test_those_that_end_together_leave_in_one_order_after_a_start_too(self) -> None:
        """Which lies first in the index depends on whether it was built by arrivals or from a snapshot."""
        book = a_book()
        for number, symbol in ((3, "X"), (1, "Y"), (2, "X")):
            admitted(book, a_signal(number, symbol=symbol))
        restored = restore(book)
        ended = book.expire(at(60 * S))
        assert restored.expire(at(60 * S)) == ended
        assert [int(each.signal_id, 16) for each in ended] == [1, 2, 3]

    def test_it_wants_nothing_from_its_deadline_on(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, expires_ns=NOW.wall_ns + S))
        assert wanted(book, at(S)) == []

    def test_a_step_of_the_wall_clock_alone_changes_no_deadline(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, expires_ns=NOW.wall_ns + 10 * S))
        assert book.expire(Stamp(9, NOW.monotonic_ns + S, NOW.wall_ns + 3_600 * S)) == []

    def test_an_announced_step_makes_none_later(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, expires_ns=NOW.wall_ns + 10 * S))
        book.clock_stepped(Stamp(9, NOW.monotonic_ns + S, NOW.wall_ns - 3_600 * S))
        assert book.next_deadline_ns() == NOW.monotonic_ns + 10 * S
        book.clock_stepped(Stamp(9, NOW.monotonic_ns + S, NOW.wall_ns + 5 * S))
        assert book.next_deadline_ns() == NOW.monotonic_ns + 6 * S

    def test_time_goes_by_while_nothing_runs(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, expires_ns=NOW.wall_ns + 10 * S))
        restored = restore(book)
        restored.begin(Stamp(1, 77, NOW.wall_ns + 4 * S))
        assert restored.next_deadline_ns() == 77 + 6 * S

    def test_what_is_not_yet_valid_at_a_start_waits_on(self) -> None:
        book = a_book()
        admitted(book, a_signal(1, valid_from_ns=NOW.wall_ns + 3 * S))
        admitted(book, a_signal(2))
        restored = restore(book)
        restored.begin(Stamp(1, 77, NOW.wall_ns + S))
        assert [int(i, 16) for i in wanted(restored, Stamp(2, 77, NOW.wall_ns + S))] == [2]
        assert wanted(restored, Stamp(3, 77 + 2 * S - 1, NOW.wall_ns)) == []
        assert [int(i, 16) for i in wanted(restored, Stamp(4, 77 + 2 * S, NOW.wall_ns))] == [1]

    def test_a_start_gives_no_producer_tokens(self) -> None:
        book = restore(a_book())
        admitted(book, a_signal(1))
        book.begin(Stamp(1, 77, NOW.wall_ns))
        refusal = book.admit(a_signal(2), Stamp(2, 77, NOW.wall_ns), instrument=INSTRUMENT, input_ns=77)
        assert refusal is not None and refusal[0] is Code.SIGNAL_BUDGET
        # And by the new clock it earns them again.
        later = Stamp(3, 77 + S, NOW.wall_ns)
        assert book.admit(a_signal(2), later, instrument=INSTRUMENT, input_ns=77) is None


class TestBounds:
    def test_what_was_let_in_is_remembered_and_charged(self) -> None:
        book = SignalBook({"model": ProducerBudget(signals_per_s=2, notional_atoms_per_day=10**9)})
        admitted(book, a_signal(1))
        assert refused(book, a_signal(1)) is Code.SIGNAL_REPLAYED
        admitted(book, a_signal(2))
        assert refused(book, a_signal(3)) is Code.SIGNAL_BUDGET

    def test_a_full_side_refuses_the_new_one_and_forgets_none(self) -> None:
        book = a_book()
        for number in range(PER_SIDE):
            admitted(book, a_signal(number))
        refusal = refused(book, a_signal(999, urgency=10))
        assert refusal is Code.SIGNALS_FULL
        assert len(book) == PER_SIDE
        admitted(book, a_signal(999, side=Side.SELL))

    def test_a_full_book_refuses_the_new_one(self) -> None:
        book = a_book()
        for number in range(LIVE):
            admitted(book, a_signal(number, symbol=f"S{number // PER_SIDE}"))
        assert refused(book, a_signal(9_999, symbol="new")) is Code.SIGNALS_FULL
        # What was refused for want of room may come again.
        book.expire(at(60 * S))
        later = at(60 * S)
        signal = a_signal(9_999, symbol="new", expires_ns=later.wall_ns + S)
        assert book.admit(signal, later, instrument=INSTRUMENT, input_ns=later.monotonic_ns) is None


def refused(book: SignalBook, signal: SignalIn) -> Code | None:
    refusal = book.admit(signal, NOW, instrument=INSTRUMENT, input_ns=NOW.monotonic_ns, reference_ticks=10_000)
    return None if refusal is None else refusal[0]


def restore(book: SignalBook) -> SignalBook:
    state = msgspec.json.decode(msgspec.json.encode(book.state), type=SignalState)
    return SignalBook({"model": BUDGET}, state)


steps = st.lists(
    st.tuples(
        st.sampled_from(["admit", "evaluate", "place", "fill", "end", "refuse", "expire"]),
        st.integers(0, 7),
        st.integers(0, 2 * S),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps)
def test_a_restored_book_goes_on_as_the_old_one(script: list[tuple[str, int, int]]) -> None:
    """At every step, whatever happened before, both give the same answers and hold the same state."""
    book, now, wanting, orders = a_book(), 0, [], 0
    for action, number, wait_ns in script:
        now += wait_ns
        stamp = at(now)
        other = restore(book)
        answers: list[Any] = []
        for each in (book, other):
            if action == "admit":
                signal = a_signal(number, urgency=number + 1, expires_ns=stamp.wall_ns + 5 * S)
                answers.append(each.admit(signal, stamp, instrument=INSTRUMENT, input_ns=stamp.monotonic_ns))
            elif action == "evaluate":
                answers.append(each.evaluate("BTC-USDC", stamp, SITUATION))
            elif action == "place" and wanting:
                answers.append(each.placed(wanting[0], f"o{orders}"))
            elif action == "fill":
                answers.append(each.filled(f"o{number}", 1 + number))
            elif action == "end":
                answers.append(each.order_ended(f"o{number}"))
            elif action == "refuse" and wanting:
                answers.append(each.refused(wanting[0], stamp))
            elif action == "expire":
                answers.append(each.expire(stamp))
        assert answers[:1] == answers[1:]
        assert msgspec.json.encode(book.state) == msgspec.json.encode(other.state)
        if action == "evaluate":
            wanting += [intent.signal_id for intent in answers[0]]
        elif action in ("place", "refuse") and wanting:
            wanting.pop(0)
            orders += action == "place"
