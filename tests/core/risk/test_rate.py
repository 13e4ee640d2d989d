"""The rate queue: tokens to the nanosecond, reducing orders first, and nothing sent after a cut."""

from __future__ import annotations

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.codes import Code
from agent.core.instruments import Side
from agent.core.risk.profiles import CONSERVATIVE, STANDARD
from agent.core.risk.rate import OTHER, REDUCING, TOKEN_NANO, Bucket, RateQueue, Waiting
from tests.core.risk.making import SECOND_NS

MS = 1_000_000


def queue_of(rate: int = 10, *, tokens: int | None = None) -> RateQueue:
    queue = RateQueue.start(msgspec.structs.replace(CONSERVATIVE, orders_per_s=rate), 0)
    if tokens is not None:
        queue.orders.tokens_nano = tokens * TOKEN_NANO
    return queue


def submit(queue: RateQueue, id_: str, now_ns: int = 0, *, is_reducing: bool = False, touch: int = 100) -> Code | bool:
    return queue.submit(id_, symbol="X-Q", side=Side.BUY, is_reducing=is_reducing, touch_ticks=touch, now_ns=now_ns)


def admit(waiting: Waiting, at_ns: int) -> None:
    return None


def test_an_order_that_is_refused_at_its_release_leaves_its_token_to_the_next() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a"), submit(queue, "b")
    outcomes = queue.run(100 * MS, lambda order, at_ns: Code.STALE_DATA if order.id == "a" else None)
    assert [(o.id, o.reason, o.at_ns) for o in outcomes] == [("a", Code.STALE_DATA, 100 * MS), ("b", None, 100 * MS)]
    assert queue.orders.tokens_nano == 0


def test_a_reducing_order_that_waits_is_released_before_older_ones() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a"), submit(queue, "b"), submit(queue, "r", is_reducing=True)
    assert [o.id for o in queue.run(200 * MS, admit)] == ["r", "a"]


def test_a_token_at_the_instant_an_order_ends_comes_too_late_for_it() -> None:
    queue = queue_of(4, tokens=0)
    submit(queue, "a")
    assert queue.orders.ready_ns() == queue.other[0].deadline_ns == 250 * MS
    assert [(o.reason, o.at_ns) for o in queue.run(250 * MS, admit)] == [(Code.QUEUE_TTL, 250 * MS)]
    assert queue.orders.tokens_nano == TOKEN_NANO


def test_a_full_queue_refuses_whatever_the_class() -> None:
    queue = queue_of(2, tokens=0)
    submit(queue, "a"), submit(queue, "b")
    assert submit(queue, "c", is_reducing=True) is Code.QUEUE_FULL


def test_without_a_price_the_touch_has_moved() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a", touch=100)
    waiting = queue.other[0]
    moved = {touch: queue.has_touch_moved(waiting, touch) for touch in (0, 97, 98, 102, 103)}
    assert moved == {0: True, 97: True, 98: False, 102: False, 103: True}
    cheap = msgspec.structs.replace(waiting, touch_ticks=1)
    assert queue.has_touch_moved(cheap, 0) and not queue.has_touch_moved(cheap, 1)


def test_a_waiting_order_can_be_withdrawn() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a"), submit(queue, "r", is_reducing=True)
    assert queue.withdraw("r") and queue.withdraw("a") and not queue.withdraw("a")
    assert queue.length == 0 and queue.next_deadline_ns() is None


def test_the_next_deadline_is_the_token_or_the_end_of_an_order_whichever_comes_first() -> None:
    queue = queue_of(2, tokens=0)
    submit(queue, "a")
    assert queue.next_deadline_ns() == 250 * MS
    queue = queue_of(10, tokens=0)
    submit(queue, "a")
    assert queue.next_deadline_ns() == 100 * MS


def test_a_cut_denies_all_that_waits() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a"), submit(queue, "r", is_reducing=True)
    assert [(o.id, o.reason) for o in queue.on_disconnect(MS)] == [("r", Code.NOT_LIVE), ("a", Code.NOT_LIVE)]
    assert queue.run(SECOND_NS, admit) == []


def test_a_restart_refills_nothing_and_sends_nothing() -> None:
    queue = queue_of(10, tokens=3)
    queue.cancels.tokens_nano = 5
    again = msgspec.json.decode(msgspec.json.encode(queue), type=RateQueue)
    again.on_restart(10**15)
    assert again.orders.tokens_nano == 3 * TOKEN_NANO
    again.run(10**15 + 1, admit)
    assert again.orders.tokens_nano == 3 * TOKEN_NANO + 10
    assert again.take_cancel(10**15) == (TOKEN_NANO - 5 + 19) // 20


def test_the_venues_own_limit_counts_where_it_is_smaller_less_a_fifth_for_cancels() -> None:
    queue = RateQueue.start(STANDARD, 0)
    queue.adopt(STANDARD, 0, venue_orders_per_s=31, venue_cancels_per_s=40)
    assert (queue.orders.per_s, queue.cancels.per_s) == (24, 40)
    assert queue.orders.tokens_nano == 24 * TOKEN_NANO
    queue.adopt(STANDARD, 0, venue_orders_per_s=1, venue_cancels_per_s=1_000)
    assert (queue.orders.per_s, queue.cancels.per_s) == (1, 100)
    queue.adopt(STANDARD, 0, venue_orders_per_s=10_000)
    assert (queue.orders.per_s, queue.cancels.per_s) == (50, 100)
    assert queue.orders.tokens_nano == TOKEN_NANO, "a higher rate brings no tokens at once"


