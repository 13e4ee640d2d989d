"""What each rung takes for a proof, against a venue that can say anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent.guard import rungs
from agent.guard.peer import PeerFault
from agent.guard.rungs import Revoke, Sweep
from agent.guard.venue_client import Venue, VenueClient
from tests.guard.venue_double import AGENT_KEY, AGENT_KEY_ID, GUARD_KEY, VenueDouble

APART_S = 0.1


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[VenueDouble]:
    monkeypatch.setattr(rungs, "READS_APART_S", APART_S)
    double = VenueDouble()
    yield double
    double.stop()


def sweep(double: VenueDouble, *, is_final: bool = True) -> Sweep:
    return Sweep(Venue(double.url, GUARD_KEY), ["BTC-USDC"], lambda: is_final)


def order(name: str) -> dict[str, str]:
    return {"client_order_id": name, "symbol": "BTC-USDC", "side": "buy", "quantity": "1"}


def test_one_look_is_no_proof_and_two_at_once_are_one(double: VenueDouble) -> None:
    rung = sweep(double)
    assert not rung.is_confirmed()
    assert not rung.is_confirmed()
    time.sleep(APART_S)
    assert rung.is_confirmed()


def test_looks_count_only_when_nobody_can_place_any_more(double: VenueDouble) -> None:
    rung = sweep(double, is_final=False)
    for _ in range(3):
        assert not rung.is_confirmed()
        time.sleep(APART_S)


def test_an_order_between_the_two_looks_begins_them_anew(double: VenueDouble) -> None:
    rung = sweep(double)
    assert not rung.is_confirmed()
    double.orders["late"] = order("late")
    time.sleep(APART_S)
    assert not rung.is_confirmed()
    double.orders.clear()
    assert not rung.is_confirmed()
    time.sleep(APART_S)
    assert rung.is_confirmed()


def test_a_position_that_moved_is_looked_at_again(double: VenueDouble) -> None:
    rung = sweep(double)
    assert not rung.is_confirmed()
    double.positions["BTC-USDC"] = "0.5"
    time.sleep(APART_S)
    assert not rung.is_confirmed()
    time.sleep(APART_S)
    assert rung.is_confirmed()


def test_the_second_attempt_names_the_symbols(double: VenueDouble) -> None:
    rung = sweep(double)
    rung.act(1)
    rung.act(2)
    assert [entry.detail for entry in double.ledger if entry.what == "cancel_all"] == ["", "", "BTC-USDC"]


def test_a_key_is_dead_when_it_is_refused_and_listed_no_more(double: VenueDouble) -> None:
    rung = Revoke(Venue(double.url, GUARD_KEY), [AGENT_KEY_ID], [AGENT_KEY])
    assert not rung.is_confirmed()
    double.deleted_keys_live_s = 0.3
    rung.act(1)
    assert not rung.is_confirmed()
    time.sleep(0.3)
    assert rung.is_confirmed()
    rung.act(2)  # deleting what is gone is no fault


def test_a_key_that_is_listed_is_not_dead_whatever_the_probe_says(double: VenueDouble) -> None:
    rung = Revoke(Venue(double.url, GUARD_KEY), [AGENT_KEY_ID], [AGENT_KEY])
    double.keys[AGENT_KEY] = 0.0
    assert not rung.is_confirmed()


@pytest.mark.parametrize("key", ["", "pf_nobody"])
def test_a_guard_without_rights_is_a_fault_and_no_proof(double: VenueDouble, key: str) -> None:
    client = VenueClient(Venue(double.url, key))
    for read in (client.open_orders, client.positions, client.balances, client.key_ids, client.cancel_all):
        with pytest.raises(PeerFault):
            read()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({}, "open_orders"),
        ({"orders": None, "complete": True, "as_of_exec_seq": 1}, "open_orders"),
        ({"orders": [], "complete": True}, "open_orders"),
        ({"orders": [], "complete": True, "as_of_exec_seq": "1"}, "open_orders"),
        ([1], "open_orders"),
        ("null", "positions"),
        ({"positions": [{"symbol": "A"}]}, "positions"),
        ({"positions": [{"symbol": "A", "qty": "NaN"}]}, "positions"),
        ({"positions": [{"symbol": "A", "qty": "x"}]}, "positions"),
        ({"positions": [{"symbol": "A", "qty": True}]}, "positions"),
    ],
)
def test_an_answer_of_another_shape_is_a_fault_and_never_an_empty_one(
    double: VenueDouble, monkeypatch: pytest.MonkeyPatch, answer: object, what: str
) -> None:
    monkeypatch.setattr(double, "answer", lambda *_: (200, answer))
    with pytest.raises(PeerFault):
        getattr(VenueClient(Venue(double.url, GUARD_KEY)), what)()


@pytest.mark.parametrize("complete", [1, "true", None, "yes"])
def test_complete_is_true_and_nothing_like_it(
    double: VenueDouble, monkeypatch: pytest.MonkeyPatch, complete: object
) -> None:
    answer = {"orders": [], "complete": complete, "as_of_exec_seq": 1}
    monkeypatch.setattr(double, "answer", lambda *_: (200, answer))
    assert not VenueClient(Venue(double.url, GUARD_KEY)).open_orders().is_complete
