"""What is made or asked for at once for speed is what it would be one by one."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.accounts.accounts import Accounts
from agent.core.accounts.ledger import KeptFill
from agent.core.desk.views import Views
from agent.core.orders.order import Closed, closed
from agent.core.risk.breakers.day_loss import DayLoss
from agent.core.risk.check_view import CheckView


def arguments(function: Callable[..., Any], name: str) -> list[str]:
    """The last word of each argument of the one call of `name` in a function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    assert len(calls) == 1 and not calls[0].keywords
    return [one.id if isinstance(one, ast.Name) else one.attr for one in calls[0].args]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "struct"), [(Views.of, CheckView), (closed, Closed), (Accounts.on_fill, KeptFill)]
)
def test_every_value_stands_in_its_own_field(function: Callable[..., Any], struct: type[msgspec.Struct]) -> None:
    assert tuple(arguments(function, struct.__name__)) == struct.__struct_fields__


@given(st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9), st.integers(0, 9), st.integers(0, 9))
def test_the_figures_of_a_day_are_the_same_together_and_alone(
    start: int | None, nav: int | None, deposits: int, withdrawals: int
) -> None:
    day = DayLoss(nav_start_atoms=start, nav_atoms=nav, deposits_atoms=deposits, withdrawals_atoms=withdrawals)
    assert day.figures_atoms() == (day.nav_ref_atoms, day.loss_atoms, day.base_atoms)
