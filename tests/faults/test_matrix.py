"""The fault matrix is whole: every cell names tests that exist, and every fault of the simulation has its cell."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.core.events import Stamp
from agent.core.events import orders as events
from agent.core.events.control import TimerFired
from agent.core.events.market import InstrumentDefined
from agent.core.step import Core
from agent.devnet.virtual.faults import FAULTS
from agent.devnet.virtual.market import BTC
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.program import desk_settings

REPOSITORY = Path(__file__).resolve().parents[2]
MATRIX = Path(__file__).with_name("matrix.toml")
COMPONENTS = {"core", "journal", "venue", "guard", "host", "signals", "config"}
FIELDS = {"component", "fault", "required", "injector", "tests"}
CELLS: list[dict[str, Any]] = tomllib.loads(MATRIX.read_text())["cell"]
S = 1_000_000_000


@cache
def functions(path: str) -> frozenset[str]:
    """Names of the tests of a file, those in classes included."""
    tree = ast.parse((REPOSITORY / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def problems(cell: dict[str, Any]) -> list[str]:
    """What is wrong with a cell."""
    name = f"{cell.get('component')}.{cell.get('fault')}"
    if set(cell) != FIELDS or not all(cell.values()):
        return [f"{name} is not filled in"]
    found = []
    for test in cell["tests"]:
        path, _, function = test.partition("::")
        if not (REPOSITORY / path).is_file() or function not in functions(path):
            found.append(f"{name}: there is no {test}")
    return found


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell['component']}.{cell['fault']}")
def test_every_cell_is_filled_in_and_its_tests_exist(cell: dict[str, Any]) -> None:
    assert not problems(cell)


def test_an_empty_cell_and_a_test_that_is_none_are_seen() -> None:
    sound = CELLS[0]
    assert problems(sound | {"required": ""})
    assert problems(sound | {"tests": []})
    assert problems(sound | {"tests": ["tests/faults/test_matrix.py::test_that_is_none"]})
    assert problems(sound | {"tests": ["tests/faults/absent.py::test_it"]})


def test_every_component_has_cells_and_no_cell_stands_twice() -> None:
    names = [(cell["component"], cell["fault"]) for cell in CELLS]
    assert len(set(names)) == len(names)
    assert {component for component, _ in names} == COMPONENTS


def test_every_fault_of_the_simulation_has_its_cell() -> None:
    cells = {f"{cell['component']}.{cell['fault']}" for cell in CELLS}
    assert not {fault.cell for fault in FAULTS} - cells


def test_a_position_that_differs_is_not_explained_away() -> None:
    core = Core(trading=desk_settings(Profile(rates_ppm={})))
    seq = 0

    def step(event: Any, at_s: float) -> list[str]:
        nonlocal seq
        seq += 1
        stamp = Stamp(seq, int(at_s * S), 1_772_582_400 * S + int(at_s * S))
        return [type(effect).__name__ for effect in core.step(event, stamp)]

    def asked() -> events.Asked:
        return events.Asked(seq=seq, is_socket=True, epoch=1)

    def account(lots: int) -> events.AccountSnapshot:
        return events.AccountSnapshot(
            as_of_exec_seq=0,
            balances=(events.Balance("USDC", 10**12),),
            positions=(events.VenuePosition(BTC.symbol, lots),) if lots else (),
            asked=asked(),
            epoch=1,
        )

    step(InstrumentDefined(BTC), 0)
    step(events.SessionUp(epoch=1, last_exec_seq=0, orders_per_s=9, cancels_per_s=9, max_open=9), 0)
    step(events.ReplayDone(0, 1), 0)
    step(events.OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked(), epoch=1), 0.1)
    step(account(0), 0.1)
    assert core.desk is not None
    assert core.desk.session.is_live

    step(TimerFired("session:full"), 60)
    step(events.OpenOrders(as_of_exec_seq=0, is_complete=True, orders=(), asked=asked(), epoch=1), 60.1)
    step(account(7), 60.1)
    assert core.desk.session.mode.words == "REDUCE_ONLY"
    assert core.desk.state.accounts.lots(BTC.symbol) == 0, "no fill is made up"
    assert "Stop" in step(TimerFired("session:difference"), 121)
    assert core.is_halted
