"""Every rule by which evidence becomes an outcome, and the list itself against its vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.venues.onchain.outcomes import TRAITS, Decision, Evidence, Kind, Landing, Outcome, Replay, decide

TARGET = 100


def evidence(**fields: Any) -> Evidence:
    standing: dict[str, Any] = {
        "target_block": TARGET,
        "head_block": TARGET,
        "landings": (None, None),
        "first_nonce": 5,
        "sender_nonce_after_target": 5,
        "max_fee_wei": 50,
        "target_base_fee_wei": 40,
        "target_timestamp_s": 1_000,
        "replies": (Outcome.ACCEPTED,),
    }
    return Evidence(**{**standing, **fields})


def at(index: int, *, block: int = TARGET, is_success: bool = True) -> Landing:
    return Landing(block, index, is_success)


def runs(paid_wei: int = 100, after: int | None = None) -> Replay:
    return Replay(after, None, paid_wei)


def fails(outcome: Outcome = Outcome.SIM_REVERTED, after: int | None = None) -> Replay:
    return Replay(after, outcome, 0)


def test_the_list_and_its_traits_are_those_of_the_vectors(vectors: Path) -> None:
    rows = json.loads((vectors / "bundles" / "outcomes.json").read_text())["outcomes"]
    assert {row["id"] for row in rows} == {outcome.value for outcome in Outcome}
    for row in rows:
        assert TRAITS[Outcome(row["id"])] == (Kind(row["cls"]), row["final"])


RULES: list[tuple[str, dict[str, Any], Outcome]] = [
    # 1. all receipts at the target block, in order
    ("all mined in order", {"landings": (at(3), at(4))}, Outcome.INCLUDED),
    ("a revert that is allowed", {"landings": (at(3, is_success=False), at(4)), "may_revert": frozenset({0})},
     Outcome.INCLUDED_WITH_ALLOWED_REVERT),
    ("others between", {"landings": (at(3), at(9))}, Outcome.INCLUDED_NONCONTIGUOUS),
    ("final", {"landings": (at(3), at(4)), "finalized_block": TARGET}, Outcome.FINALIZED),
    ("not final yet", {"landings": (at(3), at(4)), "finalized_block": TARGET - 1}, Outcome.INCLUDED),
    ("cancelled and mined", {"landings": (at(3), at(4)), "is_cancel_requested": True}, Outcome.CANCEL_TOO_LATE),
    ("replaced and mined", {"landings": (at(3), at(4)), "is_replaced": True}, Outcome.CANCEL_TOO_LATE),
    # 2. some receipts
    ("the droppable is missing", {"landings": (None, at(4)), "may_drop": frozenset({0})},
     Outcome.INCLUDED_WITH_DROPPED_TX),
    ("another one is missing", {"landings": (at(4), None), "may_drop": frozenset({0})}, Outcome.UNBUNDLED),
    ("a part without permission", {"landings": (None, at(4))}, Outcome.UNBUNDLED),
    ("a revert without permission", {"landings": (at(3), at(4, is_success=False))}, Outcome.UNBUNDLED),
    ("turned around", {"landings": (at(4), at(3))}, Outcome.UNBUNDLED),
    ("another block", {"landings": (at(3, block=TARGET + 1), at(4, block=TARGET + 1))}, Outcome.INCLUDED_ELSEWHERE),
    ("a block before", {"landings": (at(3, block=TARGET - 1), None), "head_block": TARGET - 1},
     Outcome.INCLUDED_ELSEWHERE),
    ("gone after it was mined", {"was_landed": True}, Outcome.REORGED_OUT),
    # before the target block is seen
    ("accepted somewhere", {"head_block": TARGET - 1, "replies": (Outcome.REFUSED_AUTH, Outcome.ACCEPTED)},
     Outcome.ACCEPTED),
    ("unknown is not refused", {"head_block": TARGET - 1, "replies": (Outcome.REFUSED_AUTH, Outcome.UNKNOWN)},
     Outcome.UNKNOWN),
    ("refused everywhere", {"head_block": TARGET - 1, "replies": (Outcome.REFUSED_RATE, Outcome.REFUSED_AUTH)},
     Outcome.REFUSED_RATE),
    ("no answer yet", {"head_block": TARGET - 1, "replies": ()}, Outcome.UNKNOWN),
    ("cancel asked", {"head_block": TARGET - 1, "is_cancel_requested": True}, Outcome.CANCEL_REQUESTED),
    ("replaced", {"head_block": TARGET - 1, "is_replaced": True}, Outcome.REPLACED),
    # 3. nonce, 4. base fee, 5. timestamp
    ("nonce used", {"sender_nonce_after_target": 6, "target_base_fee_wei": 60}, Outcome.NONCE_USED_ELSEWHERE),
    ("base fee above the cap", {"target_base_fee_wei": 51, "min_timestamp_s": 2_000}, Outcome.UNDERPRICED_BASE_FEE),
    ("base fee at the cap", {"target_base_fee_wei": 50}, Outcome.EXPIRED_BLOCK),
    ("too early", {"min_timestamp_s": 1_001, "replays": (fails(),)}, Outcome.EXPIRED_TIMESTAMP),
    ("too late", {"max_timestamp_s": 999}, Outcome.EXPIRED_TIMESTAMP),
    ("in the window", {"min_timestamp_s": 1_000, "max_timestamp_s": 1_000}, Outcome.EXPIRED_BLOCK),
    # 6. replay on the parent's state
    ("reverts on the real parent", {"replays": (fails(),)}, Outcome.SIM_REVERTED),
    ("pays nothing", {"replays": (runs(0),)}, Outcome.SIM_NO_PAYMENT),
    # 7. replay after each prefix
    ("a rival took it", {"replays": (runs(), runs(100, 0), fails(after=1))}, Outcome.EXCLUDED_OUTBID),
    ("a maker moved its quote", {"replays": (runs(), fails(after=1)), "has_moving_quote": True}, Outcome.QUOTE_MOVED),
    ("worth less inside", {"replays": (runs(100), runs(94, 2))}, Outcome.EXCLUDED_LOWER_INSERTED_VALUE),
    ("worth just enough inside", {"replays": (runs(100), runs(95, 2))}, Outcome.EXPIRED_BLOCK),
    ("no room", {"replays": (runs(),), "target_gas_left": 99, "gas_limit_sum": 100}, Outcome.EXCLUDED_GAS),
    ("just room", {"replays": (runs(),), "target_gas_left": 100, "gas_limit_sum": 100}, Outcome.EXPIRED_BLOCK),
    ("the proposer's own block", {"replays": (runs(),), "has_builder": False}, Outcome.LOCAL_BLOCK),
    ("a builder not asked", {"replays": (runs(),), "is_reached_builder": False}, Outcome.BUILDER_LOST),
    ("sent too late", {"replays": (runs(),), "is_reached_builder": True, "was_sent_late": True}, Outcome.LATE),
    ("all had refused", {"replies": (Outcome.REFUSED_AUTH,)}, Outcome.REFUSED_AUTH),
    ("nothing tells", {"is_reached_builder": True}, Outcome.EXPIRED_BLOCK),
    ("nothing known at all", {"sender_nonce_after_target": None, "target_base_fee_wei": None,
                              "target_timestamp_s": None, "min_timestamp_s": 5, "replies": ()}, Outcome.EXPIRED_BLOCK),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_each_rule_gives_its_outcome_and_a_reason(fields: dict[str, Any], expected: Outcome) -> None:
    decision = decide(evidence(**fields))
    assert decision.outcome is expected
    assert decision.reason


def test_the_transaction_that_stood_in_the_way_is_named() -> None:
    assert decide(evidence(replays=(runs(), runs(100, 0), fails(after=7)))).rival_index == 7
    assert decide(evidence(replays=(runs(), runs(1, 4), fails(after=7)))).rival_index == 4
    assert decide(evidence()).rival_index is None


LANDINGS = st.none() | st.builds(Landing, st.integers(99, 101), st.integers(0, 4), st.booleans())


@given(
    landings=st.tuples(LANDINGS, LANDINGS),
    head=st.integers(98, 102),
    replies=st.lists(st.sampled_from([o for o in Outcome if TRAITS[o].kind is Kind.SUBMISSION])).map(tuple),
    nonce=st.none() | st.integers(4, 6),
)
def test_no_reply_ever_proves_inclusion_and_no_missing_fact_counts_as_no(
    landings: tuple[Landing | None, Landing | None], head: int, replies: tuple[Outcome, ...], nonce: int | None
) -> None:
    decision: Decision = decide(
        evidence(landings=landings, head_block=head, replies=replies, sender_nonce_after_target=nonce)
    )
    kind = TRAITS[decision.outcome].kind
    assert (kind in (Kind.INCLUDED, Kind.ANOMALY)) == any(landing is not None for landing in landings)
    if head < TARGET and not any(landings) and not all(TRAITS[reply].is_final for reply in replies):
        assert not TRAITS[decision.outcome].is_final
    if nonce is None:
        assert decision.outcome is not Outcome.NONCE_USED_ELSEWHERE
