"""What execution makes of a quote, and what rows come to in all: those that exclude each other are not added up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.core.codes import Code
from agent.dex.pool import LeftOut, StateName
from agent.dex.pool_set import PoolSet
from agent.engine.execution import Execution
from agent.engine.executor import Executor
from agent.engine.judging import Seen, clear_of, count_funnel, held_by_rows, judged, mismatches
from agent.engine.result import Ending, Mismatch, OpportunityResult, RunResult
from agent.eth.units import Address, Hash32
from agent.sim.simulator import BlockEnv, Slot
from agent.strategies.arb.opportunity import Leg, Opportunity

WETH, USDC = Address(b"\x01" * 20), Address(b"\x02" * 20)


def row(
    id_: str, pools: tuple[int, int], net_wei: int, *, outcome: Ending = Ending.PROFIT, is_rotation: bool = False
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
    rows = [row("a", (1, 2), 50, is_rotation=True), row("b", (3, 4), 9, outcome=Ending.UNKNOWN), row("c", (5, 6), 3)]
    assert held_by_rows(rows) == 3


POOLS = Address(b"\x11" * 20), Address(b"\x12" * 20)
ENV = BlockEnv(
    number=1, timestamp=2, base_fee_wei=3, fee_recipient=Address(b"\x09" * 20), gas_limit=30_000_000, prev_randao=0
)
EXECUTOR = Executor(
    address=Address(b"\x21" * 20), build="cancun", code_hash=Hash32(bytes(32)), vault=Address(b"\x22" * 20), weth=WETH,
    operators=(Address(b"\x23" * 20),),
)  # fmt: skip
FOUND = Opportunity(
    state=StateName(Hash32(bytes(32)), None), block_number=1, after_transaction=None,
    legs=(Leg(POOLS[0], "v2", WETH, 10, USDC, 20), Leg(POOLS[1], "v2", USDC, 20, WETH, 1_010)),
    gross_amount=1_000, before_amount=0, upper_bound_amount=None, limited_by_state=False,
)  # fmt: skip
PAYS = Execution(
    is_success=True, gross_amount=1_000, payment_wei=0, gas_used=100, missing=(), assumed=(), refused="", error=""
)


def verdict(execution: Execution, *, found: Opportunity = FOUND, unproved: Address | None = None) -> OpportunityResult:
    return judged(
        found,
        execution,
        at=Seen(PoolSet(), None, None),
        env=ENV,
        executor=EXECUTOR,
        unproved=frozenset() if unproved is None else frozenset({unproved}),
        repeat="again {id}",
    )


@pytest.mark.parametrize(
    ("change", "outcome", "code", "net_wei"),
    [
        ({}, "profit", "", 700),
        ({"gas_used": 333}, "profit", "", 1),
        ({"gas_used": 334}, "loss", Code.BELOW_GAS, -2),
        ({"gross_amount": 300}, "loss", Code.BELOW_GAS, 0),
        ({"is_success": False, "gross_amount": 0, "error": "K"}, "reverts", Code.REVERTS, 0),
        ({"missing": (Slot(POOLS[0], 1),)}, "unknown", Code.UNKNOWN_STATE, 0),
        ({"refused": "nonce too low"}, "unknown", Code.SIM_REFUSED, 0),
    ],
)
def test_execution_decides_what_a_quote_is(change: dict[str, int], outcome: str, code: str, net_wei: int) -> None:
    one = verdict(replace(PAYS, **change))
    assert (one.outcome, one.code, one.net_wei) == (outcome, code, net_wei)
    assert one.repeat == f"again {FOUND.id}"


def test_a_start_token_without_a_price_is_neither_profit_nor_loss() -> None:
    legs = (Leg(POOLS[0], "v2", USDC, 10, WETH, 20), Leg(POOLS[1], "v2", WETH, 20, USDC, 1_010))
    one = verdict(PAYS, found=replace(FOUND, legs=legs))
    assert (one.outcome, one.code, one.value_wei, one.net_wei) == ("unpriced", Code.NO_PRICE, None, 0)


def test_another_amount_is_a_mismatch_unless_a_pool_that_nothing_proves_lied() -> None:
    ours, lie = (verdict(replace(PAYS, gross_amount=999), unproved=pool) for pool in (None, POOLS[1]))
    assert (lie.outcome, lie.code) == ("dropped", Code.POOL_UNPROVED)
    assert mismatches([verdict(PAYS), ours, lie]) == [Mismatch(FOUND.id, 1_000, 999)]


def test_what_goes_through_a_stale_pool_is_not_judged() -> None:
    stale = [LeftOut(POOLS[1], "state_differs", "")]
    assert clear_of([FOUND], stale) == []
    assert clear_of([FOUND], [LeftOut(WETH, "state_differs", "")]) == [FOUND]


def test_the_funnel_counts_what_was_simulated_and_why_the_rest_ended() -> None:
    result = RunResult(
        run="r", command="survey", world="case", mode="devnet", chain_id=1, executor_address="", executor_build="",
        executor_code_hash="", pools_known=2, pools_quotable=2, left_out=[],
    )  # fmt: skip
    result.opportunities += [verdict(PAYS), verdict(replace(PAYS, refused="no")), verdict(replace(PAYS, gas_used=999))]
    count_funnel(result)
    assert result.drops == {Code.SIM_REFUSED: 1, Code.BELOW_GAS: 1}
    assert (result.funnel["found"], result.funnel["simulated"], result.funnel["sent"]) == (3, 2, 0)
