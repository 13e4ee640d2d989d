"""The order of things around the core: event written, stepped, effects written, effects out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agent.core.effects import Effect
from agent.core.effects.control import Alarm, ArmTimer, DisarmTimer
from agent.core.events import Event, Stamp
from agent.core.events.control import ClockStepped, TimerFired
from agent.engine.stepping import CLOCK_STEP_NS, CoreStopped, Stepper
from agent.engine.timers import Timers


class ScriptedClock:
    def __init__(self) -> None:
        self.monotonic = 100
        self.wall = 1_000

    def monotonic_ns(self) -> int:
        return self.monotonic

    def wall_ns(self) -> int:
        return self.wall


class Trace:
    """Core, journal and way out in one, so that the order of all calls is one list."""

    def __init__(self, answers: dict[str, tuple[Effect, ...]]) -> None:
        self.calls: list[tuple[str, str]] = []
        self.answers = answers
        self.stamps: list[Stamp] = []
        self.follow_up: Callable[[], None] = lambda: None
        self.fails_on = ""

    def event(self, event: Event, *, monotonic_ns: int, wall_ns: int) -> int:
        self.calls.append(("event", name_of(event)))
        return len(self.calls)

    def step(self, event: Event, stamp: Stamp) -> tuple[Effect, ...]:
        name = name_of(event)
        if name == self.fails_on:
            raise ZeroDivisionError("planted")
        self.stamps.append(stamp)
        self.calls.append(("step", name))
        return self.answers.get(name, ())

    def effects(self, effects: tuple[Effect, ...], *, monotonic_ns: int, wall_ns: int) -> None:
        self.calls.append(("effects", str(len(effects))))

    def act(self, effect: Effect, stamp: Stamp) -> None:
        assert isinstance(effect, Alarm)
        self.calls.append(("act", effect.subject))
        self.follow_up()


def name_of(event: Event) -> str:
    if isinstance(event, ClockStepped):
        return f"clock {event.by_ns}"
    assert isinstance(event, TimerFired)
    return event.name


def alarm(subject: str) -> Alarm:
    return Alarm("notice", "TEST", subject, "")


def stepper_of(trace: Trace, clock: ScriptedClock, broken: list[BaseException]) -> Stepper:
    return Stepper(trace, trace, clock, act=trace.act, on_broken=broken.append)


def test_nothing_leaves_before_its_record() -> None:
    trace = Trace({"a": (alarm("x"), alarm("y"))})
    stepper_of(trace, ScriptedClock(), []).take(TimerFired("a"), TimerFired("b"))
    assert trace.calls == [
        ("event", "a"),
        ("step", "a"),
        ("effects", "2"),
        ("act", "x"),
        ("act", "y"),
        ("event", "b"),
        ("step", "b"),
    ]


def test_what_an_effect_causes_is_stepped_after_the_step_is_whole() -> None:
    trace = Trace({"a": (alarm("x"), alarm("y"))})
    stepper = stepper_of(trace, ScriptedClock(), [])
    trace.follow_up = lambda: stepper.take(TimerFired("caused"))
    stepper.take(TimerFired("a"))
    assert [call for call in trace.calls if call[0] in ("act", "step")] == [
        ("step", "a"),
        ("act", "x"),
        ("act", "y"),
        ("step", "caused"),
        ("step", "caused"),
    ]


def test_a_clock_that_is_set_back_stands_still() -> None:
    trace, clock = Trace({}), ScriptedClock()
    stepper = stepper_of(trace, clock, [])
    stepper.take(TimerFired("a"))
    clock.wall, clock.monotonic = 10, 101
    stepper.take(TimerFired("b"))
    assert [stamp.wall_ns for stamp in trace.stamps] == [1_000, 1_000]
    assert stepper.last == trace.stamps[-1]


@pytest.mark.parametrize("by_ns", [CLOCK_STEP_NS + 1, -CLOCK_STEP_NS - 1])
def test_a_wall_clock_that_was_set_is_told_before_what_came_with_it(by_ns: int) -> None:
    trace, clock = Trace({}), ScriptedClock()
    clock.wall = 10 * CLOCK_STEP_NS
    stepper = stepper_of(trace, clock, [])
    stepper.take(TimerFired("a"))
    clock.monotonic += 7
    clock.wall += 7 + by_ns
    stepper.take(TimerFired("b"))
    clock.monotonic += 3 * CLOCK_STEP_NS
    clock.wall += 3 * CLOCK_STEP_NS + CLOCK_STEP_NS
    stepper.take(TimerFired("c"))
    assert [call for kind, call in trace.calls if kind == "step"] == ["a", f"clock {by_ns}", "b", "c"]


def test_after_a_failure_nothing_is_stepped() -> None:
    trace = Trace({})
    trace.fails_on = "bad"
    broken: list[BaseException] = []
    stepper = stepper_of(trace, ScriptedClock(), broken)
    with pytest.raises(ZeroDivisionError):
        stepper.take(TimerFired("bad"), TimerFired("never"))
    assert [str(error) for error in broken] == ["planted"]
    with pytest.raises(CoreStopped):
        stepper.take(TimerFired("later"))
    assert trace.calls == [("event", "bad")]


def test_timers_fire_once_by_name_and_never_early() -> None:
    async def run() -> list[str]:
        clock, fired = ScriptedClock(), list[str]()
        timers = Timers(asyncio.get_running_loop(), clock, fired.append)
        timers.arm(ArmTimer("gone", 100))
        timers.disarm(DisarmTimer("gone"))
        timers.arm(ArmTimer("twice", 100))
        timers.arm(ArmTimer("twice", 100))
        timers.arm(ArmTimer("early", 101))
        for _ in range(5):
            await asyncio.sleep(0)
        assert fired == ["twice"], "the clock has not reached the other"
        clock.monotonic = 101
        while len(timers):
            await asyncio.sleep(0)
        return fired

    assert asyncio.run(run()) == ["twice", "early"]
