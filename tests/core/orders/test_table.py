"""The table is the agreed one, whole, and its page shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.core.orders.drawing import drawn
from agent.core.orders.table import FINAL, TABLE, OrderState, Variant, parsed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "orders.md"


def test_it_is_the_agreed_table(vectors: Path) -> None:
    agreed = json.loads((vectors / "core" / "order_fsm.json").read_text())
    ours = {
        event: {
            state.value: [
                {
                    "when": variant.when,
                    "next": "IMPOSSIBLE"
                    if variant.is_impossible
                    else "FINAL"
                    if variant.next_state is None
                    else variant.next_state.value,
                    "effects": list(variant.effects),
                }
                for variant in cell
            ]
            for state, cell in row.items()
        }
        for event, row in TABLE.items()
    }
    assert ours == agreed["parsed"]
    assert {state.value for state in FINAL} == set(agreed["terminal"])


def test_every_event_has_a_cell_in_every_state() -> None:
    assert len(TABLE) == 29
    for event, row in TABLE.items():
        assert set(row) == set(OrderState), event
        assert all(cell[-1].when is None for cell in row.values()), event


def test_a_fill_is_applied_in_every_state() -> None:
    for event in ("fill_part", "fill_full", "fill_over"):
        for state, cell in TABLE[event].items():
            assert all("P" in variant.effects for variant in cell), f"{event} in {state}"


def test_a_cell_is_read_as_it_is_written() -> None:
    row = parsed(("event | UNKNOWN | SENT\nx | OPEN KN / c: PCANCEL CT(retry) / am: = syncQ | ! AH",))["x"]
    assert row[OrderState.UNKNOWN] == (
        Variant(when="c", next_state=OrderState.PENDING_CANCEL, effects=("C", "T(retry)")),
        Variant(when="am", next_state=OrderState.UNKNOWN, effects=("sync", "Q")),
        Variant(when=None, next_state=OrderState.OPEN, effects=("K", "N")),
    )
    assert row[OrderState.SENT][0].is_impossible


@pytest.mark.parametrize("cell", ["OPEN KZ", "NOWHERE K", "OPEN K N"])
def test_what_is_no_cell_is_refused(cell: str) -> None:
    with pytest.raises(ValueError):
        parsed((f"event | SENT\nx | {cell}",))


def test_the_page_shows_the_table_as_it_is() -> None:
    page = PAGE.read_text()
    assert drawn(page) == page, "run `make docs`"


def test_a_page_that_is_out_of_date_is_seen() -> None:
    page = PAGE.read_text()
    assert drawn(page.replace("cancel_req", "cancel_ask", 1)) != page.replace("cancel_req", "cancel_ask", 1)
