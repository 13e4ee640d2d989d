"""Every named crash point of the order path is walked once, with every durability; the judges are those of the worlds."""

from __future__ import annotations

import re

import pytest

from agent.devnet.virtual.crash_walk import DURABILITIES, Stop, deaths_of, die, points_of, walk, walk_scenario
from agent.devnet.virtual.crashes import Crash, CrashPoints, PowerLost, ProcessDied
from agent.devnet.virtual.planted import planted
from agent.devnet.virtual.program import AgentProgram
from agent.devnet.virtual.scenario import Scenario

ORDER_PATH = re.compile(
    r"(before|behind) (the (record|effects) of (PlaceRequested|AmendRequested|OrderAck|Fill|SendResult|OpenOrders)"
    r"|the wire.*|Place|Amend|CancelAll|disk (sync of mvj|creation.*|renaming.*|sync of folder.*))"
)
"""Of an order, from the wish to what became of it, and of the files that hold it."""
EVENTS = (
    "AccountSnapshot", "AmendRequested", "Amended", "CancelReject", "CancelRequested", "Canceled", "FenceDone", "Fill",
    "OpenOrders", "OrderAck", "OrderStatus", "PlaceRequested", "ReplayDone", "RunStarted", "SendResult", "SessionDown",
    "SessionUp", "SignalIn", "TimerFired",
)  # fmt: skip
SENT = ("Amend", "CancelAll", "CancelOrder", "Place", "QueryAccount", "QueryOpen", "QueryStatus", "ReplayFrom")
DISK = (
    "creation of mvj", "creation of partial", "renaming to mvs", "store in mvj", "sync of folder journal", "sync of mvj",
    "sync of partial", "write to partial",
)  # fmt: skip
WALKED = 4


def broken(stop: Stop) -> str:
    crash = stop.scenario.crash
    return f"{stop.scenario.profile.durability} {crash}: {stop.outcome.violation}"


def test_a_walk_comes_by_every_part_of_the_order_path() -> None:
    for durability in DURABILITIES:
        points: set[str] = set()
        for seed in range(WALKED):
            points |= points_of(walk_scenario(seed, durability), AgentProgram()).keys()
        for where in ("before", "behind"):
            assert not {f"{where} the record of {event}" for event in EVENTS} - points
            assert not {f"{where} {sent}" for sent in SENT} - points
            assert not {f"{where} disk {call}" for call in DISK} - points
        assert {
            "before the wire takes Place",
            "behind the wire of Place",
            "before the effects of PlaceRequested",
        } <= points


@pytest.mark.parametrize("durability", DURABILITIES)
def test_the_order_path_is_walked_and_every_death_is_survived(durability: str) -> None:
    """The death that its durability is made for, at each point of one world."""
    takes_power = durability == "power"

    def is_walked(scenario: Scenario) -> bool:
        crash = scenario.crash
        return crash is not None and crash.takes_power is takes_power and bool(ORDER_PATH.fullmatch(crash.point))

    deaths = [one for one in deaths_of(0, "power" if takes_power else "process", AgentProgram()) if is_walked(one)]
    assert len(deaths) > 30
    for scenario in deaths:
        stop = die(scenario, AgentProgram())
        assert stop.has_struck, scenario.crash
        assert stop.outcome.violation is None, broken(stop)


@pytest.mark.leisure
@pytest.mark.slow
def test_every_point_of_several_worlds_is_walked_with_every_death_and_durability() -> None:
    points, count = set(), 0
    for stop in walk(range(WALKED), AgentProgram()):
        assert stop.has_struck, stop.scenario.crash
        assert stop.outcome.violation is None, broken(stop)
        assert stop.scenario.crash is not None
        points.add(stop.scenario.crash.point)
        count += 1
    assert count > 400 * WALKED
    assert len(points) > 120


@pytest.mark.parametrize(
    ("bug", "durability", "point"),
    [
        ("effect-before-journal", "process", r"before the effects of PlaceRequested|behind the wire of Place"),
        ("sync-not-awaited", "power", r"behind Place"),
    ],
)
def test_a_walk_finds_what_it_is_made_for(bug: str, durability: str, point: str) -> None:
    """At the point where it must show, whichever of the times that the point is passed."""
    with planted(bug):
        deaths = [
            scenario
            for seed in range(6)
            for scenario in deaths_of(seed, "power" if durability == "power" else "process", AgentProgram())
            if scenario.crash is not None
            and re.fullmatch(point, scenario.crash.point)
            and scenario.crash.takes_power is (durability == "power")
        ]
        outcomes = [die(scenario, AgentProgram()).outcome.violation for scenario in deaths]
    assert "O6" in {violation.oracle for violation in outcomes if violation is not None}


def test_a_dead_process_does_nothing_on_its_way_out() -> None:
    points = CrashPoints(Crash(point="here", nth=2))
    points.at("here")
    with pytest.raises(ProcessDied, match="here"):
        points.at("here")
    assert points.has_struck
    with pytest.raises(ProcessDied, match="here"):
        points.at("there")
    points.clear()
    points.at("here")
    assert points.passed == {"here": 3}


def test_a_loss_of_power_is_a_death_of_its_own() -> None:
    with pytest.raises(PowerLost):
        CrashPoints(Crash(point="here", takes_power=True)).at("here")
