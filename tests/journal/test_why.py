"""The chain that led to an order: back over its other names, its step's event, and what was decided on."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.effects.orders import Amend, Place, Refuse
from agent.core.events.market import MarketTick
from agent.core.events.orders import Fill, OrderAck, PlaceRequested
from agent.errors import UsageError
from agent.journal.reader import JournalReader
from agent.journal.why import why
from tests.journal.worlds import begin

ORDER, OTHER = "A1B2C3D4E5F6G7H8J9", "A1B2C3D4E5F6G7H8K0"


def place(client_order_id: str) -> Place:
    return Place(
        client_order_id=client_order_id, symbol="BTC", side="buy", order_type="limit", lots=1, price_ticks=5,
        expire_ns=9, epoch=1,
    )  # fmt: skip


def ack(client_order_id: str, order_id: str) -> OrderAck:
    return OrderAck(
        exec_seq=1, client_order_id=client_order_id, order_id=order_id, status="open", cum_lots=0, epoch=1
    )  # fmt: skip


def fill(client_order_id: str, order_id: str) -> Fill:
    return Fill(
        exec_seq=2, symbol="BTC", client_order_id=client_order_id, order_id=order_id, trade_id="t", side="buy", lots=1,
        price_ticks=5, is_maker=True, fee=0, fee_currency="USD", cum_lots=1, leaves_lots=0, epoch=1,
    )  # fmt: skip


def tick(price_ticks: int) -> MarketTick:
    return MarketTick(symbol="BTC", price_ticks=price_ticks, exchange_ns=0)


def test_an_order_is_traced_to_the_tick_it_was_decided_on(tmp_path: Path) -> None:
    journal = begin(tmp_path)

    def write(event: object, *effects: object) -> int:
        sequence = journal.event(event, monotonic_ns=1, wall_ns=1)  # type: ignore[arg-type]
        journal.effects(effects, monotonic_ns=1, wall_ns=1)  # type: ignore[arg-type]
        return sequence

    write(tick(4))
    decided = write(tick(5))
    write(tick(6))
    wish = PlaceRequested(
        strategy="s", symbol="BTC", side="buy", order_type="limit", lots=1, price_ticks=5, decided_seq=decided
    )
    asked = write(wish, place(OTHER), place(ORDER), Refuse(subject="s", code="X", detail=""))
    write(ack(OTHER, "venue-1"))
    acknowledged = write(ack(ORDER, "venue-2"))
    amended = write(tick(7), Amend(client_order_id=ORDER, total_lots=2, price_ticks=6, epoch=1))
    # The venue names only its own id here.
    filled = write(fill("", "venue-2"))
    journal.close()

    reader = JournalReader(tmp_path)
    chain = why(reader, ORDER)
    assert [(link.record.sequence, link.is_cause) for link in chain] == [
        (decided, True),
        (asked, True),
        (asked + 1, False),
        (acknowledged, False),
        (amended, True),
        (amended + 1, False),
        (filled, False),
    ]
    (placed,) = [link for link in chain if link.record.sequence == asked + 1]
    assert placed.indexes == (1,) and placed.content == [{**placed.content[0], "client_order_id": ORDER}]
    assert [link.record.sequence for link in why(reader, f"{asked}.1")] == [decided, asked, asked + 1]
    assert why(reader, ORDER[:-1]) == chain
    with pytest.raises(UsageError, match="beginning of 2 ids"):
        why(reader, ORDER[:12])
    assert why(reader, ORDER[:3]) == [], "too short to stand for an id"