def test_each_limit_of_the_venue_counts_alone_and_leaves_at_least_one() -> None:
    queue = RateQueue.start(STANDARD, 0)
    queue.adopt(STANDARD, 0, venue_orders_per_s=60)
    assert (queue.orders.per_s, queue.cancels.per_s) == (48, 100), "exactly four fifths"
    queue.adopt(STANDARD, 0, venue_cancels_per_s=1)
    assert (queue.orders.per_s, queue.cancels.per_s) == (50, 1)


def test_a_waiting_order_knows_its_class_its_end_and_what_it_was_decided_against() -> None:
    queue = queue_of(tokens=0)
    submit(queue, "a"), submit(queue, "r", MS, is_reducing=True, touch=99)
    assert queue.other == [Waiting("a", "X-Q", Side.BUY, OTHER, 250 * MS, 100)]
    assert queue.reducing == [Waiting("r", "X-Q", Side.BUY, REDUCING, 251 * MS, 99)]


def test_the_second_look_is_at_the_instant_of_the_release() -> None:
    queue, asked = queue_of(tokens=0), []
    submit(queue, "a"), submit(queue, "b")
    queue.run(230 * MS, lambda order, at_ns: asked.append((order.id, at_ns)))
    assert asked == [("a", 100 * MS), ("b", 200 * MS)]


def test_an_order_ends_with_its_signal_where_that_is_sooner() -> None:
    ends = {}
    for expires_ns in (None, 249 * MS, 250 * MS, 251 * MS):
        queue = queue_of(tokens=0)
        queue.submit(
            "a", symbol="X-Q", side=Side.BUY, is_reducing=False, touch_ticks=1, now_ns=0, expires_ns=expires_ns
        )
        ends[expires_ns] = queue.other[0].deadline_ns
    assert ends == {None: 250 * MS, 249 * MS: 249 * MS, 250 * MS: 250 * MS, 251 * MS: 250 * MS}


@example(rate=7, tokens=TOKEN_NANO - 1, now_ns=3)
@example(rate=7, tokens=TOKEN_NANO, now_ns=3)
@given(st.integers(1, 300), st.integers(0, 3 * TOKEN_NANO), st.integers(0, 2**62))
def test_the_first_instant_with_a_token_is_exact_at_any_time_of_the_clock(rate: int, tokens: int, now_ns: int) -> None:
    ready_ns = Bucket(rate, tokens, now_ns).ready_ns()
    assert ready_ns >= now_ns
    assert Bucket(rate, tokens, now_ns).take(ready_ns) == 0
    assert ready_ns == now_ns or Bucket(rate, tokens, now_ns).take(ready_ns - 1) == 1
    assert type(ready_ns) is int


@given(st.integers(1, 300), st.lists(st.integers(0, 300 * MS), min_size=1, max_size=60))
def test_tokens_are_never_negative_and_no_window_passes_more_than_the_rate_and_a_full_bucket(
    rate: int, gaps: list[int]
) -> None:
    bucket = Bucket(rate, rate * TOKEN_NANO, 0)
    now_ns, sent = 0, []
    for gap in gaps:
        now_ns += gap
        wait_ns = bucket.take(now_ns)
        assert 0 <= bucket.tokens_nano <= rate * TOKEN_NANO
        if wait_ns == 0:
            sent.append(now_ns)
        else:
            early = msgspec.structs.replace(bucket)
            assert early.take(now_ns + wait_ns - 1) > 0
            assert bucket.take(now_ns + wait_ns) == 0, "the instant that was named is exact"
            now_ns += wait_ns
            sent.append(now_ns)
    for first, start_ns in enumerate(sent):
        for last in range(first, len(sent)):
            assert (last - first + 1) * TOKEN_NANO <= rate * TOKEN_NANO + rate * (sent[last] - start_ns)


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 120 * MS), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 7),
)
def test_the_queue_does_the_same_however_often_it_is_run(
    rate: int, orders: list[tuple[int, bool]], between: int
) -> None:
    """Stepping at more instants than needed changes no outcome: releases are at exact times, not at wake-ups."""

    def play(steps: int) -> dict[str, tuple[Code | None, int]]:
        queue, now_ns = queue_of(rate), 0
        got: dict[str, tuple[Code | None, int]] = {}
        for number, (gap, is_reducing) in enumerate(orders):
            for step in range(1, steps + 1):
                for outcome in queue.run(now_ns + gap * step // steps, admit):
                    got[outcome.id] = outcome.reason, outcome.at_ns
            now_ns += gap
            answer = submit(queue, str(number), now_ns, is_reducing=is_reducing)
            if answer is not False:
                got[str(number)] = answer if isinstance(answer, Code) else None, now_ns
        for outcome in queue.run(now_ns + SECOND_NS, admit):
            got[outcome.id] = outcome.reason, outcome.at_ns
        return got

    once = play(1)
    assert len(once) == len(orders), "each order has an outcome"
    assert play(between) == once
