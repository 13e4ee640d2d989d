"""`mev-agent spreads`: price differences between pools."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import world_of, world_options
from agent.cli.output import Output
from agent.requests import SpreadsRequest


@agent_command("spreads", examples=("mev-agent spreads --case block.json.gz", "mev-agent spreads --watch"))
@world_options(with_live=True)
@click.option("--watch", "is_watched", is_flag=True, help="Keep showing them, block by block; JSON Lines with --json.")
def command(
    output: Output,
    case: Path | None,
    is_slice: bool,
    fork_url: str | None,
    fork_block: int | None,
    rpc_url: str | None,
    is_watched: bool,
) -> int:
    """Show the price differences between pools.

    For every pair on two or more pools: the mid prices, the spread after fees, and the depth at sizes.
    """
    world = world_of(case=case, is_slice=is_slice, fork_url=fork_url, fork_block=fork_block, rpc_url=rpc_url)
    spreads = work("agent.session.spreads", "spreads")
    exit_code = 0
    # One answer, or with --watch one for each block until stopped.
    for answer in spreads(SpreadsRequest(world=world, is_watched=is_watched), output.say):
        exit_code = output.show(answer)
    return exit_code
