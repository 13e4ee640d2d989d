"""`mev-agent replay`: the same events give the same effects."""

from __future__ import annotations

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output
from agent.requests import ReplayRequest


@agent_command("replay", examples=("mev-agent replay runs/2026-11-23T00-31-07Z-9f3c --verify",))
@click.argument("run")
@click.option(
    "--verify", "is_verified", is_flag=True, help="Compare every effect byte for byte; exit 1 if one differs."
)
@click.option("--until", type=click.IntRange(min=0), metavar="SEQ", help="Stop after this record.")
@click.option("--deep", "is_deep", is_flag=True, help="Compute quotes and searches again as well.")
def command(output: Output, run: str, is_verified: bool, until: int | None, is_deep: bool) -> int:
    """Feed a run's journal through the core again.

    RUN is the run's id or its folder.
    """
    replay = work("agent.session.journal", "replay")
    request = ReplayRequest(run=run, is_verified=is_verified, until=until, is_deep=is_deep)
    return output.show(replay(request, output.say))
