"""`mev-agent simulate`: runs the worlds of a range of seeds and says what they showed.

The answer is no (exit code 1) where a law was broken. The first failing world is then made smaller, and shown with its
last steps, the command that repeats it, and a test that keeps it.
"""

from __future__ import annotations

import contextlib
import difflib
import platform
from collections import Counter
from hashlib import blake2b
from typing import Any

import msgspec

from agent.devnet.virtual.campaign import Campaign, run_seeds, scenario_of
from agent.devnet.virtual.crash_walk import walk
from agent.devnet.virtual.oracles import LAWS
from agent.devnet.virtual.planted import BUGS, planted
from agent.devnet.virtual.profile import Name
from agent.devnet.virtual.program import AgentProgram
from agent.devnet.virtual.scenario import Outcome
from agent.devnet.virtual.shrink import regression_test, shrink
from agent.devnet.virtual.wire_world import WireWorld
from agent.devnet.virtual.world import World
from agent.errors import UsageError
from agent.journal.code import code_hash
from agent.requests import Answer, Say, SimulateRequest

NS_PER_HOUR = 3_600 * 10**9
TOLD_EVERY = 50
TOLD_DEATHS = 200
KEPT_STEPS = 40


def simulate(request: SimulateRequest, say: Say) -> Answer:
    """Run the seeds. UsageError for a bug that is none."""
    if request.planted and request.planted not in BUGS:
        close = difflib.get_close_matches(request.planted, BUGS, n=3)
        raise UsageError(
            f"no bug is called {request.planted[:64]!r}",
            hint=f"did you mean {', '.join(close)}?" if close else f"one of {', '.join(sorted(BUGS))}",
        )
    if request.profile == "wire":
        return _simulate_wire(request, say)
    if request.profile == "crash":
        return _walk_crashes(request, say)
    name: Name = request.profile  # type: ignore[assignment] # the command line lets no other word through
    seeds = range(request.first, request.last)
    count = 0

    def told(outcome: Outcome) -> None:
        nonlocal count
        count += 1
        if outcome.violation is not None:
            say(f"seed {outcome.seed}: {outcome.violation.oracle} {outcome.violation.detail[:200]}")
        elif count % TOLD_EVERY == 0:
            say(f"{count} of {len(seeds)} worlds")

    with planted(request.planted) if request.planted else contextlib.nullcontext():
        campaign = run_seeds(seeds, AgentProgram(), name=name, stop_at=1 if request.planted else None, on_outcome=told)
        smaller = _smaller(campaign, name, say) if campaign.failures and request.is_shrunk else None
    data = {
        "profile": request.profile,
        "planted": request.planted,
        "seeds": campaign.seeds,
        "first": request.first,
        "steps": campaign.steps,
        "virtual_hours": round(campaign.virtual_ns / NS_PER_HOUR, 3),
        "faults": dict(sorted(campaign.fired.items())),
        "cells": dict(sorted(campaign.cells.items())),
        "reached": dict(sorted(campaign.reached.items())),
        "failures": [_failure(outcome, request) for outcome in campaign.failures],
        "shrunk": smaller,
        "digest": campaign.digest,
        "code": code_hash().hex(),
        "python": platform.python_version(),
    }
    return Answer(data=data, text=_text(data), exit_code=1 if campaign.failures else 0)


def _simulate_wire(request: SimulateRequest, say: Say) -> Answer:
    """The worlds of bytes: there is nothing to shrink, they are run again by their seed."""
    failures, fired, steps, hours_ns, digest = [], Counter[str](), 0, 0, blake2b(digest_size=16)
    with planted(request.planted) if request.planted else contextlib.nullcontext():
        for seed in range(request.first, request.last):
            outcome = WireWorld(seed).run()
            fired.update(outcome.fired)
            steps, hours_ns = steps + outcome.steps, hours_ns + outcome.virtual_ns
            digest.update(outcome.digest.encode())
            if outcome.problem:
                say(f"seed {seed}: {outcome.problem[:200]}")
                repeat = f"mev-agent simulate --seeds {seed}..{seed + 1} --profile wire"
                failures.append({"seed": seed, "detail": outcome.problem, "repeat": repeat})
    data = {
        "profile": "wire",
        "planted": request.planted,
        "seeds": request.last - request.first,
        "first": request.first,
        "steps": steps,
        "virtual_hours": round(hours_ns / NS_PER_HOUR, 3),
        "faults": dict(sorted(fired.items())),
        "failures": failures,
        "digest": digest.hexdigest(),
        "code": code_hash().hex(),
        "python": platform.python_version(),
    }
    lines = [f"{data['seeds']} worlds of bytes, {steps} steps: {len(failures)} disagreed", f"digest {data['digest']}"]
    lines += [f"  {name:<28} {count}" for name, count in sorted(fired.items())]
    lines += [f"seed {failure['seed']}: {failure['detail']}\n  again: {failure['repeat']}" for failure in failures]
    return Answer(data=data, text="\n".join(lines), exit_code=1 if failures else 0)


