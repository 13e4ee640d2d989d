"""The best compatible set, against looking at every subset."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.eth.units import Address
from agent.strategies.arb.select import EXACT_UP_TO, best_compatible

Candidate = tuple[frozenset[Address], int]
candidates = st.tuples(
    st.frozensets(st.integers(0, 9).map(lambda i: Address(bytes([i]) * 20)), min_size=1, max_size=3),
    st.integers(-5, 100),
)


def best_by_force(rows: list[Candidate]) -> int:
    best = 0
    for size in range(1, len(rows) + 1):
        for subset in itertools.combinations(rows, size):
            pools = [pool for row in subset for pool in row[0]]
            if len(pools) == len(set(pools)):
                best = max(best, sum(row[1] for row in subset))
    return best


@given(st.lists(candidates, max_size=9))
def test_small_sets_are_exact(rows: list[Candidate]) -> None:
    found = best_compatible([row[0] for row in rows], [row[1] for row in rows])
    assert found.value == found.upper_bound == best_by_force(rows)
    assert sum(rows[i][1] for i in found.chosen) == found.value
    assert all(rows[i][1] > 0 for i in found.chosen)
    taken = [pool for i in found.chosen for pool in rows[i][0]]
    assert len(taken) == len(set(taken))


@settings(max_examples=25, deadline=None)
@given(st.lists(candidates, min_size=EXACT_UP_TO + 20, max_size=EXACT_UP_TO + 30))
def test_large_sets_are_compatible_and_bounded(rows: list[Candidate]) -> None:
    found = best_compatible([row[0] for row in rows], [row[1] for row in rows])
    taken = [pool for i in found.chosen for pool in rows[i][0]]
    assert len(taken) == len(set(taken))
    assert found.value <= found.upper_bound
    # The bound holds for any compatible subset, so for the exact best of every part that can be solved.
    for start in range(0, len(rows) - 12, 12):
        part = rows[start : start + 12]
        exact = best_compatible([row[0] for row in part], [row[1] for row in part])
        assert exact.value <= found.upper_bound


def test_two_smaller_ones_beat_the_large_one_they_exclude() -> None:
    a, b = (Address(bytes([i]) * 20) for i in (1, 2))
    found = best_compatible([{a, b}, {a}, {b}], [10, 6, 6])
    assert found.chosen == (1, 2)
    assert best_compatible([], []) == ((), 0, 0)


def test_of_equal_values_the_earlier_is_taken() -> None:
    a = Address(bytes([1]) * 20)
    assert best_compatible([{a}, {a}], [5, 5]).chosen == (0,)


def test_the_worst_case_still_ends_quickly() -> None:
    # A ring: each shares a pool with its neighbours, all worth about the same.
    pools = [{Address(bytes([i]) * 20), Address(bytes([(i + 1) % EXACT_UP_TO]) * 20)} for i in range(EXACT_UP_TO)]
    found = best_compatible(pools, [100 + i % 2 for i in range(EXACT_UP_TO)])
    assert found.value == 101 * EXACT_UP_TO // 2
