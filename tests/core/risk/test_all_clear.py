"""What is passed at one glance, no row refuses."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from agent.core.instruments import OrderType, Side, TradingStatus
from agent.core.risk.all_clear import is_clear
from agent.core.risk.checks import reason
from agent.core.risk.modes import ACTIVE, LIMIT_ONLY, REDUCE_ONLY, sized
from agent.core.risk.profiles import CONSERVATIVE
from tests.core.risk.views import NOW_NS, PASSING, a_book, a_stale_book, changed

NAV = 10**7
PROFILE = msgspec.structs.replace(CONSERVATIVE, name="small", day_orders=3, duplicate_max=2, repeat_max=2)


def near(*values: int) -> st.SearchStrategy[int]:
    """At a limit, and one to either side of it."""
    return st.sampled_from([value + by for value in values for by in (-1, 0, 1)])


BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "side": st.sampled_from(Side),
    "order_type": st.sampled_from(OrderType),
    "lots": near(2, 10, 20, 50, 500, 1_000),
    "price_ticks": near(0, 9_950, 9_999, 10_001, 10_050, 11_000),
    "is_reduce_only": st.booleans(),
    "status": st.sampled_from(TradingStatus),
    "price_band_bps": st.sampled_from([0, 10, 50]),
    "maker_fee_ppm": st.sampled_from([-100, 900]),
    "max_open_per_symbol": st.sampled_from([1, 64]),
    "margin_ppm": st.sampled_from([100_000, 10**6]),
    "is_latched": st.booleans(),
    "guard_age_ns": st.none() | near(0, 250_000_000, 500_000_000),
    "mode": st.sampled_from([ACTIVE, LIMIT_ONLY, REDUCE_ONLY, sized(500_000)]),
    "is_live": st.booleans(),
    "is_whitelisted": st.booleans(),
    "is_fenced": st.booleans(),
    "journal_problem": st.sampled_from(["", "full"]),
    "book": st.sampled_from(
        [None, a_book(), a_stale_book(), a_book(0), a_book(10_001, 10_001), a_book(last=0), a_book(9_990, 10_020)]
    )
    | near(0, 500_000_000).map(lambda age_ns: a_book(arrival_ns=NOW_NS - age_ns)),
    "mark_ticks": near(0, 10_000, 10_040),
    "mark_age_ns": st.none() | near(0, 2_000_000_000),
    "decided_ns": st.none() | near(NOW_NS, NOW_NS - 250_000_000),
    "expires_ns": st.none() | near(NOW_NS),
    "duplicates": near(2),
    "position_lots": near(-30, 0, 30),
    "reserved_buy_lots": st.sampled_from([0, 10, 31]),
    "reserved_sell_lots": st.sampled_from([0, 10, 31]),
    "own_highest_bid_ticks": near(0, 10_000),
    "own_lowest_ask_ticks": near(0, 10_000),
    "gross_others_atoms": near(0, 3 * NAV // 20),
    "net_long_others_atoms": near(0, NAV // 20 - 100_000),
    "net_short_others_atoms": near(0, 100_000 - NAV // 20),
    "quote_free_atoms": near(50, 100_050, 10**9),
    "base_free_lots": st.none() | near(0, 10),
    "day_loss_atoms": near(0, NAV // 100, NAV // 100 - 5_000),
    "open_symbol": near(1, 64),
    "open_total": near(0, 256),
    "day_notional_atoms": near(0, 20 * NAV - 100_000),
    "day_orders": near(0, 3),
    "repeats": near(0, 2),
}
CHANGES = st.fixed_dictionaries({}, optional=BY_NAME)
SMALL = changed(PASSING, profile=PROFILE, nav_ref_atoms=NAV, day_start_atoms=NAV)


@settings(max_examples=400)
@given(CHANGES)
def test_it_passes_nothing_that_a_row_refuses(changes: dict[str, Any]) -> None:
    view = changed(SMALL, **changes)
    exposure = view.exposure()
    if is_clear(view, exposure):
        event("clear")
        assert reason(view, exposure) is None


@settings(max_examples=400)
@given(st.lists(st.sampled_from(sorted(BY_NAME)), max_size=3, unique=True), st.data())
def test_so_few_things_out_of_the_ordinary_are_seen_one_by_one(names: list[str], data: st.DataObject) -> None:
    """Most of what is drawn above is refused for something; here each limit is alone."""
    view = changed(SMALL, **{name: data.draw(BY_NAME[name], label=name) for name in names})
    exposure = view.exposure()
    is_passed = is_clear(view, exposure)
    event("clear" if is_passed else "not clear")
    refusal = reason(view, exposure)
    if is_passed:
        assert refusal is None
    elif refusal is None:
        # Only what is left to the rows on purpose.
        assert (
            view.mode is not ACTIVE
            or view.guard_age_ns > view.account.max_guard_age_ns  # type: ignore[operator]
            or view.instrument.status is not TradingStatus.TRADING  # type: ignore[union-attr]
        )
