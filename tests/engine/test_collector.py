"""A run's collector: frozen and slow to look while it runs, and as it was before afterwards."""

from __future__ import annotations

import gc

import pytest

from agent.engine.collector import MIDDLE, OLD, YOUNG, quiet_collector


def test_it_leaves_what_was_there_out_of_sight_and_sets_everything_back() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    kept = [[] for _ in range(1_000)]
    with pytest.raises(KeyError), quiet_collector():
        assert gc.get_threshold() == (YOUNG, MIDDLE, OLD)
        assert gc.get_freeze_count() > frozen + len(kept)
        assert not any(one is kept for one in gc.get_objects())
        raise KeyError
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_cycles_that_a_run_makes_are_still_collected() -> None:
    with quiet_collector():
        for _ in range(YOUNG * MIDDLE):
            cycle: list[object] = []
            cycle.append(cycle)
        assert gc.get_count()[0] < YOUNG * MIDDLE
        assert sum(type(one) is list and one[:1] == [one] for one in gc.get_objects()) <= 2 * YOUNG
