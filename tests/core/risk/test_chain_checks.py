"""The checks before a bundle: each at its limit and around it, and all in their order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.core.codes import Code
from agent.core.instruments import OrderType, Side
from agent.core.risk.chain_checks import (
    ChainCheckView,
    ChainLimits,
    EndpointRate,
    check_bundle,
    open_endpoints,
    refuse_directional,
)
from agent.core.risk.modes import ACTIVE, HALTED, KILLED, LIMIT_ONLY, PAUSED, REDUCE_ONLY, sized
from tests.core.risk.views import ORDER

SLOT_NS = 12_000_000_000
PASSING = ChainCheckView(
    limits=ChainLimits(
        chain_id=1,
        executor_code_hash="0xc0de",
        slot_ns=SLOT_NS,
        max_exposure_wei=1_000,
        max_gas_wei_per_day=3_000,
        max_bundles_per_block=4,
    ),
    now_ns=50,
    is_latched=False,
    guard_age_ns=0,
    mode=ACTIVE,
    head_age_ns=0,
    chain_id=1,
    executor_code_hash="0xc0de",
    is_synced=True,
    chain_nonce=7,
    ledger_nonce=7,
    journal_problem="",
    quarantined_pools=(),
    is_plan=True,
    verdict="",
    state_hash="0xaa",
    head_hash="0xaa",
    head_number=100,
    target_number=101,
    is_target_pending=True,
    missing_slots=0,
    cutoff_ns=100,
    live_twin="",
    quoted_amount=5,
    executed_amount=5,
    base_fee_wei=30,
    fee_cap_wei=40,
    least_base_fee_wei=30,
    most_base_fee_wei=30,
    worst_gas_wei=100,
    live_worst_gas_wei=0,
    inventory_wei=0,
    operator_balance_wei=10_000,
    day_loss_wei=0,
    max_day_loss_wei=2_000,
    gas_paid_today_wei=0,
    live_bundles=0,
    endpoints=(EndpointRate("relay", 0, 1),),
)

BREAKS: list[tuple[Code, dict[str, Any]]] = [
    (Code.KILLED, {"is_latched": True}),
    (Code.GUARD_LOST, {"guard_age_ns": None}),
    (Code.HALTED, {"mode": HALTED}),
    (Code.HEAD_OLD, {"head_age_ns": None}),
    (Code.WRONG_CHAIN, {"chain_id": 10}),
    (Code.EXECUTOR_CHANGED, {"executor_code_hash": None}),
    (Code.NODE_SYNCING, {"is_synced": False}),
    (Code.NONCE_DISAGREES, {"chain_nonce": 8}),
    (Code.JOURNAL_UNHEALTHY, {"journal_problem": "no space"}),
    (Code.POOL_QUARANTINED, {"quarantined_pools": ("0x02", "0x01")}),
    (Code.CALLDATA_DIFFERS, {"is_plan": False}),
    (Code.TOKEN_TAXED, {"verdict": "D_TOKEN_TAXED"}),
    (Code.POOL_UNPROVED, {"verdict": "D_POOL_UNPROVED"}),
    (Code.STALE_STATE, {"state_hash": "0xbb"}),
    (Code.TARGET_GONE, {"is_target_pending": False}),
    (Code.UNKNOWN_STATE, {"missing_slots": None}),
    (Code.TARGET_PASSED, {"target_number": 100}),
    (Code.CUTOFF_PASSED, {"cutoff_ns": None}),
    (Code.DUPLICATE_BUNDLE, {"live_twin": "another"}),
    (Code.SIM_MISMATCH, {"executed_amount": 6}),
    (Code.BASE_FEE_BOUND, {"base_fee_wei": 31}),
    (Code.EXPOSURE, {"inventory_wei": 1_000}),
    (Code.INSUFFICIENT_FUNDS, {"operator_balance_wei": 0}),
    (Code.LOSS_BUDGET, {"day_loss_wei": 2_000}),
    (Code.GAS_BUDGET, {"gas_paid_today_wei": 3_000}),
    (Code.RATE, {"live_bundles": 4}),
    (Code.RATE, {"endpoints": ()}),
]


def code(**changes: Any) -> Code | None:
    refusal = check_bundle(msgspec.structs.replace(PASSING, **changes))
    return None if refusal is None else refusal[0]


def test_nothing_is_refused_without_a_reason() -> None:
    assert check_bundle(PASSING) is None


@pytest.mark.parametrize(("index", "expected"), [(i, row[0]) for i, row in enumerate(BREAKS)])
def test_the_first_failure_is_the_reason(index: int, expected: Code) -> None:
    changes = BREAKS[index][1]
    assert code(**changes) is expected
    for _, more in BREAKS[index + 1 :]:
        assert code(**(more | changes)) is expected, more


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("guard_age_ns", (249_999_999, 250_000_000, 250_000_001)),
        ("head_age_ns", (SLOT_NS * 3 // 2 - 1, SLOT_NS * 3 // 2, SLOT_NS * 3 // 2 + 1)),
        ("missing_slots", (0, 0, 1)),
        ("now_ns", (98, 99, 100)),
        ("most_base_fee_wei", (39, 40, 41)),
        ("live_worst_gas_wei", (899, 900, 901)),
        ("inventory_wei", (899, 900, 901)),
        ("day_loss_wei", (1_899, 1_900, 1_901)),
        ("gas_paid_today_wei", (2_899, 2_900, 2_901)),
        ("live_bundles", (2, 3, 4)),
    ],
)
def test_at_a_limit_and_around_it(field: str, values: tuple[int, int, int]) -> None:
    assert [code(**{field: value}) is None for value in values] == [True, True, False]


def test_an_operator_that_can_pay_for_all_that_is_live() -> None:
    at = {"live_worst_gas_wei": 300}
    assert [code(**at, operator_balance_wei=wei) for wei in (399, 400, 401)] == [Code.INSUFFICIENT_FUNDS, None, None]


def test_the_base_fee_it_was_priced_with() -> None:
    bounds = {"least_base_fee_wei": 28, "most_base_fee_wei": 34}
    assert [code(**bounds, base_fee_wei=wei) for wei in (27, 28, 34, 35)] == [
        Code.BASE_FEE_BOUND,
        None,
        None,
        Code.BASE_FEE_BOUND,
    ]


def test_the_days_gas_counts_what_is_live_at_its_worst() -> None:
    assert [code(live_worst_gas_wei=500, gas_paid_today_wei=wei) for wei in (2_400, 2_401)] == [None, Code.GAS_BUDGET]


def test_the_target_lies_ahead() -> None:
    assert [code(target_number=number) for number in (99, 100, 101)] == [Code.TARGET_PASSED, Code.TARGET_PASSED, None]


def test_a_days_profit_widens_nothing() -> None:
    assert code(day_loss_wei=-(10**6), live_worst_gas_wei=900) is None
    assert code(day_loss_wei=-(10**6), live_worst_gas_wei=900, max_day_loss_wei=999) is Code.LOSS_BUDGET


def test_a_drawdown_leaves_less_exposure() -> None:
    assert [code(mode=sized(500_000), live_worst_gas_wei=wei) for wei in (400, 401)] == [None, Code.EXPOSURE]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (PAUSED, Code.PAUSED),
        (REDUCE_ONLY, Code.REDUCE_ONLY),
        (HALTED, Code.HALTED),
        (KILLED, Code.KILLED),
        (LIMIT_ONLY, None),
    ],
    ids=lambda value: str(value),
)
def test_a_bundle_reduces_nothing(mode: Any, expected: Code | None) -> None:
    assert code(mode=mode) is expected


def test_endpoints_that_take_one_more() -> None:
    endpoints = (EndpointRate("full", 2, 2), EndpointRate("open", 1, 2), EndpointRate("closed", 0, 0))
    view = msgspec.structs.replace(PASSING, endpoints=endpoints)
    assert check_bundle(view) is None
    assert open_endpoints(view) == ("open",)
    assert code(endpoints=(endpoints[0], endpoints[2])) is Code.RATE


@pytest.mark.parametrize("order_type", OrderType)
@pytest.mark.parametrize("side", Side)
def test_an_order_with_a_direction_is_refused_on_chain(order_type: OrderType, side: Side) -> None:
    order = msgspec.structs.replace(ORDER, order_type=order_type, side=side)
    assert refuse_directional(order)[0] is Code.NO_INVENTORY


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_latched": True}, "latched"),
        ({"is_plan": False}, "calldata"),
        ({"base_fee_wei": 29}, "priced with 29 of 30 to 30, cap 40 wei"),
        ({"worst_gas_wei": 1_001}, "1001 of 1000 wei, of which 1000000 ppm"),
    ],
)
def test_it_says_by_how_much(changes: dict[str, Any], words: str) -> None:
    refusal = check_bundle(msgspec.structs.replace(PASSING, **changes))
    assert refusal is not None and refusal[1] == words
