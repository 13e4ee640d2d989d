"""Before a reset: the revoked key is dead, another one works, and the journal's books come to the venue's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from agent.guard.configuration import VenuePart
from agent.guard.resetting import book_problems, key_problems
from agent.guard.venue_client import Venue
from tests.guard.venue_double import AGENT_KEY, AGENT_KEY_ID, GUARD_KEY, SCOPES, VenueDouble

NEW_KEY = "pf_new_secret"
HELD = {"BTC-USDC": Decimal("0.003")}


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> Iterator[VenueDouble]:
    """The agent's key is deleted, and it has a new one."""
    monkeypatch.setitem(SCOPES, NEW_KEY, {"trade", "read", "cancel"})
    double = VenueDouble()
    del double.key_ids[AGENT_KEY_ID]
    double.keys[AGENT_KEY] = 0.0
    double.keys[NEW_KEY] = None
    double.key_ids["key_new"] = NEW_KEY
    double.positions["BTC-USDC"] = "0.003"
    yield double
    double.stop()


def part(venue: VenueDouble) -> VenuePart:
    return VenuePart(Venue(venue.url, GUARD_KEY), ("BTC-USDC",), "USDC", 6, (AGENT_KEY_ID,), (AGENT_KEY,), 0)


def fill(venue: VenueDouble, side: str, quantity: str) -> None:
    venue.execution("fill", symbol="BTC-USDC", side=side, qty=quantity)


def test_a_replaced_key_is_seen_to_be(venue: VenueDouble) -> None:
    assert key_problems(part(venue), NEW_KEY) == []


def test_a_deleted_key_that_lives_on_is_not_dead(venue: VenueDouble) -> None:
    venue.keys[AGENT_KEY] = time.monotonic() + 60
    assert key_problems(part(venue), NEW_KEY) == ["old key 1 is not dead: the venue answers 200, not 401"]


def test_a_key_that_is_still_listed_was_not_deleted(venue: VenueDouble) -> None:
    venue.key_ids[AGENT_KEY_ID] = AGENT_KEY
    assert key_problems(part(venue), NEW_KEY) == [f"the venue still lists {AGENT_KEY_ID}"]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (AGENT_KEY, "the new key is the old one"),
        (GUARD_KEY, "the new key is the guard's own"),
        ("pf_nobody", "the new key does not work: the venue answers 401"),
    ],
)
def test_a_new_key_that_is_none_is_told(venue: VenueDouble, key: str, problem: str) -> None:
    assert problem in key_problems(part(venue), key)


def test_books_that_agree_may_be_behind_by_what_was_filled_since(venue: VenueDouble) -> None:
    assert book_problems(part(venue), HELD, 0) == []
    fill(venue, "buy", "0.005")
    venue.execution("order_canceled", client_order_id="x")
    fill(venue, "sell", "0.001")
    assert book_problems(part(venue), HELD, 0) == ["BTC-USDC: the journal comes to 0.007, the venue has 0.003"]
    venue.positions["BTC-USDC"] = "0.007"
    assert book_problems(part(venue), HELD, 0) == []
    assert book_problems(part(venue), HELD, 3) == ["BTC-USDC: the journal comes to 0.003, the venue has 0.007"]


def test_more_than_a_page_of_executions_is_read(venue: VenueDouble) -> None:
    for _ in range(2_500):
        fill(venue, "buy", "0.001")
    venue.positions["BTC-USDC"] = "2.503"
    assert book_problems(part(venue), HELD, 0) == []


def test_what_cannot_be_judged_is_no_agreement(venue: VenueDouble) -> None:
    fill(venue, "buy", "0.001")
    venue.execution("trade_bust", trade_id="t")
    venue.positions["BTC-USDC"] = "0.003"
    assert any("takes a trade back" in problem for problem in book_problems(part(venue), HELD, 0))
    assert any("the venue has 2" in problem for problem in book_problems(part(venue), HELD, 9))
    venue.forgotten_seq = 1
    assert book_problems(part(venue), HELD, 0) == ["the venue does not keep every execution after 0"]


def test_an_order_that_is_open_or_a_list_that_is_not_whole_is_no_standstill(venue: VenueDouble) -> None:
    venue.says_complete = False
    assert book_problems(part(venue), HELD, 0) == ["0 orders are open, or the list is not complete"]
    venue.orders["x"] = {"client_order_id": "x"}
    venue.says_complete = True
    assert book_problems(part(venue), HELD, 0) == ["1 orders are open, or the list is not complete"]


def test_a_venue_that_is_gone_proves_nothing(venue: VenueDouble) -> None:
    gone = part(venue)
    venue.stop()
    assert key_problems(gone, NEW_KEY)[0].startswith("the keys cannot be looked at")
    assert book_problems(gone, HELD, 0)[0].startswith("the books cannot be compared")
