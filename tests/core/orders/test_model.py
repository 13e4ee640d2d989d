"""The table holds in every order of events that an honest venue and a bad network can bring about.

The laws: nothing is final while the order is live or may arrive; what may still fill is reserved; no fill is counted
that was not made; an honest venue never halts us; a request has its timer; a requested cancel is sent or the order
over; and from every state fair steps alone lead to a resolved one.
"""

from __future__ import annotations

import pytest

from agent.core.orders.table import TABLE, OrderState, parsed
from tests.core.orders.model import Budgets, Model, search

PLAIN = {
    "cancel, fence, INTERNAL, reject; a disconnect, a double": Budgets(
        fence=1, internal=1, reject=1, disconnect=1, double=1
    ),
    "amend with cancel, soft reject, reordering, a double": Budgets(amend=1, soft=1, reorder=1, double=1),
    "amend with cancel, soft reject, reordering, one lost": Budgets(amend=1, soft=1, reorder=1, lost=1),
}
DEEP = {
    "amend with cancel, soft reject; two disconnects": Budgets(amend=1, soft=1, disconnect=2),
    "cancel, fence, soft reject; two disconnects, one lost": Budgets(fence=1, soft=1, disconnect=2, lost=1),
    "soft reject, INTERNAL, reject; a disconnect, two early, one lost, a double": Budgets(
        soft=1, internal=1, reject=1, disconnect=1, early=2, lost=1, double=1
    ),
    "the same with one reordering, one early": Budgets(
        soft=1, internal=1, reject=1, disconnect=1, early=1, lost=1, double=1, reorder=1
    ),
    "amend with cancel; a disconnect, one early, one lost, a double": Budgets(
        amend=1, disconnect=1, early=1, lost=1, double=1
    ),
    "amend with cancel and fence; a disconnect, one early, one lost": Budgets(
        amend=1, fence=1, disconnect=1, early=1, lost=1
    ),
    "amend with cancel, INTERNAL, reject; a disconnect, one early, one lost": Budgets(
        amend=1, internal=1, reject=1, disconnect=1, early=1, lost=1
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_no_law_breaks(name: str) -> None:
    assert_holds(PLAIN[name])


@pytest.mark.leisure
@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_no_law_breaks_in_a_larger_world(name: str) -> None:
    assert_holds(DEEP[name])


def assert_holds(budgets: Budgets) -> None:
    found = search(Model(), budgets)
    assert not found.broken, f"{found.broken} after {found.steps}"
    assert found.states > 5_000, "the search saw hardly anything"


def changed(event: str, state: str, text: str) -> Model:
    """The model with one cell written otherwise."""
    written = parsed((f"event | {state}\n{event} | {text}",))[event]
    assert TABLE[event][OrderState(state)] != written[OrderState(state)]
    return Model({**TABLE, event: {**TABLE[event], **written}})


MISTAKES = {
    # What other programs do: a time-out or a refused cancel taken for an answer.
    "no answer in time means rejected": (
        changed("ack_timeout", "SENT", "REJECTED XKN"),
        Budgets(early=1),
        "REJECTED while the order is live",
    ),
    "a refused cancel means cancelled": (
        changed("cancel_rej", "PCANCEL", "CANCELED XKN"),
        Budgets(lost=1),
        "reserved",
    ),
    "a cancel that went out is not remembered": (
        changed("cancel_req", "OPEN", "PCANCEL CT"),
        Budgets(disconnect=1),
        "a requested cancel is forgotten",
    ),
    "a status asked before the amendment clears it": (
        changed("status_open", "UNKNOWN", "OPEN KN / c: PCANCEL CT"),
        Budgets(amend=1, disconnect=1, early=1),
        "OPEN with a pending total",
    ),
    "nobody asks again": (
        changed("query_due", "UNKNOWN", "= I"),
        Budgets(lost=1),
        "UNKNOWN with neither question nor timer",
    ),
    "not found counts by when it was read": (
        Model(judges_by_answer=True),
        Budgets(disconnect=1, early=2),
        "REJECTED while the order is live",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_found(name: str) -> None:
    model, budgets, law = MISTAKES[name]
    found = search(model, budgets)
    assert law in found.broken, f"{found.broken or 'nothing'} in {found.states} states"
    assert found.steps


EVIDENCE = {
    "ack", "fill_full", "fill_over", "canceled", "expired", "reject", "status_open", "status_final",
    "nf_final", "fence_absent",
}  # fmt: skip


def test_unknown_is_left_by_evidence_alone() -> None:
    leaves = {
        event
        for event, row in TABLE.items()
        for variant in row[OrderState.UNKNOWN]
        if variant.next_state is not OrderState.UNKNOWN
    }
    assert leaves == EVIDENCE


def test_a_requested_cancel_is_always_sent_or_remembered() -> None:
    for state, cell in TABLE["cancel_req"].items():
        for variant in cell:
            is_out = variant.next_state in (OrderState.DENIED,) or "c" in variant.effects
            is_moot = variant.effects == ("I",) and state in (
                OrderState.PENDING_CANCEL,
                OrderState.FILLED,
                OrderState.CANCELED,
                OrderState.REJECTED,
                OrderState.EXPIRED,
                OrderState.DENIED,
            )
            assert is_out or is_moot, state
