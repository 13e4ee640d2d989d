"""The article's rules and price over their whole grid: 1,680 choices of a type, 600 prices, all exact."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from agent.core.instruments import OrderType, Side
from agent.core.signals.limit_price import PARTS_PER_TICK, compute_limit_price, round_to_tick
from agent.core.signals.order_types import select_order_type

MIDDLE_TICKS = 20_000_000
"""A middle so fine that a spread of a thousandth of a basis point is a whole number of ticks on either side."""


@pytest.fixture(scope="module")
def grid(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "core" / "order_type_grid.json").read_text())
    return loaded


def whole(number: Fraction) -> int:
    assert number.denominator == 1
    return number.numerator


def test_every_cell_of_the_grid_of_types(grid: dict[str, Any]) -> None:
    given = grid["select_order_type"]
    legend = {letter: OrderType(word) for letter, word in given["legend"].items()}
    counts: Counter[OrderType] = Counter()
    for spread_bps, position_pct, rebate_bps, results in given["rows"]:
        half = whole(Fraction(spread_bps) * MIDDLE_TICKS / 20_000)
        filled = Fraction(position_pct)
        for urgency, expected in enumerate(results, 1):
            chosen = select_order_type(
                urgency=urgency,
                bid_ticks=MIDDLE_TICKS - half,
                ask_ticks=MIDDLE_TICKS + half,
                filled_lots=filled.numerator,
                target_lots=filled.denominator,
                maker_rebate_ppm=whole(Fraction(rebate_bps) * 100),
            )
            assert chosen is legend[expected], (spread_bps, position_pct, rebate_bps, urgency)
            counts[chosen] += 1
    assert counts == {OrderType(word): count for word, count in given["counts"].items()}
    assert counts.total() == 1_680


def test_every_row_of_the_grid_of_prices(grid: dict[str, Any]) -> None:
    rows = grid["compute_limit_price"]["rows"]
    assert len(rows) == 600
    for row in rows:
        side, mid, tick = Side(row["side"]), Fraction(row["mid"]), Fraction(row["tick"])
        half = mid * Fraction(row["spread_bps"]) / 20_000
        # A unit so small that both sides of the touch are whole numbers of it.
        unit = Fraction(1, (mid - half).denominator * (mid + half).denominator)
        parts = compute_limit_price(
            side,
            bid_ticks=whole((mid - half) / unit),
            ask_ticks=whole((mid + half) / unit),
            urgency=row["urgency"],
        )
        exact = parts * unit / PARTS_PER_TICK
        assert exact == Fraction(row["exact"]), row
        on_grid = exact / tick
        for name, is_aggressive in (("tick_passive", False), ("tick_aggressive", True)):
            ticks = round_to_tick(side, on_grid.numerator, on_grid.denominator, is_aggressive=is_aggressive)
            assert ticks * tick == Fraction(row[name]), (name, row)
