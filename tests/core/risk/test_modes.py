"""The lattice: what each mode lets out, and that the strictest of several counts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.risk.modes import (
    ACTIVE,
    ALLOWED,
    HALTED,
    KILLED,
    LIMIT_ONLY,
    PAUSED,
    REDUCE_ONLY,
    Level,
    Mode,
    sized,
)
from agent.core.risk.profiles import PPM

HALF = sized(PPM // 2)
ALL = [ACTIVE, LIMIT_ONLY, HALF, sized(PPM // 4), PAUSED, REDUCE_ONLY, HALTED, KILLED]
modes_of_the_lattice = st.builds(
    Mode, st.sampled_from(Level), st.sampled_from([PPM, PPM // 2, PPM // 4]), st.booleans()
)


def test_each_level_says_what_it_allows() -> None:
    assert ALLOWED.keys() == set(Level)
    assert all(allowed.cancels for allowed in ALLOWED.values()), "a cancel always goes out"
    assert [level for level, allowed in ALLOWED.items() if not allowed.reduces] == [Level.KILLED]


def test_a_greater_level_allows_no_more_but_for_size_which_limits_how_much() -> None:
    stairs = [level for level in Level if level is not Level.SIZE]
    for lower, higher in pairwise(stairs):
        for right in ("takes", "rests", "reduces", "cancels"):
            assert getattr(ALLOWED[lower], right) >= getattr(ALLOWED[higher], right)


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        (ACTIVE, None, None),
        (LIMIT_ONLY, Level.LIMIT_ONLY, None),
        (HALF, None, None),
        (HALF.joined(LIMIT_ONLY), Level.LIMIT_ONLY, None),
        (PAUSED, Level.PAUSED, Level.PAUSED),
        (REDUCE_ONLY, Level.REDUCE_ONLY, Level.REDUCE_ONLY),
        (HALTED, Level.HALTED, Level.HALTED),
        (KILLED, Level.KILLED, Level.KILLED),
    ],
    ids=lambda value: value.words if isinstance(value, Mode) else "",
)
def test_increasing_orders(mode: Mode, taker: Level | None, maker: Level | None) -> None:
    assert mode.refuses(is_taker=True, is_reducing=False) == taker
    assert mode.refuses(is_taker=False, is_reducing=False) == maker


@pytest.mark.parametrize("mode", ALL, ids=lambda mode: mode.words)
@pytest.mark.parametrize("is_taker", [True, False])
def test_reducing_orders_pass_all_but_the_kill(mode: Mode, is_taker: bool) -> None:
    assert mode.refuses(is_taker, is_reducing=True) == (Level.KILLED if mode is KILLED else None)


def test_size_and_limit_only_hold_together() -> None:
    both = LIMIT_ONLY.joined(HALF)
    assert both == HALF.joined(LIMIT_ONLY) == Mode(Level.SIZE, PPM // 2, True)
    assert both.words == "SIZE(500000)+LIMIT_ONLY"
    assert both.describe() == (
        "SIZE(500000)+LIMIT_ONLY: new positions: by resting orders alone, at 500000 ppm of the usual size; "
        "reducing: yes; cancels: yes"
    )


def test_a_person_reads_what_is_still_allowed() -> None:
    assert ACTIVE.describe() == "ACTIVE: new positions: by any order; reducing: yes; cancels: yes"
    assert PAUSED.describe() == "PAUSED: new positions: no; reducing: yes; cancels: yes"
    assert KILLED.describe() == "KILLED: new positions: no; reducing: no; cancels: yes"


@given(modes_of_the_lattice, modes_of_the_lattice, modes_of_the_lattice)
def test_joining_is_a_join(one: Mode, two: Mode, three: Mode) -> None:
    assert one.joined(two) == two.joined(one)
    assert one.joined(two).joined(three) == one.joined(two.joined(three))
    assert one.joined(one) == one
    assert one.joined(ACTIVE) == one


@given(modes_of_the_lattice, modes_of_the_lattice, st.booleans(), st.booleans())
def test_a_join_lets_out_only_what_both_let_out(one: Mode, two: Mode, is_taker: bool, is_reducing: bool) -> None:
    refusals = [mode.refuses(is_taker, is_reducing) for mode in (one, two)]
    if one.joined(two).refuses(is_taker, is_reducing) is None:
        assert refusals == [None, None]
