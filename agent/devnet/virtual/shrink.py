"""A failing world made small: fewer actions, then fewer faults, then even wires.

Theory of operation. Actions are left out by delta debugging (Zeller and Hildebrandt, IEEE TSE 28(2), 2002): a half, a
quarter, and so on, as long as the same law is broken. Because each fault draws from a stream of its own, leaving out an
action or a fault does not change what the others do, but for how often they are asked.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.devnet.virtual.link import NS_PER_MS
from agent.devnet.virtual.scenario import Outcome, Scenario
from agent.devnet.virtual.seams import Program
from agent.devnet.virtual.world import World

RUNS_MAX = 400
GIVE_UP_BEHIND_NS = 2_000 * NS_PER_MS


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest scenario found, how it fails, and how many worlds it took."""

    scenario: Scenario
    outcome: Outcome
    runs: int


def shrink(scenario: Scenario, program: Program, *, runs_max: int = RUNS_MAX) -> Shrunk:
    """Make it smaller while the same oracle speaks. Raises ValueError for a scenario that does not fail."""
    return _Shrinker(program, runs_max).shrink(scenario)


class _Shrinker:
    def __init__(self, program: Program, runs_max: int) -> None:
        self._program = program
        self._left = runs_max
        self._runs = 0
        self._oracle = ""
        self._give_up_ns: int | None = None

    def shrink(self, scenario: Scenario) -> Shrunk:
        outcome = self._run(scenario)
        if outcome.violation is None:
            raise ValueError(f"seed {scenario.seed} breaks no law")
        self._oracle, at_ns = outcome.violation.oracle, outcome.violation.at_ns
        if at_ns < scenario.active_ns:
            # What is found while the world still acts is found about then or not at all: no need to watch it settle.
            self._give_up_ns = at_ns + GIVE_UP_BEHIND_NS
            scenario = self._without_what_came_later(scenario, at_ns)
        for step in (self._fewer_faults, self._fewer_actions, self._milder_faults, self._even_wires):
            scenario = step(scenario)
        return Shrunk(scenario=scenario, outcome=self._run(scenario), runs=self._runs)

    def _run(self, scenario: Scenario) -> Outcome:
        self._runs += 1
        self._left -= 1
        return World(scenario, self._program).run(give_up_ns=self._give_up_ns)

    def _still_fails(self, scenario: Scenario) -> bool:
        if self._left <= 0:
            return False
        violation = self._run(scenario).violation
        return violation is not None and violation.oracle == self._oracle

    def _without_what_came_later(self, scenario: Scenario, at_ns: int) -> Scenario:
        earlier = tuple(action for action in scenario.actions if action.at_ns <= at_ns)
        smaller = msgspec.structs.replace(scenario, actions=earlier)
        return smaller if self._still_fails(smaller) else scenario

    def _fewer_actions(self, scenario: Scenario) -> Scenario:
        actions = scenario.actions
        parts = 2
        while len(actions) >= 1 and self._left > 0:
            size = -(-len(actions) // parts)
            for start in range(0, len(actions), size):
                fewer = actions[:start] + actions[start + size :]
                smaller = msgspec.structs.replace(scenario, actions=fewer)
                if self._still_fails(smaller):
                    scenario, actions = smaller, fewer
                    parts = max(2, parts - 1)
                    break
            else:
                if size == 1:
                    break
                parts = min(len(actions), parts * 2)
        return scenario

    def _fewer_faults(self, scenario: Scenario) -> Scenario:
        for name in sorted(scenario.profile.rates_ppm):
            rates = {other: ppm for other, ppm in scenario.profile.rates_ppm.items() if other != name}
            scenario = self._try(scenario, rates_ppm=rates)
        return scenario

    def _milder_faults(self, scenario: Scenario) -> Scenario:
        for name in sorted(scenario.profile.rates_ppm):
            halved = scenario.profile.rates_ppm | {name: scenario.profile.rates_ppm[name] // 2}
            scenario = self._try(scenario, rates_ppm=halved)
        return scenario

    def _even_wires(self, scenario: Scenario) -> Scenario:
        scenario = self._try(scenario, latency_mean_ns=0)
        scenario = self._try(scenario, latency_base_ns=NS_PER_MS)
        return self._try(scenario, asks_twice=False)

    def _try(self, scenario: Scenario, **changes: object) -> Scenario:
        change: Callable[..., object] = msgspec.structs.replace
        smaller = msgspec.structs.replace(scenario, profile=change(scenario.profile, **changes))
        return smaller if smaller != scenario and self._still_fails(smaller) else scenario


def regression_test(shrunk: Shrunk) -> str:
    """A test that holds the scenario, ready to be put under tests/simulation/."""
    violation = shrunk.outcome.violation
    assert violation is not None
    text = msgspec.json.encode(shrunk.scenario).decode()
    lines = "\n".join(f"    {text[start : start + 110]!r}" for start in range(0, len(text), 110))
    return (
        f"SCENARIO = (\n{lines}\n)\n\n\n"
        f"def test_seed_{shrunk.scenario.seed}_{violation.oracle.lower()}() -> None:\n"
        f'    """{violation.detail[:150]}"""\n'
        f"    scenario = msgspec.json.decode(SCENARIO, type=Scenario)\n"
        f"    assert World(scenario, AgentProgram()).run().violation is None\n"
    )
