"""Walks every named crash point: one world for each, which dies there and has to come back with its books in order.

Theory of operation. A walk has a short world without faults, in which everything happens that an order path knows: orders,
cancels, amendments, signals, a fence, a lost connection, snapshots. It runs once without a death, and says which points a
process passes. Then it runs twice for each point, dying at one of the times that the point is passed, which is drawn: once
the process is killed there, once the machine goes off. With `durability = "process"` the loss of power may take the end
of the journal along, and then only the venue knows what was sent; the judges expect no more then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from agent.devnet.virtual.actions import Blow, CancelEverything, draw_actions
from agent.devnet.virtual.crashes import Crash
from agent.devnet.virtual.profile import Profile
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.scenario import Outcome, Scenario
from agent.devnet.virtual.seams import Program
from agent.devnet.virtual.world import NS_PER_S, World

ACTIVE_NS = 5 * NS_PER_S
DURABILITIES: tuple[Literal["process", "power"], ...] = ("process", "power")


class Stop(msgspec.Struct, frozen=True):
    """One point of a walk, and how the world went that died there."""

    scenario: Scenario
    outcome: Outcome
    has_struck: bool
    """Whether the process came by so often as the death was planned for."""


def walk_scenario(seed: int, durability: Literal["process", "power"]) -> Scenario:
    """The world of a walk, without a death."""
    streams = Streams(seed)
    profile = Profile(
        rates_ppm={"network.unsure_send": 50_000},
        durability=durability,
        latency_mean_ns=5_000_000,
        acks_tell_result=bool(seed % 2),
        has_snapshots=True,
        calls_per_s=40,
        pause_ns=100_000_000,
    )
    events = (
        CancelEverything(at_ns=2 * NS_PER_S),
        Blow(at_ns=3 * NS_PER_S, name="venue.restart", size_ppm=50_000),
        Blow(at_ns=4 * NS_PER_S, name="host.kill", size_ppm=0),
    )
    drawn = draw_actions(streams, profile, until_ns=ACTIVE_NS)
    actions = tuple(sorted((*drawn, *events), key=lambda action: action.at_ns))
    return Scenario(seed=seed, profile=profile, actions=actions, active_ns=ACTIVE_NS)


def points_of(scenario: Scenario, program: Program) -> dict[str, int]:
    """Every point that its processes pass, and how often, up to where the world heals. ValueError where a law is broken."""
    world = World(scenario, program)
    outcome = world.run(give_up_ns=scenario.active_ns)
    if outcome.violation is not None:
        raise ValueError(f"seed {scenario.seed} breaks {outcome.violation.oracle} without a death")
    return dict(sorted(world.points.passed.items()))


def deaths_of(seed: int, durability: Literal["process", "power"], program: Program) -> list[Scenario]:
    """The worlds of a walk: one dies at each point by a kill, and one by the loss of power."""
    scenario = walk_scenario(seed, durability)
    chance = Streams(seed)["crash"]
    return [
        msgspec.structs.replace(
            scenario, crash=Crash(point=point, nth=1 + chance.randrange(count), takes_power=takes_power)
        )
        for point, count in points_of(scenario, program).items()
        for takes_power in (False, True)
    ]


def die(scenario: Scenario, program: Program) -> Stop:
    """Run one of them."""
    world = World(scenario, program)
    return Stop(scenario, world.run(), world.points.has_struck)


def walk(seeds: Iterable[int], program: Program) -> Iterator[Stop]:
    """Every point of each seed's worlds, with each durability."""
    for seed in seeds:
        for durability in DURABILITIES:
            for scenario in deaths_of(seed, durability, program):
                yield die(scenario, program)
