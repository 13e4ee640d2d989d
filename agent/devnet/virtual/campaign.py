"""Many worlds, and what they showed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b

import msgspec

from agent.devnet.virtual.actions import draw_actions
from agent.devnet.virtual.faults import BY_NAME
from agent.devnet.virtual.planted import planted
from agent.devnet.virtual.profile import Name, draw
from agent.devnet.virtual.randomness import Streams
from agent.devnet.virtual.scenario import ACTIVE_NS, Outcome, Scenario
from agent.devnet.virtual.seams import Program
from agent.devnet.virtual.world import World


class Campaign(msgspec.Struct, kw_only=True):
    """The sum over seeds."""

    seeds: int = 0
    steps: int = 0
    virtual_ns: int = 0
    fired: dict[str, int] = {}
    """By fault."""
    cells: dict[str, int] = {}
    """By cell of the fault matrix."""
    reached: dict[str, int] = {}
    failures: list[Outcome] = []
    digest: str = ""
    """Over the digests of all seeds, in order."""

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.steps += outcome.steps
        self.virtual_ns += outcome.virtual_ns
        for name, count in outcome.fired.items():
            self.fired[name] = self.fired.get(name, 0) + count
            cell = BY_NAME[name].cell
            self.cells[cell] = self.cells.get(cell, 0) + count
        for state, count in outcome.reached.items():
            self.reached[state] = self.reached.get(state, 0) + count
        if outcome.violation is not None:
            self.failures.append(outcome)
        self.digest = blake2b((self.digest + outcome.digest).encode(), digest_size=16).hexdigest()


def scenario_of(seed: int, name: Name = "swarm") -> Scenario:
    """The world of a seed."""
    streams = Streams(seed)
    profile = draw(streams, name)
    return Scenario(seed=seed, profile=profile, actions=draw_actions(streams, profile, until_ns=ACTIVE_NS))


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """How soon the worlds find a planted bug."""

    name: str
    worlds: int
    """Worlds that were run."""
    found: int
    """Worlds that broke a law."""
    first: int | None
    """The seed of the first of them."""
    oracles: tuple[str, ...]
    """The laws that were broken."""


def find_bug(name: str, seeds: Iterable[int], program: Program, *, stop_at: int = 1) -> Detection:
    """Plant the bug and run worlds until `stop_at` of them have broken a law."""
    with planted(name):
        campaign = run_seeds(seeds, program, stop_at=stop_at)
    violations = [outcome.violation for outcome in campaign.failures if outcome.violation is not None]
    return Detection(
        name=name,
        worlds=campaign.seeds,
        found=len(campaign.failures),
        first=campaign.failures[0].seed if campaign.failures else None,
        oracles=tuple(dict.fromkeys(violation.oracle for violation in violations)),
    )


def run_seeds(
    seeds: Iterable[int],
    program: Program,
    *,
    name: Name = "swarm",
    stop_at: int | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Campaign:
    """Run each seed's world. Ends early when `stop_at` of them have failed."""
    campaign = Campaign()
    for seed in seeds:
        outcome = World(scenario_of(seed, name), program).run()
        campaign.add(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
        if stop_at is not None and len(campaign.failures) >= stop_at:
            break
    return campaign
