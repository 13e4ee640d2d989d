"""What the checks count: equal orders of a moment, and entries without a sign of life."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.core.instruments import Side
from agent.core.risk.recent import (
    DUPLICATE_WINDOW_NS,
    MAX_RECENT,
    DuplicateWindow,
    OrderKey,
    RecentOrders,
    RepeatThrottle,
)

KEY: OrderKey = ("maker", "BTC-USDC", Side.BUY, 100, 5)


def test_an_equal_order_counts_for_a_tenth_of_a_second() -> None:
    window = DuplicateWindow()
    window.add(KEY, 1_000)
    window.add(KEY, 1_001)
    assert window.count(KEY, 100_001_000) == 2
    assert window.count(KEY, 100_001_001) == 1
    assert window.count(KEY, 100_001_002) == 0


def test_orders_that_differ_in_anything_are_not_equal() -> None:
    window = DuplicateWindow()
    window.add(KEY, 0)
    others: list[OrderKey] = [
        ("taker", *KEY[1:]),
        ("maker", "ETH-USDC", *KEY[2:]),
        (*KEY[:2], Side.SELL, *KEY[3:]),
        (*KEY[:3], 101, 5),
        (*KEY[:4], 6),
    ]
    assert [window.count(other, 0) for other in others] == [0] * 5
    assert window.count(KEY, 0) == 1


@given(st.lists(st.tuples(st.integers(0, DUPLICATE_WINDOW_NS // 2), st.integers(1, 3)), max_size=60))
def test_the_count_is_that_of_the_whole_history(steps: list[tuple[int, int]]) -> None:
    """And a window that is restored from its state goes on counting the same."""
    window, history, now = DuplicateWindow(), [], 0
    for wait_ns, price in steps:
        now += wait_ns
        key = (*KEY[:3], price, 5)
        expected = sum(1 for at, other in history if other == key and now - at <= DUPLICATE_WINDOW_NS)
        restored = DuplicateWindow(msgspec.json.decode(msgspec.json.encode(window.state), type=RecentOrders))
        assert restored.count(key, now) == window.count(key, now) == expected
        window.add(key, now)
        history.append((now, key))


def test_what_cannot_be_remembered_is_refused() -> None:
    window = DuplicateWindow(RecentOrders([0] * MAX_RECENT, [KEY] * MAX_RECENT))
    assert window.count((*KEY[:4], 6), 0) == MAX_RECENT
    assert window.count((*KEY[:4], 6), DUPLICATE_WINDOW_NS + 1) == 0


def test_a_start_forgets_the_window() -> None:
    window = DuplicateWindow()
    window.add(KEY, 10**15)
    window.begin()
    assert window.count(KEY, 0) == 0
    assert window.state == RecentOrders()


def test_entries_count_by_strategy_and_side_until_it_beats() -> None:
    throttle = RepeatThrottle()
    for _ in range(3):
        throttle.add("maker", Side.SELL)
    throttle.add("taker", Side.SELL)
    assert throttle.count("maker", Side.SELL) == 3
    assert throttle.count("maker", Side.BUY) == 0
    throttle.beat("maker")
    throttle.beat("nobody")
    assert throttle.count("maker", Side.SELL) == 0
    assert throttle.count("taker", Side.SELL) == 1
