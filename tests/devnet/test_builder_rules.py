"""The builder's pure decisions reproduce every row of the builder vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.devnet.builder import refunds
from agent.devnet.builder.rules import (
    Execution,
    Listed,
    Ordering,
    Worth,
    check_target,
    decide_commit,
    keeps_value,
    rank,
)


@pytest.fixture(scope="module")
def rules(vectors: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((vectors / "bundles" / "builder_rules.json").read_text())
    return loaded


def test_the_share_kept_in_place_decides_as_the_vectors_say(rules: dict[str, Any]) -> None:
    for row in rules["in_place_95_percent"]["rows"]:
        assert keeps_value(top=int(row["top"]), in_place=int(row["in_place"])) is row["keep"], row


def test_refunds_deduct_the_payout_at_each_builders_place(rules: dict[str, Any]) -> None:
    for row in rules["refund_deduction"]["rows"]:
        if row["percent"] == 0:
            continue
        amounts = {"profit_wei": int(row["profit"]), "percent": row["percent"], "base_fee_wei": int(row["base_fee"])}
        after, expected = refunds.refund_after_percentage(**amounts), row["rbuilder_rule"]
        if expected["result"] == "ok":
            assert after is not None
            assert (after.refund_wei, after.payout_cost_wei) == (int(expected["refund"]), int(expected["payout_cost"]))
            assert after.builder_keeps_wei == int(expected["builder_keeps"])
        else:
            assert after is None
        before, expected = refunds.refund_before_percentage(**amounts), row["titan_rule"]
        assert before == (int(expected["refund"]) if expected["result"] == "ok" else None)


@pytest.mark.parametrize("name", ["combined_refunds", "combined_refunds_reverse_order"])
def test_only_the_first_bundle_of_a_recipient_bears_the_payout(rules: dict[str, Any], name: str) -> None:
    script = rules[name]
    combined = refunds.CombinedRefunds(int(script["base_fee"]))
    for row in script["bundles"]:
        refund = combined.add(b"\x01" * 20, profit_wei=int(row["profit"]), percent=row["percent"])
        assert (refund.refund_wei if refund else None) == (int(row["adds"]) if row["result"] == "ok" else None)
    assert combined.payout_wei_by_recipient == {b"\x01" * 20: int(script["payout"])}


def test_mev_share_payments_floor_twice(rules: dict[str, Any]) -> None:
    for row in rules["mev_share_refund"]["rows"]:
        payments = refunds.mev_share_payments(
            backrun_profit_wei=int(row["backrun_profit"]),
            refund_percent=row["refund_percent"],
            recipient_percents=row["refund_config"],
            base_fee_wei=int(row["base_fee"]),
            payout_gas=row["payout_gas"],
        )
        assert payments == [
            (int(payment["value"]), None if payment["after_gas"] is None else int(payment["after_gas"]))
            for payment in row["payments"]
        ]


def test_the_flat_tax_pays_marginal_values(rules: dict[str, Any]) -> None:
    for row in rules["flat_tax"]["rows"]:
        result = refunds.flat_tax(
            value_wei=int(row["v"]),
            paid_to_proposer_wei=int(row["c"]),
            contributions={
                name: (int(identity["payment"]), int(identity["v_without"]))
                for name, identity in row["identities"].items()
            },
        )
        assert result == {name: (int(row["mu"][name]), int(row["refund"][name])) for name in row["identities"]}


def test_a_bundle_is_committed_or_failed_as_the_vectors_say(rules: dict[str, Any]) -> None:
    for row in rules["commit"]["rows"]:
        commit = decide_commit([(Execution(tx["outcome"]), Listed(tx["list"] or "none")) for tx in row["txs"]])
        assert (commit.reason or "ok") == row["result"], row
        assert list(commit.fates) == row["effect"], row


@pytest.mark.parametrize(("ordering", "name"), [(Ordering.GAS_PRICE, "mev_gas_price"), (Ordering.PROFIT, "max_profit")])
def test_orders_rank_by_price_or_profit_and_unpaid_ones_are_left_out(
    rules: dict[str, Any], ordering: Ordering, name: str
) -> None:
    orders = [Worth(row["id"], int(row["profit"]), row["gas"]) for row in rules["ordering"]["orders"]]
    assert [order.order_id for order in rank(orders, ordering)] == rules["ordering"][name]


def test_target_block_and_times_are_inclusive_bounds(rules: dict[str, Any]) -> None:
    for row in rules["target"]["rows"]:
        verdict = check_target(
            bundle_block=row["bundle_block"],
            min_timestamp=row["min"],
            max_timestamp=row["max"],
            block=row["block"],
            timestamp=row["timestamp"],
        )
        assert (verdict or "ok") == row["result"], row