def _walk_crashes(request: SimulateRequest, say: Say) -> Answer:
    """A death at every named point of each seed's world."""
    failures, points, steps, count, missed = [], Counter[str](), 0, 0, 0
    with planted(request.planted) if request.planted else contextlib.nullcontext():
        for stop in walk(range(request.first, request.last), AgentProgram()):
            crash, outcome = stop.scenario.crash, stop.outcome
            assert crash is not None
            count, steps, missed = count + 1, steps + outcome.steps, missed + (not stop.has_struck)
            points[crash.point] += stop.has_struck
            if outcome.violation is not None:
                say(f"seed {outcome.seed}: {outcome.violation.oracle} {outcome.violation.detail[:200]}; {crash}")
                repeat = f"mev-agent simulate --seeds {outcome.seed}..{outcome.seed + 1} --profile crash"
                failures.append(
                    {
                        "seed": outcome.seed,
                        "oracle": outcome.violation.oracle,
                        "detail": outcome.violation.detail,
                        "durability": stop.scenario.profile.durability,
                        "crash": msgspec.to_builtins(crash),
                        "repeat": repeat,
                    }
                )
            elif count % TOLD_DEATHS == 0:
                say(f"seed {outcome.seed}, {count} deaths")
    data = {
        "profile": "crash",
        "planted": request.planted,
        "seeds": request.last - request.first,
        "first": request.first,
        "deaths": count,
        "missed": missed,
        "steps": steps,
        "points": dict(sorted(points.items())),
        "failures": failures,
        "code": code_hash().hex(),
        "python": platform.python_version(),
    }
    lines = [f"{count} deaths at {len(points)} points, {steps} steps: {len(failures)} broke a law"]
    lines += [f"  {name:<44} {times}" for name, times in sorted(points.items())]
    for failure in failures:
        lines += [f"{failure['oracle']}, seed {failure['seed']}, {failure['durability']}: {failure['crash']}"]
        lines += [f"  {failure['detail']}", f"  again: {failure['repeat']}"]
    return Answer(data=data, text="\n".join(lines), exit_code=1 if failures else 0)


def _failure(outcome: Outcome, request: SimulateRequest) -> dict[str, Any]:
    violation = outcome.violation
    assert violation is not None
    planting = f" --planted {request.planted}" if request.planted else ""
    return {
        "seed": outcome.seed,
        "oracle": violation.oracle,
        "law": LAWS[violation.oracle],
        "detail": violation.detail,
        "at_ns": str(violation.at_ns),
        "repeat": f"mev-agent simulate --seeds {outcome.seed}..{outcome.seed + 1} --profile {request.profile}{planting}",
    }


def _smaller(campaign: Campaign, name: Name, say: Say) -> dict[str, Any]:
    """The first failing world, made smaller."""
    say("making the first failing world smaller")
    shrunk = shrink(scenario_of(campaign.failures[0].seed, name), AgentProgram())
    world = World(shrunk.scenario, AgentProgram(), kept_steps=KEPT_STEPS)
    world.run()
    assert shrunk.outcome.violation is not None
    return {
        "runs": shrunk.runs,
        "oracle": shrunk.outcome.violation.oracle,
        "detail": shrunk.outcome.violation.detail,
        "actions": [repr(action) for action in shrunk.scenario.actions],
        "rates_ppm": shrunk.scenario.profile.rates_ppm,
        "trace": list(world.trace),
        "test": regression_test(shrunk),
    }


def _text(data: dict[str, Any]) -> str:
    lines = [
        f"{data['seeds']} worlds, {data['steps']} steps, {data['virtual_hours']} virtual hours: "
        f"{len(data['failures'])} broke a law",
        f"digest {data['digest']}",
        "",
        "faults fired, by cell of the matrix",
        *(f"  {cell:<28} {count}" for cell, count in data["cells"].items()),
        "",
        "reached",
        *(f"  {state:<28} {count}" for state, count in data["reached"].items()),
    ]
    for failure in data["failures"]:
        lines += ["", f"{failure['oracle']} ({failure['law']}), seed {failure['seed']}", f"  {failure['detail']}"]
        lines.append(f"  again: {failure['repeat']}")
    smaller = data["shrunk"]
    if smaller is not None:
        lines += ["", f"made smaller in {smaller['runs']} worlds: {smaller['oracle']} {smaller['detail']}"]
        lines += [f"  {action}" for action in smaller["actions"]] or ["  no action of the workload is needed"]
        lines += [f"  faults {smaller['rates_ppm']}", "", "its last steps", *smaller["trace"], "", smaller["test"]]
    return "\n".join(lines)
