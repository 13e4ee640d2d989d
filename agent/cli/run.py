"""`mev-agent run`: the agent at work in one world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FILE, FOLDER, HASH, config_options, world_of, world_options
from agent.cli.output import Output
from agent.errors import UsageError
from agent.requests import RunRequest


@agent_command(
    "run",
    schema="report",
    examples=(
        "mev-agent run",
        "mev-agent run --case block.json.gz --report report.json",
        "mev-agent run --fork-url env:ETH_RPC_URL --blocks 20",
    ),
)
@config_options
@world_options(with_live=True)
@click.option("--blocks", type=click.IntRange(min=1), help="Stop after this many blocks.")
@click.option(
    "--leave-out", type=HASH, multiple=True, metavar="TX", help="Leave this transaction out of a case's traffic."
)
@click.option("--only", multiple=True, metavar="OPPORTUNITY", help="Act on this opportunity and no other.")
@click.option("--assume", type=FILE, help="Slots to take as zero where the case lacks them (JSON).")
@click.option(
    "--builder-order",
    type=click.Choice(["archived", "profit", "gas-price"]),
    help="How the local builder orders a block; archived in a case, profit elsewhere.",
)
@click.option("--pace", type=click.Choice(["real", "fast"]), default="fast", help="Slots in real time, or at once.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the slice's traffic.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    help="At an order-book venue: stop after this long.",
)
@click.option("--report", type=FILE, help="Write the report to this file as well.")
@click.option("--out", type=FOLDER, help="Folder for the run's journal and reports.")
@click.option("--live", "is_live", is_flag=True, help='Allow real funds; needs mode = "live" and an armed guard too.')
def command(
    output: Output,
    config_files: tuple[Path, ...],
    overrides: tuple[str, ...],
    case: Path | None,
    is_slice: bool,
    fork_url: str | None,
    fork_block: int | None,
    rpc_url: str | None,
    **asked: Any,
) -> int:
    """Run the agent in a world: slice, case, fork or live chain.

    Without options it runs on the built-in slice of mainnet: no endpoint, no key, no file from elsewhere.
    """
    world = world_of(case=case, is_slice=is_slice, fork_url=fork_url, fork_block=fork_block, rpc_url=rpc_url)
    if asked["leave_out"] and world.kind != "case":
        raise UsageError("--leave-out needs --case", hint="only an archived block has transactions to leave out")
    if asked["builder_order"] == "archived" and world.kind != "case":
        raise UsageError("--builder-order archived needs --case", hint="take profit or gas-price")
    from agent.config import load_settings, require_runnable

    settings = load_settings(config_files, overrides=overrides).settings
    if asked["is_live"] and settings.venue == "onchain" and world.kind != "live":
        raise UsageError("--live needs --rpc-url", hint="a devnet never holds real funds; leave --live out")
    require_runnable(settings, is_live=asked["is_live"])
    if settings.venue == "purpleflea":
        if world.kind != "slice" or is_slice:
            raise UsageError(
                'a world of a chain was given, but the configuration says venue = "purpleflea"',
                hint='leave --case, --slice, --fork-url and --rpc-url out, or set venue = "onchain"',
            )
        run = work("agent.session.purpleflea", "run")
    else:
        run = work("agent.session.run", "run")
    return output.show(run(RunRequest(world=world, **asked), settings, output.say))
