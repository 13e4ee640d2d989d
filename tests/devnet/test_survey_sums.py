"""What a survey says is there in all: rows that exclude each other are not added up."""

from __future__ import annotations

from agent.devnet.survey import held_by_rows
from agent.engine.result import OpportunityResult
from agent.eth.units import Address
from agent.strategies.arb.opportunity import Leg

WETH, USDC = Address(b"\x01" * 20), Address(b"\x02" * 20)


def row(
    id_: str, pools: tuple[int, int], net_wei: int, *, outcome: str = "profit", is_rotation: bool = False
) -> OpportunityResult:
    first, second = (Address(bytes([pool]) * 20) for pool in pools)
    return OpportunityResult(
        id=id_,
        block=1,
        kind="head",
        after_transaction=None,
        after_index=None,
        legs=(Leg(first, "v2", WETH, 10, USDC, 20), Leg(second, "v2", USDC, 20, WETH, 10 + net_wei)),
        before_amount=0,
        quoted_amount=net_wei,
        gross_amount=net_wei,
        net_wei=net_wei,
        outcome=outcome,
        is_rotation=is_rotation,
    )


def test_what_stays_open_over_two_moments_is_there_once_at_its_best() -> None:
    assert held_by_rows([row("a", (1, 2), 50), row("b", (1, 2), 70), row("c", (3, 4), 5)]) == 75


def test_two_that_share_no_pool_outweigh_a_better_one_that_excludes_both() -> None:
    assert held_by_rows([row("a", (1, 3), 60), row("b", (1, 2), 40), row("c", (3, 4), 40)]) == 80


def test_only_what_pays_counts_and_a_rotation_does_not() -> None:
    rows = [row("a", (1, 2), 50, is_rotation=True), row("b", (3, 4), 9, outcome="unknown"), row("c", (5, 6), 3)]
    assert held_by_rows(rows) == 3
