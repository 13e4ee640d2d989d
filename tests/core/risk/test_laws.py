"""Laws of the breakers, over made-up days."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.core.accounts.invariants import high_violations
from agent.core.accounts.marks import Valuation
from agent.core.instruments import Side
from agent.core.risk.breakers import Breakers
from agent.core.risk.breakers.day_loss import DayLoss
from agent.core.risk.breakers.drawdown import Drawdown
from agent.core.risk.breakers.slippage import ONE_FP, Slippage
from agent.core.risk.modes import ACTIVE, Level, Mode
from agent.core.risk.profiles import PPM
from tests.core.risk.making import DAY_NS, SECOND_NS, book, restored, stamp, with_limits

SYMBOL = "X-Q"


@given(st.integers(1, 10**7), st.integers(1, 10**7), st.lists(st.integers(-(10**6), 10**6), max_size=8))
def test_no_flow_raises_the_value_of_a_unit(first: int, now: int, flows: list[int]) -> None:
    state = Drawdown()
    state.on_nav(first, True, 100_000, 0, 0)
    state.on_nav(now, True, 100_000, 0, 1)
    for atoms in flows:
        if state.nav_atoms + atoms <= 0:
            continue
        before = Fraction(state.nav_atoms, state.units)
        state.on_flow(atoms)
        assert Fraction(state.nav_atoms, state.units) <= before


@given(
    st.integers(1, 10**6),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 3 * SECOND_NS), st.booleans()), max_size=20),
)
def test_no_valid_mark_is_above_the_high(first: int, marks: list[tuple[int, int, bool]]) -> None:
    state = Drawdown()
    state.on_nav(first, True, 100_000, 0, 0)
    now_ns = 0
    for nav, gap_ns, is_valid in marks:
        now_ns += gap_ns
        high = Fraction(state.high_nav_atoms, state.high_units)
        state.on_nav(nav, is_valid, 100_000, 0, now_ns)
        assert Fraction(state.high_nav_atoms, state.high_units) >= high
        if is_valid:
            assert high_violations(state) == []


@given(st.integers(1, 10**6), st.lists(st.integers(-1_000, 1_000), max_size=6), st.integers(1, 10**6))
def test_the_days_loss_is_what_was_lost_whatever_came_and_went(start: int, flows: list[int], change: int) -> None:
    state = DayLoss()
    limit_ppm = 30_000
    state.on_nav(start, True, limit_ppm, 0)
    for atoms in flows:
        state.on_flow(atoms)
        assert state.loss_atoms == 0
    assert state.nav_atoms is not None
    trips = state.on_nav(state.nav_atoms - change, True, limit_ppm, 0)
    assert state.loss_atoms == change
    assert trips is (change * PPM >= limit_ppm * (start + sum(atoms for atoms in flows if atoms < 0)))
    assert trips is (change >= state.limit_atoms(limit_ppm))
    assert state.nav_ref_atoms <= min(start + sum(flows), state.nav_atoms)


orders = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 300), st.integers(-50, 50), st.integers(0, 1)), max_size=30
)


@given(orders)
def test_the_average_is_never_below_the_exact_one(entries: list[Any]) -> None:
    state, exact = Slippage(), None
    window: list[int] = []
    for number, (side, lots, off, odd) in enumerate(entries):
        middle = 20_000 + odd
        median = sorted(window)[(len(window) - 1) // 2] if window else 0
        window.append(lots)
        state.on_order(side, lots, lots * (10_000 + off), middle, 10**9, number)
        if 100 * lots >= median:
            slip = side.sign * Fraction(2 * (10_000 + off) - middle, middle) * PPM * ONE_FP
            exact = slip if exact is None else exact + (slip - exact) / 8
        if exact is not None:
            assert state.average_fp is not None
            assert 0 <= state.average_fp - exact < 9


happenings = st.lists(
    st.tuples(
        st.sampled_from(["nav", "stale", "flow", "episode", "order", "book", "day", "second", "hold", "release"]),
        st.integers(-40, 40),
    ),
    max_size=40,
)


def live(held: Breakers, what: str, figure: int, wall_ns: int, monotonic_ns: int) -> None:
    now = stamp(wall_ns, monotonic_ns)
    held.on_time(now)
    match what:
        case "nav":
            held.on_nav(Valuation(1_000_000 + 10_000 * figure), now)
        case "stale":
            held.on_nav(Valuation(1_000_000 + 10_000 * figure, (SYMBOL,)), now)
        case "flow":
            held.on_flow(1_000 * figure, now)
        case "episode":
            held.on_episode(figure, now)
        case "order":
            held.on_order_finished(SYMBOL, Side.BUY, 5, 5 * (10_000 + figure), 20_000, now)
        case "book":
            held.on_book(SYMBOL, book([(10_000 - abs(figure), 9)], [(10_001, 9)]), now)
        case "hold":
            held.hold("person", Mode(Level(abs(figure) % 7)), "", now, symbol=SYMBOL if figure > 0 else "")
        case "release":
            held.release("person", "", symbol=SYMBOL if figure > 0 else "")


def steps(entries: list[tuple[str, int]]) -> list[tuple[str, int, int, int]]:
    """With the wall clock and the monotonic one of each."""
    made, at_ns = [], 0
    for what, figure in entries:
        at_ns += {"day": DAY_NS, "second": abs(figure) * 10 * SECOND_NS}.get(what, SECOND_NS)
        made.append((what, figure, at_ns, at_ns))
    return made


@given(happenings)
def test_the_mode_is_always_the_join_of_all_holds(entries: list[tuple[str, int]]) -> None:
    held = Breakers(profile=with_limits(losses=2))
    for what, figure, wall_ns, monotonic_ns in steps(entries):
        live(held, what, figure, wall_ns, monotonic_ns)
        joined = ACTIVE
        for hold in held.holds.values():
            joined = joined.joined(hold.mode)
        assert held.mode() == joined
        for hold in held.symbol_holds.get(SYMBOL, {}).values():
            joined = joined.joined(hold.mode)
        assert held.mode(SYMBOL) == joined
        assert ("slippage" in held.symbol_holds.get(SYMBOL, {})) == (
            SYMBOL in held.slippage and held.slippage[SYMBOL].is_tripped
        )
        assert (held.day_loss.tripped_day is not None) == ("day_loss" in held.holds)
        assert (held.drawdown.rung > 0) == ("drawdown" in held.holds)
        assert (held.streak.pause is not None or held.streak.tripped_day is not None) == ("streak" in held.holds)


@given(happenings, st.integers(0, 40), st.integers(0, 10**15))
def test_a_restart_between_any_two_events_changes_nothing_that_follows(
    entries: list[tuple[str, int]], cut: int, new_clock_ns: int
) -> None:
    """But for what was seen in books, which are gone: so there are no books in this history."""
    script = [step for step in steps(entries) if step[0] != "book"]
    through = Breakers(profile=with_limits(losses=2))
    stopped = Breakers(profile=with_limits(losses=2))
    shift_ns = 0
    for number, (what, figure, wall_ns, monotonic_ns) in enumerate(script):
        if number == cut:
            stopped = restored(stopped)
            shift_ns = new_clock_ns - stopped.seen_ns
            stopped.on_restart(new_clock_ns)
        live(through, what, figure, wall_ns, monotonic_ns)
        live(stopped, what, figure, wall_ns, monotonic_ns + shift_ns)
        assert stopped.mode(SYMBOL) == through.mode(SYMBOL)
        assert stopped.holds.keys() == through.holds.keys()
        assert stopped.streak.count == through.streak.count
        assert stopped.loss_today_atoms == through.loss_today_atoms


@given(happenings)
def test_every_state_can_be_kept_and_brought_back(entries: list[tuple[str, int]]) -> None:
    held = Breakers(profile=with_limits(losses=2))
    for what, figure, wall_ns, monotonic_ns in steps(entries):
        live(held, what, figure, wall_ns, monotonic_ns)
    assert restored(held) == held
    assert msgspec.json.encode(restored(held)) == msgspec.json.encode(held)
