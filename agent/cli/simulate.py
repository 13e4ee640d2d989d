"""`mev-agent simulate`: worlds by seed, with everything in them that can go wrong."""

from __future__ import annotations

import re
from typing import Any, Literal

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output
from agent.requests import SimulateRequest

_RANGE = re.compile(r"(?:(\d{1,18})\.\.)?(\d{1,18})")
PROFILES = ("swarm", "calm", "network", "venue", "host", "breach", "wire", "crash")


class SeedRange(click.ParamType[Any]):
    """`A..B`, the seeds from A up to B, which is not one of them; `N` is `0..N`."""

    name = "A..B"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = _RANGE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a range like 0..300", param, ctx)
        first, last = int(found[1] or 0), int(found[2])
        if first >= last:
            self.fail(f"there is no seed in {value}", param, ctx)
        return first, last


@agent_command(
    "simulate",
    examples=(
        "mev-agent simulate --seeds 0..300",
        "mev-agent simulate --seeds 8731..8732 --profile venue",
        "mev-agent simulate --seeds 200 --planted lost-cancel",
        "mev-agent simulate --seeds 0..1 --profile crash",
    ),
)
@click.option("--seeds", type=SeedRange(), default="0..100", show_default=True, help="One world for each seed.")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="swarm",
    show_default=True,
    help="Which faults; wire: bytes, not events; crash: a death at every named point.",
)
@click.option("--planted", default="", metavar="NAME", help="Plant a bug first; stops when it is found.")
@click.option("--shrink/--no-shrink", default=True, help="Make the first failing world smaller.")
def command(
    output: Output,
    seeds: tuple[int, int],
    profile: Literal["swarm", "calm", "network", "venue", "host", "breach", "wire", "crash"],
    planted: str,
    shrink: bool,
) -> int:
    """Throw seeded faults at the whole agent on virtual time, and judge it."""
    simulate = work("agent.session.simulate", "simulate")
    request = SimulateRequest(first=seeds[0], last=seeds[1], profile=profile, planted=planted, is_shrunk=shrink)
    return output.show(simulate(request, output.say))
