"""Checks where two of their figures meet: fees of both kinds, a tick that is worth more than an atom, and the words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.instruments import Side
from agent.core.risk.check_view import CheckView
from agent.core.risk.checks import check
from agent.core.risk.modes import ALLOWED, Allowed, Level, Mode
from tests.core.risk.test_checks import code
from tests.core.risk.views import INSTRUMENT, PASSING, a_book, a_stale_book, changed

TICK = 7
"""Atoms a lot changes by, for one tick."""
WORTH_MORE = msgspec.structs.replace(INSTRUMENT, tick_value_atoms=TICK)


def verdicts(view: CheckView, field: str, at: int) -> list[Code | None]:
    """One below, at, and one above."""
    return [code(changed(view, **{field: at + beside})) for beside in (-1, 0, 1)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_latched": True}, "latched"),
        ({"is_live": False}, "session"),
        ({"book": None}, "no book"),
        ({"book": a_stale_book()}, "a gap"),
        ({"book": a_book(0, 10_001)}, "one side of the book is empty"),
        ({"collar_ppm": 0, "price_ticks": 10_001}, "10001 at touch 9999/10001, last trade 10000 ticks"),
    ],
)
def test_it_says_what_is_missing(changes: dict[str, Any], words: str) -> None:
    if "collar_ppm" in changes:
        changes = {**changes, "profile": msgspec.structs.replace(PASSING.profile, collar_ppm=changes["collar_ppm"])}
        del changes["collar_ppm"]
    refusal = check(changed(**changes))
    assert refusal is not None and refusal[1] == words


class TestWhereATickIsWorthMore:
    """Ten lots at 10,000 ticks of seven atoms are 700,000."""

    VIEW = changed(instrument=WORTH_MORE, nav_ref_atoms=10**9, day_start_atoms=10**12)

    @pytest.mark.parametrize("side", Side)
    def test_gross(self, side: Side) -> None:
        view = changed(self.VIEW, side=side)
        assert verdicts(view, "gross_others_atoms", 450_000_000 - 700_000) == [None, None, Code.MAX_GROSS]

    def test_net_of_both_sides(self) -> None:
        at = 150_000_000 - 700_000
        assert verdicts(self.VIEW, "net_long_others_atoms", at) == [None, None, Code.MAX_NET]
        sale = changed(self.VIEW, side=Side.SELL)
        assert verdicts(sale, "net_short_others_atoms", -at) == [Code.MAX_NET, None, None]

    def test_the_days_loss_with_a_gap_of_the_larger_side(self) -> None:
        """A short of 40 lots may come to be: 2,800,000 atoms, of which a gap takes a twentieth."""
        view = changed(self.VIEW, day_start_atoms=10**8, reserved_sell_lots=40)
        assert verdicts(view, "day_loss_atoms", 3_000_000 - 140_000) == [None, None, Code.LOSS_BUDGET]

    def test_a_gap_alone_may_take_all_of_the_budget(self) -> None:
        view = changed(self.VIEW, day_start_atoms=35_000 * 1_000_000 // 30_000 + 1)
        assert code(view) is None
        assert code(changed(view, day_start_atoms=35_000 * 1_000_000 // 30_000)) is Code.LOSS_BUDGET
        exactly = changed(self.VIEW, day_start_atoms=10**8, gross_others_atoms=60_000_000 - 700_000)
        assert verdicts(exactly, "day_loss_atoms", 0) == [None, None, Code.LOSS_BUDGET]


class TestFunds:
    def test_the_higher_of_both_fees_counts_whichever_it_is(self) -> None:
        view = changed(base_free_lots=0, lots=10, price_ticks=10_000)
        for fees in ({"maker_fee_ppm": 500, "taker_fee_ppm": 100}, {"maker_fee_ppm": 100, "taker_fee_ppm": 500}):
            assert verdicts(changed(view, **fees), "quote_free_atoms", 100_050) == [Code.INSUFFICIENT_FUNDS, None, None]

    def test_it_is_exact_for_any_amount(self) -> None:
        """Beyond what a float can tell apart: fee and margin, each rounded up."""
        dear = msgspec.structs.replace(INSTRUMENT, tick_value_atoms=10**20 + 1)
        rich = changed(instrument=dear, nav_ref_atoms=10**30, day_start_atoms=10**30, margin_ppm=300_001)
        value = 10 * 10_000 * (10**20 + 1)
        needed = -(-value * 500 // 10**6) - (-value * 300_001 // 10**6)
        assert verdicts(rich, "quote_free_atoms", needed) == [Code.INSUFFICIENT_FUNDS, None, None]


def test_resting_orders_alone_are_what_the_level_allows_less_taking() -> None:
    for level in Level:
        rests = ALLOWED[level].rests
        allowed = Mode(level, is_limit_only=True).allowed
        assert allowed == Allowed(False, rests, ALLOWED[level].reduces, ALLOWED[level].cancels)
        assert all(type(one) is bool for one in msgspec.structs.astuple(allowed))


def test_the_venues_least_value_holds_back_no_order_that_reduces() -> None:
    view = changed(side=Side.SELL, position_lots=10, min_notional_atoms=10**12)
    assert code(view) is None
    assert code(changed(view, position_lots=9)) is Code.MIN_NOTIONAL


@pytest.mark.parametrize("lots", [1, 1_000])
def test_the_least_and_the_most_that_the_venue_takes(lots: int) -> None:
    view = changed(lots=lots, min_lots=1, max_lots=1_000, min_notional_atoms=0, max_order_lots=1_000)
    assert code(changed(view, nav_ref_atoms=10**12, day_start_atoms=10**12)) is None
