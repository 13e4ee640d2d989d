"""The page and the table show what a run did, and nothing foreign can act in them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import msgspec

from agent.engine.result import BlockResult, Ending, Mismatch, OpportunityResult, RunResult
from agent.eth.units import Address
from agent.observe.charts import Bar, bars, line
from agent.observe.page import page
from agent.observe.report import report, totals
from agent.observe.table import table
from agent.strategies.arb.opportunity import Leg

WETH, USDC, POOL = (Address(bytes([i]) * 20) for i in (1, 2, 3))
HOSTILE = "<script>alert(1)</script>"
SYMBOLS = {WETH: "WETH", USDC: HOSTILE}


def opportunity(id_: str, *, outcome: Ending, net_wei: int, **changes: object) -> OpportunityResult:
    one = OpportunityResult(
        id=id_,
        block=7,
        kind="head",
        after_transaction=None,
        after_index=None,
        legs=(Leg(POOL, "v2", WETH, 100, USDC, 50), Leg(POOL, "v2", USDC, 50, WETH, 2**70)),
        before_amount=0,
        quoted_amount=5,
        gross_amount=5,
        value_wei=net_wei + 3,
        gas_cost_wei=2,
        bid_wei=1,
        net_wei=net_wei,
        outcome=outcome,
        reason=HOSTILE,
    )
    return msgspec.structs.replace(one, **changes)


def result() -> RunResult:
    return RunResult(
        run="r",
        command="run",
        world="case",
        mode="devnet",
        chain_id=1,
        executor_address="0x00",
        executor_build="cancun",
        executor_code_hash="0x01",
        blocks=[BlockResult(number=7, hash="0x07", base_fee_wei=10**9, transactions=1, pools_touched=1)],
        opportunities=[
            opportunity("one", outcome=Ending.LANDED, net_wei=2**60),
            opportunity("two", outcome=Ending.DROPPED, net_wei=9, code="D_CONFLICT"),
            opportunity("three", outcome=Ending.LANDED, net_wei=1, is_rotation=True),
        ],
        funnel={"found": 3, "landed": 1},
        drops={"D_CONFLICT": 1},
    )


def test_only_what_landed_is_summed_and_a_rotation_not_twice() -> None:
    assert totals(result()) == {
        "value_wei": str(2**60 + 3),
        "gas_wei": "2",
        "bids_wei": "1",
        "net_wei": str(2**60),
    }


def test_amounts_leave_as_decimal_text() -> None:
    data = report(result())["data"]
    assert data["opportunities"][0]["legs"][1]["amount_out"] == str(2**70)
    assert data["opportunities"][0]["net_wei"] == str(2**60)


def test_the_page_holds_no_script_and_loads_nothing() -> None:
    shown = page(result(), symbols=SYMBOLS)
    assert HOSTILE not in shown and "&lt;script&gt;" in shown
    assert "http" not in shown.replace("http-equiv", "")
    assert "default-src 'none'" in shown


def test_the_table_puts_what_landed_first_and_counts_mismatches() -> None:
    one = result()
    one.mismatches.append(Mismatch("two", 5, 4))
    lines = table(one, symbols=SYMBOLS).splitlines()
    rows = [row for row in lines if row.startswith(("one", "two", "three"))]
    assert [row.split()[0] for row in rows] == ["one", "three", "two"]
    assert any("1 of 3 executed differ" in row for row in lines)


def test_a_run_that_found_nothing_says_so() -> None:
    empty = msgspec.structs.replace(result(), opportunities=[])
    assert "a normal end" in table(empty, symbols={})


def test_pictures_are_well_formed_even_with_losses_and_nothing() -> None:
    for picture in (
        bars([Bar("a", -5, "-5", "bad"), Bar("b & c", 7, "7")], title="t"),
        bars([], title="t"),
        line([("1", 5, "5"), ("2", 5, "5")], title="t"),
        line([("1", 5, "<")], title="t"),
    ):
        ElementTree.fromstring(picture.replace("<p class=empty>", '<p class="empty">'))


def test_a_survey_is_headed_by_what_can_be_had_together() -> None:
    surveyed = result()
    surveyed.command, surveyed.survey_net_wei = "survey", 5 * 10**17
    assert "0.500000 ETH</b><span>net after gas of the best set" in page(surveyed, symbols=SYMBOLS)
