"""When the agent must be stopped: each kind of bad evidence, at its edge, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.orders.ids import encoded
from agent.guard.protocol import NO_VENUE, Beat, Bye, Hello
from agent.guard.truth import Truth
from agent.guard.watch import FROZEN_BEATS, Watch, WatchLimits

MS = 1_000_000
BUILD = bytes(16)
LIMITS = WatchLimits(max_exposure=1_000, max_day_loss=500, max_orders_per_s=10, max_venue_age_ms=400, exec_lag_ms=5_000)


class Run:
    """A run that goes well until a test changes one thing; time in ms."""

    def __init__(self, limits: WatchLimits = LIMITS) -> None:
        self.watch = Watch(limits)
        self.watch.arm(Hello(run_epoch=3, event_seq=0, digest=b"0" * 16, build=BUILD, run="r"), 0)
        self.seq = 0
        self.ms = 0

    def beat(self, *, after_ms: int = 50, word: tuple[int, int] | None = None, **changes: Any) -> Any:
        self.ms += after_ms
        self.seq += 1
        fields: dict[str, Any] = {
            "run_epoch": 3,
            "seq": self.seq,
            "monotonic_ns": self.ms * MS,
            "event_seq": self.seq * 2,
            "event_crc": self.seq,
            "digest": self.seq.to_bytes(16),
            "exec_seq": 0,
            "next_order": 5,
            "mode": "normal",
            "nav": 0,
            "day_loss": 0,
            "exposure": 0,
            "orders_last_second": 0,
            "venue_age_ms": 10,
            "build": BUILD,
        }
        beat = Beat(**(fields | changes))
        return self.watch.on_beat(beat, word or (beat.event_seq, beat.event_crc), self.ms * MS)

    def code(self) -> str | None:
        return self.watch.trip.code if self.watch.trip else None


@pytest.fixture
def run() -> Iterator[Run]:
    yield Run()


def test_good_beats_trip_nothing_for_a_long_time(run: Run) -> None:
    for _ in range(1_000):
        assert run.beat() is None
        assert run.watch.on_time(run.ms * MS) is None


@pytest.mark.parametrize(("silent_ms", "code"), [(249, None), (250, None), (251, "silent")])
def test_silence_is_an_agent_that_hangs(run: Run, silent_ms: int, code: str | None) -> None:
    run.beat()
    run.watch.on_time((run.ms + silent_ms) * MS)
    assert run.code() == code


def test_an_agent_that_never_beats_after_its_hello_trips(run: Run) -> None:
    run.watch.on_time(251 * MS)
    assert run.code() == "silent"


def test_a_beat_that_lay_in_the_socket_proves_nothing_about_now(run: Run) -> None:
    run.beat()
    run.ms += 1_000
    run.seq += 1
    stale = run.watch.last_beat._replace(seq=2, event_seq=4, event_crc=2, digest=b"2" * 16, monotonic_ns=60 * MS)  # type: ignore[union-attr]
    assert run.watch.on_beat(stale, (4, 2), run.ms * MS) is None
    assert run.watch.on_time(run.ms * MS) is not None


@pytest.mark.parametrize("beats", [FROZEN_BEATS - 1, FROZEN_BEATS])
def test_a_core_that_stands_still_while_beats_go_on(run: Run, beats: int) -> None:
    run.beat(event_seq=100, digest=b"d" * 16)
    for _ in range(beats):
        run.beat(event_seq=100, event_crc=1, digest=b"d" * 16, word=(100, 1))
    assert run.code() == ("frozen" if beats == FROZEN_BEATS else None)


def test_a_claimed_step_that_the_core_never_completed(run: Run) -> None:
    run.beat()
    for _ in range(FROZEN_BEATS):
        run.beat(word=(2, 1))
    assert run.code() == "progress"


def test_a_beat_from_inside_its_step_may_be_one_ahead_of_the_word(run: Run) -> None:
    for _ in range(50):
        run.beat(word=((run.seq + 1) * 2 - 1, 0))
    assert run.code() is None


def test_two_records_for_one_event(run: Run) -> None:
    run.beat(word=(2, 99))
    assert run.code() == "progress"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"seq": 1}, "beat_sequence"),
        ({"seq": 3}, "beat_sequence"),
        ({"run_epoch": 4}, "epoch"),
        ({"build": b"x" * 16}, "build"),
        ({"event_seq": 1}, "event_sequence"),
        ({"monotonic_ns": 10 * MS}, "beat_time"),
        ({"monotonic_ns": 900 * MS}, "beat_time"),
        ({"event_seq": 2, "event_crc": 1, "digest": b"new" + bytes(13)}, "digest"),
        ({"exposure": 1_099}, None),
        ({"exposure": 1_100}, "exposure"),
        ({"day_loss": 549}, None),
        ({"day_loss": 550}, "day_loss"),
        ({"orders_last_second": 15}, None),
        ({"orders_last_second": 16}, "order_rate"),
    ],
)
def test_the_second_beat_lies(run: Run, changes: dict[str, Any], code: str | None) -> None:
    run.beat()
    run.beat(**changes)
    assert run.code() == code


def test_a_digest_that_stands_still_while_events_come(run: Run) -> None:
    for _ in range(39):
        run.beat(digest=b"d" * 16)
    assert run.code() is None
    for _ in range(5):
        run.beat(digest=b"d" * 16)
    assert run.code() == "digest"


@pytest.mark.parametrize(
    ("truth", "code"),
    [
        ({"exposure": 1_099, "day_loss": 549, "busiest_second": 15}, None),
        ({"exposure": 1_100}, "exposure"),
        ({"day_loss": 550}, "day_loss"),
        ({"busiest_second": 16}, "order_rate"),
        ({"exposure": None, "day_loss": None}, None),
    ],
)
def test_what_the_venue_says_counts_whatever_the_agent_says(run: Run, truth: dict[str, Any], code: str | None) -> None:
    run.beat()
    run.watch.on_truth(Truth(0, (), True, **truth), run.ms * MS)
    assert run.code() == code


def test_executions_that_the_agent_does_not_hear_of(run: Run) -> None:
    run.beat()
    run.watch.on_truth(Truth(9, (), True), run.ms * MS)
    for _ in range(100):
        run.beat(exec_seq=8)
        run.watch.on_time(run.ms * MS)
    assert run.code() is None
    run.beat(exec_seq=8)
    run.watch.on_time(run.ms * MS)
    assert run.code() == "execution_lag"


def test_an_agent_that_hears_of_everything_a_little_later_is_not_behind(run: Run) -> None:
    for second in range(1, 60):
        run.watch.on_truth(Truth(10 * second, (), True), run.ms * MS)
        for _ in range(20):
            run.beat(exec_seq=10 * second - 3 if _ < 10 else 10 * second + 1)
            run.watch.on_time(run.ms * MS)
    assert run.code() is None


def test_an_agent_that_catches_up_is_not_behind(run: Run) -> None:
    run.beat()
    run.watch.on_truth(Truth(9, (), True), run.ms * MS)
    for _ in range(200):
        run.beat(exec_seq=9)
        run.watch.on_truth(Truth(9, (), True), run.ms * MS)
        run.watch.on_time(run.ms * MS)
    assert run.code() is None


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (encoded(3, 4), True),
        (encoded(2, 10**6), True),
        (encoded(3, 5), False),
        (encoded(4, 0), False),
        ("manual-1", False),
        (encoded(3, 4).upper(), False),
        (encoded(3, 4)[:-1] + "b", False),
    ],
)
def test_an_order_that_this_agent_never_issued(run: Run, name: str, is_ours: bool) -> None:
    run.beat()
    for _ in range(2):
        assert run.code() is None
        run.watch.on_truth(Truth(0, (name,), True), run.ms * MS)
    assert run.code() == (None if is_ours else "unknown_order")


def test_an_order_younger_than_its_beat_is_forgiven(run: Run) -> None:
    run.beat()
    run.watch.on_truth(Truth(0, (encoded(3, 5),), True), run.ms * MS)
    run.beat(next_order=6)
    run.watch.on_truth(Truth(0, (encoded(3, 5),), True), run.ms * MS)
    assert run.code() is None


def test_the_shield_goes_up_when_the_venue_is_lost_and_not_without_a_venue(run: Run) -> None:
    run.beat(venue_age_ms=400)
    assert not run.watch.wants_shield
    run.beat(venue_age_ms=401)
    assert run.watch.wants_shield
    run.beat(venue_age_ms=NO_VENUE)
    assert not run.watch.wants_shield
    assert run.code() is None


def test_after_a_good_bye_silence_is_allowed_and_orders_are_not(run: Run) -> None:
    run.beat()
    assert run.watch.on_bye(Bye(3, 2)) is None
    assert run.watch.on_time(10_000 * MS) is None
    assert run.watch.on_process_gone() is None
    assert run.watch.on_socket_closed() is None
    run.watch.on_truth(Truth(0, ("by-hand",), True), 0)
    assert run.code() is None
    run.watch.on_truth(Truth(0, (encoded(3, 4),), True), 0)
    assert run.code() == "orders_left"


@pytest.mark.parametrize("bye", [Bye(3, 1), Bye(3, 3), Bye(2, 2)])
def test_a_good_bye_of_another_run_or_time_is_none(run: Run, bye: Bye) -> None:
    run.beat()
    run.watch.on_bye(bye)
    assert run.code() == "beat_sequence"


@pytest.mark.parametrize("what", ["on_process_gone", "on_socket_closed"])
def test_an_end_without_a_good_bye(run: Run, what: str) -> None:
    assert getattr(run.watch, what)() is not None


def test_nothing_takes_a_trip_back_and_it_is_told_once(run: Run) -> None:
    assert run.watch.on_process_gone() is not None
    assert run.watch.on_process_gone() is None
    assert run.watch.stop("asked", "by a person") is None
    assert run.code() == "process_gone"
    assert run.beat() is None
    assert run.watch.on_bye(Bye(3, 1)) is None
    assert run.watch.state == "tripped"
    with pytest.raises(RuntimeError):
        run.watch.arm(Hello(4, 0, b"", BUILD, "r"), 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("beat"), st.integers(0, 300)),
            st.tuples(st.just("time"), st.integers(0, 300)),
        ),
        max_size=60,
    )
)
def test_it_trips_exactly_when_a_look_finds_the_last_beat_too_old(moves: list[tuple[str, int]]) -> None:
    run = Run()
    last_ms = 0
    for what, ms in moves:
        if what == "beat":
            run.beat(after_ms=ms)
            last_ms = run.ms
        else:
            run.ms += ms
            run.watch.on_time(run.ms * MS)
            if run.ms - last_ms > 250:
                assert run.code() == "silent"
                return
        assert run.code() is None
