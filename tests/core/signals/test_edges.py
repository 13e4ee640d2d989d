"""Signals at the last lot, tick and nanosecond, and more than one of them at a time."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.events import Stamp
from agent.core.instruments import OrderType, Side
from agent.core.signals.admission import Admission, ProducerBudget
from agent.core.signals.limit_price import round_to_tick
from agent.core.signals.order_types import select_order_type
from agent.core.signals.store import SignalBook, SignalState, Situation
from tests.core.risk.views import INSTRUMENT
from tests.core.signals.making import BUDGET, NOW, S, a_signal, admitted, at
from tests.core.signals.test_admission import DAY_NS, verdict

SITUATION = Situation(INSTRUMENT, 9_999, 10_001, 0, 0, 0, collar_ppm=5_000)
ONE_LOT = msgspec.structs.replace(INSTRUMENT, min_lots=1)


def a_book() -> SignalBook:
    return SignalBook({"model": BUDGET})


def restored(book: SignalBook) -> SignalBook:
    return SignalBook({"model": BUDGET}, msgspec.json.decode(msgspec.json.encode(book.state), type=SignalState))


def working(book: SignalBook, number: int, order: str) -> str:
    """A signal of which an order is at work."""
    admitted(book, a_signal(number))
    (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION)
    book.placed(intent.signal_id, order)
    return intent.signal_id


class TestAdmission:
    def test_every_repetition_is_counted(self) -> None:
        admission = Admission({"model": BUDGET})
        assert [verdict(admission, a_signal(1)) for _ in range(4)] == [None] + [Code.SIGNAL_REPLAYED] * 3
        assert admission.state.replayed == 3

    def test_the_first_signal_may_come_at_the_origin_of_the_clock(self) -> None:
        admission = Admission({"model": ProducerBudget(signals_per_s=1, notional_atoms_per_day=10**9)})
        assert verdict(admission, a_signal(1), Stamp(1, 0, NOW.wall_ns)) is None
        assert verdict(admission, a_signal(2), Stamp(2, 1, NOW.wall_ns)) is Code.SIGNAL_BUDGET

    def test_a_new_day_has_its_whole_budget(self) -> None:
        admission = Admission({"model": ProducerBudget(signals_per_s=100, notional_atoms_per_day=210_000)})
        tomorrow = Stamp(9, NOW.monotonic_ns + DAY_NS, NOW.wall_ns + DAY_NS)
        for now in (NOW, tomorrow):
            signals = [a_signal(n + now.seq, expires_ns=now.wall_ns + S) for n in range(3)]
            assert [verdict(admission, signal, now) for signal in signals] == [None, None, Code.SIGNAL_BUDGET]

    def test_an_id_is_remembered_though_others_came_long_after_it(self) -> None:
        admission = Admission({"model": BUDGET})
        for after_ns, number in ((0, 1), (11 * 60 * S, 2), (12 * 60 * S, 1)):
            now = at(after_ns)
            answer = verdict(admission, a_signal(number, expires_ns=now.wall_ns + S), now)
        assert answer is Code.SIGNAL_REPLAYED

    @pytest.mark.parametrize("side", Side)
    def test_a_producer_is_charged_for_what_it_may_come_to(self, side: Side) -> None:
        """A sale by the market, which is above its limit; through the book as by itself."""
        book = a_book()
        admitted(book, a_signal(1, side=side, limit_ticks=9_500))
        admitted(book, a_signal(2, side=side, limit_ticks=9_500))
        expected = 95_000 if side is Side.BUY else 100_000
        assert book.state.admission.producers["model"].notional_atoms == 2 * expected


class TestRules:
    def test_a_rebate_of_one_ppm_is_one(self) -> None:
        def chosen(rebate: int) -> OrderType:
            return select_order_type(
                urgency=1, bid_ticks=9_000, ask_ticks=10_000, filled_lots=0, target_lots=1, maker_rebate_ppm=rebate
            )

        assert [chosen(rebate) for rebate in (0, 1)] == [OrderType.LIMIT, OrderType.POST_ONLY]

    def test_a_price_is_rounded_to_its_own_side(self) -> None:
        assert (round_to_tick(Side.BUY, 19, 20), round_to_tick(Side.SELL, 19, 20)) == (0, 1)

    def test_a_rebate_of_the_venue_makes_a_patient_order_rest(self) -> None:
        for maker_fee_ppm, expected in ((-100, OrderType.POST_ONLY), (100, OrderType.LIMIT)):
            book = a_book()
            admitted(book, a_signal(1, urgency=2))
            instrument = msgspec.structs.replace(INSTRUMENT, maker_fee_ppm=maker_fee_ppm)
            situation = SITUATION._replace(instrument=instrument, bid_ticks=9_900, ask_ticks=10_100)
            (intent,) = book.evaluate("BTC-USDC", NOW, situation)
            assert intent.place.order_type is expected

    @pytest.mark.parametrize(("urgency", "expected"), [(2, OrderType.POST_ONLY), (9, OrderType.LIMIT)])
    def test_where_nothing_may_take_what_rests_is_left_as_it_is(self, urgency: int, expected: OrderType) -> None:
        book = a_book()
        admitted(book, a_signal(1, urgency=urgency))
        situation = SITUATION._replace(bid_ticks=9_900, ask_ticks=10_100, is_limit_only=True)
        (intent,) = book.evaluate("BTC-USDC", NOW, situation)
        assert intent.place.order_type is expected

    def test_an_aim_of_one_lot_is_told_by_the_position(self) -> None:
        """Nothing of it is held, so nothing is nearly finished, whatever was filled and sold again."""
        book = a_book()
        admitted(book, a_signal(1, lots=10, urgency=7, position_target_lots=1))
        book.placed(a_signal(1).signal_id, "A")
        book.filled("A", 9)
        (intent,) = book.evaluate("BTC-USDC", NOW, SITUATION._replace(instrument=ONE_LOT))
        assert (intent.place.lots, intent.place.order_type) == (1, OrderType.IOC)


class TestSeveral:
    def test_all_with_one_aim_share_it(self) -> None:
        book = a_book()
        for number in range(4):
            admitted(book, a_signal(number, lots=4, position_target_lots=10))
        assert [intent.place.lots for intent in book.evaluate("BTC-USDC", NOW, SITUATION)] == [4, 4, 2]

    def test_a_start_knows_the_orders_of_each(self) -> None:
        book = a_book()
        for number, order in ((1, "A"), (2, "B"), (3, "C")):
            working(book, number, order)
        again = restored(book)
        for order in ("A", "B", "C"):
            again.filled(order, 4)
        lives = again.state.symbols["BTC-USDC"].buys
        assert [(live.orders, live.filled_lots) for live in lives] == [(["A"], 4), (["B"], 4), (["C"], 4)]

    def test_the_end_of_a_former_order_does_not_end_the_present_one(self) -> None:
        book = a_book()
        signal_id = working(book, 1, "A")
        assert book.order_ended("A") is None
        (live,) = book.state.symbols["BTC-USDC"].buys
        assert live.is_working is False
        assert len(book.evaluate("BTC-USDC", NOW, SITUATION)) == 1
        book.placed(signal_id, "B")
        assert book.order_ended("A") is None
        assert book.evaluate("BTC-USDC", NOW, SITUATION) == [], "B is still at work"
        assert book.order_ended("B") is None
        assert len(book.evaluate("BTC-USDC", NOW, SITUATION)) == 1

    def test_those_of_a_symbol_or_all_are_withdrawn_by_their_ids(self) -> None:
        def full() -> SignalBook:
            book = a_book()
            for number, symbol in ((3, "X"), (1, "Y"), (2, "X"), (4, "Y")):
                admitted(book, a_signal(number, symbol=symbol))
            return book

        def numbers(ids: list[str]) -> list[int]:
            return [int(signal_id, 16) for signal_id in ids]

        book = full()
        assert numbers(book.withdraw("X")) == [2, 3]
        assert len(book) == 2 and list(book.state.symbols) == ["Y"]
        assert numbers(book.withdraw("X")) == []
        assert numbers(book.withdraw("")) == [1, 4]
        assert len(book) == 0
        assert numbers(full().withdraw("")) == [1, 2, 3, 4]
