"""The page on the report names every field, every ending and every stage that a report can show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agent.dex.pool import LeftOut
from agent.engine.result import (
    BlockResult,
    BookRow,
    Ending,
    Mismatch,
    OpportunityResult,
    Rival,
    RunResult,
    StageLatency,
    TransactionResult,
)
from agent.eth.units import Address
from agent.observe.report import report
from agent.strategies.arb.opportunity import Leg
from agent.venues.onchain.outcomes import Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "report.md"
POOL, TOKEN = Address(b"\1" * 20), Address(b"\2" * 20)


@pytest.fixture(scope="module")
def named() -> frozenset[str]:
    """Every word that the page sets as code."""
    return frozenset(re.findall(r"`([a-z0-9_]+)`", PAGE.read_text()))


def full() -> RunResult:
    """A result in which nothing is empty."""
    row = OpportunityResult(
        id="a", block=1, kind="head", after_transaction=None, after_index=None, before_amount=0, quoted_amount=1,
        gross_amount=1, rival=Rival("0x", 0, 0),
        legs=(Leg(pool=POOL, kind="v2", token_in=TOKEN, amount_in=1, token_out=TOKEN, amount_out=2),),
    )  # fmt: skip
    return RunResult(
        run="r", command="run", world="slice", mode="devnet", chain_id=1, executor_address="0x",
        executor_build="cancun", executor_code_hash="0x", left_out=[LeftOut(POOL, "empty", "")],
        blocks=[BlockResult(number=1, hash="0x", base_fee_wei=1, transactions=0, pools_touched=0)],
        opportunities=[row], mismatches=[Mismatch("a", 1, 2)], latency_ns={"search": StageLatency(1, 1, 1, 1)},
        transactions=[
            TransactionResult(
                hash="0x", block=1, index=0, status=1, gas_used=1, fee_wei=1, coinbase_payment_wei=0, profit_wei=0,
                opportunity="a",
            )
        ],
        books=[BookRow(account="0x", token="ETH", booked=0, chain=0)],
    )  # fmt: skip


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_field_of_a_report_is_on_its_page(named: frozenset[str]) -> None:
    assert keys(report(full())) - named == set()


def test_every_ending_is_on_the_page(named: frozenset[str]) -> None:
    assert {word.value for word in (*Ending, *Outcome)} - named == set()


def test_every_stage_that_is_timed_is_on_the_page(named: frozenset[str]) -> None:
    source = (PAGE.parents[2] / "agent" / "engine" / "hunter.py").read_text()
    stages = set(re.findall(r'stages\.add\("(\w+)"', source))
    assert stages and stages - named == set()
