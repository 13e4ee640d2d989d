"""Each pre-trade check at its limit, one short of it and one beyond, and all of them in their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.codes import Code
from agent.core.instruments import OrderType, Side, TradingStatus
from agent.core.risk.all_clear import is_clear
from agent.core.risk.check_view import CheckView
from agent.core.risk.checks import check, reason, warning
from agent.core.risk.modes import ACTIVE, HALTED, KILLED, LIMIT_ONLY, PAUSED, REDUCE_ONLY, Level, sized
from agent.core.risk.profiles import PROFILES, Profile
from tests.core.risk.views import INSTRUMENT, NOW_NS, PASSING, a_book, a_stale_book, changed

MS = 1_000_000

# What breaks each check, in the order of the checks.
BREAKS: list[tuple[Code, dict[str, Any]]] = [
    (Code.KILLED, {"is_latched": True}),
    (Code.GUARD_LOST, {"guard_age_ns": None}),
    (Code.KILLED, {"mode": KILLED}),
    (Code.NOT_LIVE, {"is_live": False}),
    (Code.STALE_EPOCH, {"is_epoch_current": False}),
    (Code.VENUE_UNACKED, {"is_acknowledging": False}),
    (Code.JOURNAL_UNHEALTHY, {"journal_problem": "poisoned"}),
    (Code.UNKNOWN_INSTRUMENT, {"instrument": None}),
    (Code.NOT_TRADING, {"status": TradingStatus.CANCEL_ONLY}),
    (Code.NOT_WHITELISTED, {"is_whitelisted": False}),
    (Code.SYMBOL_FENCED, {"is_fenced": True}),
    (Code.BAD_FIELD, {"lots": 10.0}),
    (Code.BAD_TICK, {"price_ticks": 0}),
    (Code.BAD_LOT, {"lots": 0}),
    (Code.QTY_RANGE, {"max_lots": 9}),
    (Code.MIN_NOTIONAL, {"min_notional_atoms": 100_001}),
    (Code.STALE_DATA, {"book": None}),
    (Code.CROSSED_BOOK, {"book": a_book(10_001, 10_001)}),
    (Code.STALE_DATA, {"mark_age_ns": None}),
    (Code.EXPIRED, {"expires_ns": NOW_NS}),
    (Code.DECISION_STALE, {"decided_ns": None}),
    (Code.DUPLICATE_INTENT, {"duplicates": 3}),
    (Code.PRICE_COLLAR, {"price_band_bps": 1, "mark_ticks": 10_002}),
    (Code.MAX_ORDER_QTY, {"max_order_lots": 9}),
    (Code.MAX_ORDER_NOTIONAL, {"nav_ref_atoms": 0}),
    (Code.SELF_TRADE, {"own_lowest_ask_ticks": 10_000}),
    (Code.MAX_POSITION, {"reserved_buy_lots": 20_000}),
    (Code.MAX_GROSS, {"gross_others_atoms": 450_000_001}),
    (Code.MAX_NET, {"net_long_others_atoms": 150_000_001}),
    (Code.INSUFFICIENT_FUNDS, {"quote_free_atoms": 0}),
    (Code.LOSS_BUDGET, {"day_loss_atoms": 30_000_001}),
    (Code.MAX_OPEN_ORDERS, {"open_total": 256}),
    (Code.MAX_DAILY_NOTIONAL, {"day_notional_atoms": 2 * 10**10}),
    (Code.MAX_DAILY_ORDERS, {"day_orders": 100_000}),
    (Code.REPEAT_THROTTLE, {"repeats": 20}),
]


def code(view: CheckView) -> Code | None:
    """The verdict, which is the same by the short way and row by row, and never without words.

    What passes and has nothing out of the ordinary passes by the short way.
    """
    refusal = check(view)
    if type(view.order.lots) is type(view.order.price_ticks) is int:
        assert reason(view, view.exposure()) == refusal
        assert is_clear(view, view.exposure()) is (refusal is None and is_ordinary(view))
    assert refusal is None or (isinstance(refusal[1], str) and refusal[1])
    return None if refusal is None else refusal[0]


def is_ordinary(view: CheckView) -> bool:
    return (
        view.mode.level is Level.ACTIVE
        and view.guard_age_ns is not None
        and view.guard_age_ns <= view.account.max_guard_age_ns
        and view.instrument is not None
        and view.instrument.status is TradingStatus.TRADING
    )


def test_nothing_is_refused_without_a_reason() -> None:
    assert check(PASSING) is None


@pytest.mark.parametrize(("index", "expected"), [(i, row[0]) for i, row in enumerate(BREAKS)])
def test_the_first_failure_is_the_reason(index: int, expected: Code) -> None:
    """Broken alone, and together with each later one."""
    changes = BREAKS[index][1]
    assert code(changed(**changes)) is expected
    for later, more in BREAKS[index + 1 :]:
        if changes.keys() & more.keys() or ("instrument" in changes and INSTRUMENT_FIELDS & more.keys()):
            continue
        assert code(changed(**changes, **more)) is expected, later


INSTRUMENT_FIELDS = {"status", "max_lots", "min_notional_atoms", "price_band_bps"}


@pytest.mark.parametrize(
    ("expected", "field", "limit", "least_refused"),
    [
        (Code.GUARD_LOST, "guard_age_ns", 250 * MS, 250 * MS + 1),
        (Code.STALE_DATA, "mark_age_ns", 2_000 * MS, 2_000 * MS + 1),
        (Code.DUPLICATE_INTENT, "duplicates", 2, 3),
        (Code.MAX_OPEN_ORDERS, "open_symbol", 63, 64),
        (Code.MAX_OPEN_ORDERS, "open_total", 255, 256),
        (Code.MAX_DAILY_ORDERS, "day_orders", 99_999, 100_000),
        (Code.REPEAT_THROTTLE, "repeats", 19, 20),
        (Code.MAX_ORDER_QTY, "lots", 500, 501),
        (Code.QTY_RANGE, "lots", 1_000, 1_001),
    ],
)
def test_a_count_or_an_age_at_its_limit(expected: Code, field: str, limit: int, least_refused: int) -> None:
    wide = changed(nav_ref_atoms=10**12, day_start_atoms=10**12)
    assert code(changed(wide, **{field: limit - 1})) is not expected
    assert code(changed(wide, **{field: limit})) is not expected
    assert code(changed(wide, **{field: least_refused})) is expected
    assert code(changed(wide, **{field: least_refused + 1})) is expected


def test_the_least_quantity_and_value() -> None:
    assert [code(changed(lots=lots, min_notional_atoms=0)) for lots in (1, 2, 3)] == [Code.QTY_RANGE, None, None]
    at = 100_000
    assert [code(changed(min_notional_atoms=n)) for n in (at - 1, at, at + 1)] == [None, None, Code.MIN_NOTIONAL]


@pytest.mark.parametrize(
    "changes",
    [
        {"lots": 10.0},
        {"lots": True},
        {"lots": "10"},
        {"price_ticks": 10_000.0},
        {"price_ticks": None},
        {"side": "buy"},
        {"order_type": "limit"},
    ],
    ids=str,
)
def test_a_field_of_another_kind_is_refused_and_not_computed_with(changes: dict[str, Any]) -> None:
    assert code(changed(**changes)) is Code.BAD_FIELD


def test_it_reduces_nothing() -> None:
    """Where only what reduces may go out, a quantity of another kind is not taken for one that does."""
    assert code(changed(mode=REDUCE_ONLY, side=Side.SELL, position_lots=10, lots=10.0)) is Code.REDUCE_ONLY


def test_the_lowest_price_there_is() -> None:
    lowest = changed(price_ticks=1, mark_ticks=1, book=a_book(1, 2, last=1), min_notional_atoms=0)
    loose = msgspec.structs.replace(PASSING.profile, collar_ppm=10**6)
    assert code(changed(lowest, profile=loose)) is None


@pytest.mark.parametrize(
    ("book", "expected"),
    [
        (None, Code.STALE_DATA),
        (a_stale_book(), Code.STALE_DATA),
        (a_book(0, 10_001), Code.STALE_DATA),
        (a_book(9_999, 0), Code.STALE_DATA),
        (a_book(arrival_ns=NOW_NS - 500 * MS), None),
        (a_book(arrival_ns=NOW_NS - 500 * MS - 1), Code.STALE_DATA),
        (a_book(9_999, 10_000), None),
        (a_book(10_000, 10_000), Code.CROSSED_BOOK),
        (a_book(10_001, 10_000), Code.CROSSED_BOOK),
    ],
)
def test_a_book_that_may_be_acted_on(book: Any, expected: Code | None) -> None:
    assert code(changed(book=book)) is expected


def test_a_mark_there_must_be() -> None:
    assert code(changed(mark_ticks=0)) is Code.STALE_DATA
    assert code(changed(mark_age_ns=None)) is Code.STALE_DATA


@pytest.mark.parametrize(
    ("left_ns", "expected"), [(-1, Code.EXPIRED), (0, Code.EXPIRED), (1, None)], ids=["over", "at its end", "alive"]
)
def test_a_signal_ends_at_its_deadline(left_ns: int, expected: Code | None) -> None:
    assert code(changed(expires_ns=NOW_NS + left_ns)) is expected
    assert code(changed(expires_ns=None)) is None


@pytest.mark.parametrize(
    ("age_ns", "expected"), [(250 * MS - 1, None), (250 * MS, None), (250 * MS + 1, Code.DECISION_STALE)]
)
def test_a_decision_ages(age_ns: int, expected: Code | None) -> None:
    assert code(changed(decided_ns=NOW_NS - age_ns)) is expected


@pytest.mark.parametrize("side", Side)
def test_the_collar_around_middle_last_trade_and_touch(side: Side) -> None:
    """5,000 ppm of 10,000 are 50 ticks."""
    order: dict[str, Any] = {"side": side, "order_type": OrderType.IOC}
    for price, expected in ((9_949, Code.PRICE_COLLAR), (9_950, None), (10_050, None), (10_051, Code.PRICE_COLLAR)):
        assert code(changed(**order, price_ticks=price)) is expected, price
    # The middle holds, the last trade does not: 10,000 is 50.25 ticks of 10,050 away at 5,000 ppm.
    assert code(changed(**order, book=a_book(last=10_050))) is None
    assert code(changed(**order, book=a_book(last=10_051))) is Code.PRICE_COLLAR
    assert code(changed(**order, book=a_book(last=9_950))) is Code.PRICE_COLLAR
    assert code(changed(**order, book=a_book(last=9_951))) is None
    assert code(changed(**order, book=a_book(last=0))) is Code.PRICE_COLLAR


@given(
    st.sampled_from(Side),
    st.integers(1, 20_000),
    st.integers(1, 500),
    st.integers(0, 100_000),
    st.integers(1, 30_000),
)
def test_within_the_collar_of_the_middle_is_within_that_of_the_touch(
    side: Side, bid: int, spread: int, collar_ppm: int, price: int
) -> None:
    """So a buy is never let out above the ask and the collar, nor a sale below the bid less the collar."""
    profile = msgspec.structs.replace(PASSING.profile, collar_ppm=collar_ppm)
    book = a_book(bid, bid + spread, last=price)
    order = changed(side=side, price_ticks=price, min_notional_atoms=0)
    if code(changed(order, profile=profile, book=book)) is not Code.PRICE_COLLAR:
        touch = bid + spread if side is Side.BUY else bid
        assert side.sign * (price - touch) * 1_000_000 <= collar_ppm * touch


def test_the_band_of_the_venue() -> None:
    """500 bps of a mark of 10,000 are 500 ticks."""
    loose = msgspec.structs.replace(PASSING.profile, collar_ppm=10**6)
    at = changed(price_band_bps=500, profile=loose, order_type=OrderType.IOC)
    assert [code(changed(at, price_ticks=p)) for p in (9_499, 9_500, 10_500, 10_501)] == [
        Code.PRICE_COLLAR,
        None,
        None,
        Code.PRICE_COLLAR,
    ]


@pytest.mark.parametrize(
    ("side", "prices", "own"),
    [
        (Side.BUY, (10_000, 10_001, 10_002), "own_lowest_ask_ticks"),
        (Side.SELL, (10_000, 9_999, 9_998), "own_highest_bid_ticks"),
    ],
)
def test_post_only_does_not_take_and_nothing_takes_ours(side: Side, prices: tuple[int, ...], own: str) -> None:
    short_of, at, beyond = prices
    post_only = changed(side=side, order_type=OrderType.POST_ONLY)
    for price, expected in ((short_of, None), (at, Code.WOULD_CROSS), (beyond, Code.WOULD_CROSS)):
        assert code(changed(post_only, price_ticks=price)) is expected
        assert code(changed(side=side, price_ticks=price)) is None
    for price, expected in ((short_of, None), (at, Code.SELF_TRADE), (beyond, Code.SELF_TRADE)):
        assert code(changed(side=side, price_ticks=price, **{own: at})) is expected


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
class TestInEveryProfile:
    """The limits that are shares of NAV, at the atom: with the least NAV that allows it, one less, and one more."""

    def wide(self, profile: Profile, **changes: Any) -> CheckView:
        room = {"nav_ref_atoms": 10**15, "day_start_atoms": 10**15, "account": WIDE}
        return changed(profile=profile, **(room | changes))

    def test_value_of_one_order(self, profile: Profile) -> None:
        nav = least(100_000, profile.order_notional_ppm)
        view = self.wide(profile, lots=10, price_ticks=10_000)
        assert [code(changed(view, nav_ref_atoms=n)) for n in (nav - 1, nav, nav + 1)] == [
            Code.MAX_ORDER_NOTIONAL,
            None,
            None,
        ]

    def test_a_sale_is_worth_its_mark(self, profile: Profile) -> None:
        nav = least(100_000, profile.order_notional_ppm)
        view = self.wide(profile, side=Side.SELL, lots=10, price_ticks=9_990, nav_ref_atoms=nav)
        assert code(view) is None
        assert code(changed(view, mark_ticks=10_001)) is Code.MAX_ORDER_NOTIONAL

    @pytest.mark.parametrize("side", Side)
    def test_the_worst_position(self, profile: Profile, side: Side) -> None:
        """90 held or reserved and 10 more, at 10,000."""
        nav = least(1_000_000, profile.position_ppm)
        held: dict[str, Any] = (
            {"position_lots": 50, "reserved_buy_lots": 40, "reserved_sell_lots": 90}
            if side is Side.BUY
            else {"position_lots": -50, "reserved_sell_lots": 40, "reserved_buy_lots": 90}
        )
        view = self.wide(profile, side=side, **held)
        assert [code(changed(view, nav_ref_atoms=n)) for n in (nav - 1, nav, nav + 1)] == [
            Code.MAX_POSITION,
            None,
            None,
        ]

    def test_gross_over_symbols(self, profile: Profile) -> None:
        nav = 9_000_000 * 1_000_000 // profile.max_gross_ppm
        assert nav * profile.max_gross_ppm == 9_000_000 * 1_000_000, "met exactly"
        view = self.wide(profile, gross_others_atoms=8_900_000)
        assert [code(changed(view, nav_ref_atoms=n)) for n in (nav - 1, nav, nav + 1)] == [Code.MAX_GROSS, None, None]

    def test_gross_counts_the_larger_side(self, profile: Profile) -> None:
        """100,000 would be bought, but 300,000 may be sold short."""
        nav = least(10_000_000, profile.max_gross_ppm)
        view = self.wide(profile, reserved_sell_lots=30, gross_others_atoms=9_700_000, nav_ref_atoms=nav)
        assert code(view) is None
        assert code(changed(view, gross_others_atoms=9_700_001)) is Code.MAX_GROSS

    @pytest.mark.parametrize(
        ("changes", "net"),
        [
            ({"price_ticks": 9_990}, 100_000),
            ({"price_ticks": 10_010}, 100_100),
            ({"price_ticks": 9_990, "own_highest_bid_ticks": 10_020}, 100_200),
            ({"price_ticks": 10_010, "position_lots": -30, "reserved_buy_lots": 25, "reserved_sell_lots": 1}, 50_050),
            ({"side": Side.SELL, "price_ticks": 10_010, "own_highest_bid_ticks": 9_990}, 100_000),
        ],
    )
    def test_a_long_is_valued_at_the_highest_that_may_be_paid(
        self, profile: Profile, changes: dict[str, Any], net: int
    ) -> None:
        """And everything else at the mark: seen in the net, of which the others leave just so much."""
        sign = changes.get("side", Side.BUY).sign
        view = self.wide(profile, nav_ref_atoms=least(10**9, profile.max_net_ppm), **changes)
        others = "net_long_others_atoms" if sign > 0 else "net_short_others_atoms"
        left = 10**9 - net
        assert code(changed(view, **{others: sign * left})) is None
        assert code(changed(view, **{others: sign * (left + 1)})) is Code.MAX_NET

    @pytest.mark.parametrize(
        ("side", "others"), [(Side.BUY, "net_long_others_atoms"), (Side.SELL, "net_short_others_atoms")]
    )
    def test_net_over_symbols(self, profile: Profile, side: Side, others: str) -> None:
        nav = least(1_000_000, profile.max_net_ppm)
        view = self.wide(profile, side=side, nav_ref_atoms=nav)
        for over, expected in ((-1, None), (0, None), (1, Code.MAX_NET)):
            assert code(changed(view, **{others: side.sign * (900_000 + over)})) is expected
            assert code(changed(view, **{others: -side.sign * (900_000 + over)})) is None

    def test_the_days_loss_and_a_gap(self, profile: Profile) -> None:
        """100,000 at 5 % and a loss of 15,000 make 20,000."""
        start = least(20_000, profile.day_loss_ppm)
        view = self.wide(profile, day_loss_atoms=15_000)
        assert [code(changed(view, day_start_atoms=n)) for n in (start - 1, start, start + 1)] == [
            Code.LOSS_BUDGET,
            None,
            None,
        ]
        at = changed(view, day_start_atoms=start)
        assert [code(changed(at, day_loss_atoms=n)) for n in (14_999, 15_000, 15_001)] == [None, None, Code.LOSS_BUDGET]
        # A gap of other symbols counts as one of this: 20 atoms at 5 % are one atom.
        assert code(changed(at, gross_others_atoms=20, day_loss_atoms=14_999)) is None
        assert code(changed(at, gross_others_atoms=40, day_loss_atoms=14_999)) is Code.LOSS_BUDGET

    def test_a_days_profit_widens_nothing(self, profile: Profile) -> None:
        start = least(5_000, profile.day_loss_ppm)
        view = self.wide(profile, day_start_atoms=start, day_loss_atoms=-(10**9))
        assert code(view) is None
        assert code(changed(view, day_start_atoms=start - 1)) is Code.LOSS_BUDGET

    def test_the_days_value(self, profile: Profile) -> None:
        view = self.wide(profile)
        at = 20 * 10**15 - 100_000
        assert [code(changed(view, day_notional_atoms=n)) for n in (at - 1, at, at + 1)] == [
            None,
            None,
            Code.MAX_DAILY_NOTIONAL,
        ]


def least(value: int, limit_ppm: int) -> int:
    """The least NAV of which so many ppm are the value."""
    return -(-value * 1_000_000 // limit_ppm)


WIDE = msgspec.structs.replace(PASSING.account, max_order_lots=10**6)


class TestFunds:
    """A balance that is missing is zero."""

    def test_bought_for_cash_with_the_highest_fee(self) -> None:
        view = changed(base_free_lots=0, lots=10, price_ticks=9_999)
        needed = 99_990 + 50  # 49.995 rounded up
        assert [code(changed(view, quote_free_atoms=n)) for n in (needed - 1, needed, needed + 1)] == [
            Code.INSUFFICIENT_FUNDS,
            None,
            None,
        ]

    def test_a_rebate_is_no_money_yet(self) -> None:
        paid = changed(base_free_lots=0, maker_fee_ppm=-500, taker_fee_ppm=-100, quote_free_atoms=99_999)
        assert code(paid) is Code.INSUFFICIENT_FUNDS
        assert code(changed(paid, quote_free_atoms=100_000)) is None

    def test_sold_from_what_is_held(self) -> None:
        view = changed(side=Side.SELL, position_lots=0, quote_free_atoms=0)
        assert [code(changed(view, base_free_lots=n)) for n in (9, 10, 11)] == [Code.INSUFFICIENT_FUNDS, None, None]

    @pytest.mark.parametrize("side", Side)
    def test_on_margin(self, side: Side) -> None:
        view = changed(side=side, margin_ppm=100_000)
        needed = 10_000 + 50
        assert [code(changed(view, quote_free_atoms=n)) for n in (needed - 1, needed)] == [
            Code.INSUFFICIENT_FUNDS,
            None,
        ]

    def test_a_sale_on_margin_is_worth_its_mark(self) -> None:
        view = changed(side=Side.SELL, price_ticks=9_990)
        needed = 100_000 + 50
        assert [code(changed(view, quote_free_atoms=n)) for n in (needed - 1, needed)] == [
            Code.INSUFFICIENT_FUNDS,
            None,
        ]

    def test_closing_on_margin_costs_the_fee_alone(self) -> None:
        view = changed(side=Side.SELL, position_lots=10)
        assert [code(changed(view, quote_free_atoms=n)) for n in (49, 50)] == [Code.INSUFFICIENT_FUNDS, None]


class TestSizeAfterADrawdown:
    @pytest.mark.parametrize(("size_ppm", "lots"), [(500_000, 250), (250_000, 125)])
    def test_orders_are_smaller(self, size_ppm: int, lots: int) -> None:
        view = changed(mode=sized(size_ppm), nav_ref_atoms=10**12, day_start_atoms=10**12)
        assert code(changed(view, lots=lots)) is None
        assert code(changed(view, lots=lots + 1)) is Code.MAX_ORDER_QTY

    def test_positions_are_smaller(self) -> None:
        view = changed(mode=sized(500_000), nav_ref_atoms=least(2_000_000, 150_000), reserved_buy_lots=90)
        assert code(view) is None
        assert code(changed(view, reserved_buy_lots=91)) is Code.MAX_POSITION


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "expected"),
        [(PAUSED, Code.PAUSED), (REDUCE_ONLY, Code.REDUCE_ONLY), (HALTED, Code.HALTED), (KILLED, Code.KILLED)],
        ids=lambda value: str(value),
    )
    @pytest.mark.parametrize("order_type", OrderType)
    def test_nothing_is_opened(self, mode: Any, expected: Code, order_type: OrderType) -> None:
        assert code(changed(mode=mode, order_type=order_type)) is expected

    @pytest.mark.parametrize("order_type", OrderType)
    def test_only_resting_orders_open_while_slippage_is_high(self, order_type: OrderType) -> None:
        takes = order_type in (OrderType.MARKET, OrderType.IOC, OrderType.FOK)
        assert code(changed(mode=LIMIT_ONLY, order_type=order_type)) is (Code.LIMIT_ONLY if takes else None)
        assert code(changed(mode=LIMIT_ONLY.joined(sized(500_000)), order_type=order_type)) is (
            Code.LIMIT_ONLY if takes else None
        )

    @pytest.mark.parametrize("mode", [ACTIVE, LIMIT_ONLY, PAUSED, REDUCE_ONLY, HALTED], ids=lambda mode: mode.words)
    @pytest.mark.parametrize("order_type", OrderType)
    def test_what_reduces_goes_out(self, mode: Any, order_type: OrderType) -> None:
        view = changed(mode=mode, order_type=order_type, side=Side.SELL, position_lots=10)
        assert code(view) is None
        assert code(changed(view, is_reduce_only=True)) is None

    def test_an_order_marked_as_reducing_that_is_not(self) -> None:
        assert code(changed(is_reduce_only=True, side=Side.SELL, position_lots=9)) is Code.REDUCE_ONLY
        assert code(changed(is_reduce_only=True, side=Side.SELL, position_lots=10)) is None

    def test_an_instrument_that_takes_resting_orders_alone(self) -> None:
        for order_type in OrderType:
            expected = None if order_type is OrderType.POST_ONLY else Code.NOT_TRADING
            assert code(changed(status=TradingStatus.POST_ONLY, order_type=order_type)) is expected


class TestGuard:
    @pytest.mark.parametrize(
        ("age_ns", "opening", "reducing"),
        [
            (250 * MS, None, None),
            (250 * MS + 1, Code.GUARD_LOST, None),
            (500 * MS, Code.GUARD_LOST, None),
            (500 * MS + 1, Code.GUARD_LOST, Code.GUARD_LOST),
            (None, Code.GUARD_LOST, Code.GUARD_LOST),
        ],
    )
    def test_by_the_age_of_its_pulse(self, age_ns: int | None, opening: Code | None, reducing: Code | None) -> None:
        assert code(changed(guard_age_ns=age_ns)) is opening
        assert code(changed(guard_age_ns=age_ns, side=Side.SELL, position_lots=10)) is reducing


REDUCING = changed(side=Side.SELL, order_type=OrderType.IOC, position_lots=100, reserved_sell_lots=40, lots=60)
LIMITS = {
    Code.MAX_ORDER_QTY,
    Code.MAX_ORDER_NOTIONAL,
    Code.MAX_POSITION,
    Code.MAX_GROSS,
    Code.MAX_NET,
    Code.LOSS_BUDGET,
    Code.MAX_DAILY_NOTIONAL,
    Code.MAX_DAILY_ORDERS,
}


class TestReducing:
    """On the other side than the position, and within what is left of it."""

    def test_it_passes_every_limit(self) -> None:
        broken: dict[str, Any] = {}
        for broken_code, changes in BREAKS:
            if broken_code in LIMITS and "reserved_buy_lots" not in changes:
                broken |= changes
        assert code(changed(REDUCING, **broken)) is None
        assert code(changed(REDUCING, **broken, lots=61)) in LIMITS

    @pytest.mark.parametrize(
        ("expected", "changes"),
        [row for row in BREAKS if row[0] not in LIMITS | {Code.MIN_NOTIONAL, Code.SELF_TRADE}],
    )
    def test_it_passes_nothing_else(self, expected: Code, changes: dict[str, Any]) -> None:
        assert code(changed(REDUCING, **changes)) is expected

    def test_it_takes_nothing_of_ours(self) -> None:
        assert code(changed(REDUCING, own_highest_bid_ticks=10_000)) is Code.SELF_TRADE

    def test_it_is_only_warned_of_the_least_value(self) -> None:
        small = changed(REDUCING, min_notional_atoms=600_001)
        assert check(small) is None
        told = warning(small)
        assert told is not None and told[0] is Code.MIN_NOTIONAL
        assert warning(REDUCING) is None

    @given(
        position=st.integers(-50, 50),
        reserved=st.integers(0, 50),
        lots=st.integers(2, 60),
        side=st.sampled_from(Side),
    )
    def test_it_can_never_turn_the_position(self, position: int, reserved: int, lots: int, side: Side) -> None:
        """Whatever else of its side fills before it. In reduce-only mode nothing else goes out."""
        sides = {"reserved_buy_lots": reserved} if side is Side.BUY else {"reserved_sell_lots": reserved}
        view = changed(mode=REDUCE_ONLY, side=side, position_lots=position, lots=lots, min_notional_atoms=0, **sides)
        after = position + side.sign * (reserved + lots)
        turns = after * position < 0 or position == 0 or position * side.sign > 0
        assert (check(view) is None) is not turns


def test_the_scripts_of_worst_exposure(vectors: Path) -> None:
    """Breaker 2 as the check sees it."""
    for case in json.loads((vectors / "core" / "risk.json").read_text())["worst_exposure"]:
        buys = [order for order in case["orders"] if order["side"] == "buy"]
        sells = [order for order in case["orders"] if order["side"] == "sell"]
        profile = msgspec.structs.replace(
            PASSING.profile,
            position_ppm=case["limit_ppm"],
            order_notional_ppm=10**9,
            max_gross_ppm=10**9,
            max_net_ppm=10**9,
            collar_ppm=100_000,
        )
        view = changed(
            profile=profile,
            side=Side(case["new"]["side"]),
            lots=case["new"]["qty"],
            price_ticks=case["new"]["px"],
            mark_ticks=case["mark"],
            book=a_book(case["mark"] - 1, case["mark"] + 1, last=case["mark"]),
            instrument=msgspec.structs.replace(
                INSTRUMENT, tick_value_atoms=case["tick_value"], min_notional_atoms=0, min_lots=1
            ),
            position_lots=case["position"],
            reserved_buy_lots=sum(order["leaves"] for order in buys) + case["owed_buy"],
            reserved_sell_lots=sum(order["leaves"] for order in sells) + case["owed_sell"],
            own_highest_bid_ticks=max((order["px"] for order in buys), default=0),
            own_lowest_ask_ticks=min((order["px"] for order in sells), default=0),
            nav_ref_atoms=case["nav_ref"],
        )
        expected = None if case["expect"]["decision"] == "ALLOW" else Code.MAX_POSITION
        assert code(view) is expected, case["name"]
