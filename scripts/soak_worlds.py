"""Run many simulated worlds on every processor, and say how it goes.

    .venv/bin/python scripts/soak_worlds.py [--seeds 0..10000] [--jobs N] [--crash-seeds 4]

First each named crash point is walked, then the worlds of the seeds run in blocks. A world has some 1,500 events, and
never few: a soak whose worlds have less than 1,000 on average has failed, whatever they showed. Exit code 1 where a law
was broken, with the command that shows the world, made smaller.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import msgspec

from agent.devnet.virtual.campaign import run_seeds
from agent.devnet.virtual.crash_walk import walk
from agent.devnet.virtual.program import AgentProgram

BLOCK = 50
"""Seeds that one process runs before it tells how they went."""
EVENTS_MIN = 1_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a block has shown."""

    worlds: int
    steps: int
    virtual_ns: int
    failures: tuple[str, ...]


def run_block(first: int, last: int) -> Told:
    """The worlds of some seeds."""
    campaign = run_seeds(range(first, last), AgentProgram())
    failures = []
    for outcome in campaign.failures:
        found = outcome.violation
        assert found is not None
        failures.append(
            f"seed {outcome.seed}: {found.oracle} {found.detail[:200]}\n"
            f"  again: mev-agent simulate --seeds {outcome.seed}..{outcome.seed + 1}"
        )
    return Told(worlds=campaign.seeds, steps=campaign.steps, virtual_ns=campaign.virtual_ns, failures=tuple(failures))


def walk_seed(seed: int) -> Told:
    """A death at every named point of a seed's world."""
    failures, steps, virtual_ns, worlds = [], 0, 0, 0
    for stop in walk((seed,), AgentProgram()):
        worlds, steps, virtual_ns = worlds + 1, steps + stop.outcome.steps, virtual_ns + stop.outcome.virtual_ns
        found = stop.outcome.violation
        if found is not None:
            failures.append(
                f"seed {seed}, {stop.scenario.crash}: {found.oracle} {found.detail[:200]}\n"
                f"  again: mev-agent simulate --seeds {seed}..{seed + 1} --profile crash"
            )
    return Told(worlds=worlds, steps=steps, virtual_ns=virtual_ns, failures=tuple(failures))


def soak(
    pool: ProcessPoolExecutor,
    tasks: Sequence[tuple[Callable[..., Told], tuple[int, ...], int]],
    say: Callable[[str], None],
) -> Iterator[Told]:
    """What each task tells, as it ends. A task: what to call, with what, and how many seeds it is."""
    began_s = time.monotonic()
    seeds_of: dict[Future[Told], int] = {pool.submit(call, *given): seeds for call, given, seeds in tasks}
    all_seeds, done_seeds, failed = sum(seeds_of.values()), 0, 0
    while seeds_of:
        ended, _ = wait(seeds_of, return_when=FIRST_COMPLETED)
        for future in ended:
            done_seeds += seeds_of.pop(future)
            told = future.result()
            failed += len(told.failures)
            for failure in told.failures:
                say(failure)
            yield told
        spent_s = time.monotonic() - began_s
        left_s = spent_s / done_seeds * (all_seeds - done_seeds)
        say(
            f"{done_seeds} of {all_seeds} seeds in {spent_s:.0f} s, {failed} broke a law, {left_s / 60:.0f} minutes left"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", default="0..10000", metavar="A..B", help="B is not one of them; N is 0..N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--crash-seeds", type=int, default=4, metavar="N", help="seeds whose crash points are walked")
    asked = parser.parse_args()
    first, _, last = asked.seeds.rpartition("..")
    seeds = range(int(first or 0), int(last))
    if not seeds:
        parser.error(f"there is no seed in {asked.seeds}")

    def say(text: str) -> None:
        print(text, flush=True)

    failures, steps, virtual_ns = 0, 0, 0
    with ProcessPoolExecutor(max_workers=asked.jobs) as pool:
        deaths = 0
        for told in soak(pool, [(walk_seed, (seed,), 1) for seed in range(asked.crash_seeds)], say):
            deaths, failures = deaths + told.worlds, failures + len(told.failures)
        say(f"{deaths} deaths at named points: {failures} broke a law")
        blocks = [seeds[at : at + BLOCK] for at in range(0, len(seeds), BLOCK)]
        tasks = [(run_block, (block.start, block.stop), len(block)) for block in blocks]
        for told in soak(pool, tasks, say):
            failures, steps, virtual_ns = (
                failures + len(told.failures),
                steps + told.steps,
                virtual_ns + told.virtual_ns,
            )
    say(f"{len(seeds)} worlds, {steps} events, {virtual_ns / 3.6e12:.1f} virtual hours: {failures} broke a law in all")
    if steps < EVENTS_MIN * len(seeds):
        say(f"fewer than {EVENTS_MIN} events a world")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
