"""The page on the risk core gives its checks in the order in which the core makes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.core.bundles import BundleDesk
from agent.core.codes import Code
from agent.core.risk.chain_checks import CHAIN_CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "risk.md"


def test_the_page_has_the_checks_in_order() -> None:
    assert codes_on_page("When found") == [code.value for code in codes_in(BundleDesk._refuse_found)]


def test_the_page_has_the_checks_of_a_selection_in_order() -> None:
    expected = codes_in(BundleDesk._on_selected)
    for check in CHAIN_CHECKS:
        expected += codes_in(check)
    assert codes_on_page("When selected") == [code.value for code in expected]


def test_the_page_has_the_checks_of_an_execution_in_order() -> None:
    on_page = codes_on_page("When executed")
    expected = [code.value for code in codes_in(BundleDesk._refuse_executed)]
    verdicts = ["D_TOKEN_TAXED", "D_POOL_UNPROVED"]
    assert [code for code in on_page if code not in ("D_STALE_STATE", *verdicts)] == expected
    assert on_page.index("D_UNKNOWN_STATE") < on_page.index(verdicts[0]) < on_page.index("D_REVERTS")


def codes_on_page(heading: str) -> list[str]:
    section = PAGE.read_text().split(f"**{heading}**")[1].split("\n**")[0].split("\n\nA bundle")[0]
    return re.findall(r"`([DR]_[A-Z_]+)`", section)


def codes_in(function: Callable[..., Any]) -> list[Code]:
    return [
        Code[name] for name in re.findall(r"Code\.([A-Z_]+)\b", inspect.getsource(function)) if name in Code.__members__
    ]
