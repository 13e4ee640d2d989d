"""`mev-agent devnet`: worlds that other programs can use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from agent.cli.command import agent_command, work
from agent.cli.options import world_of, world_options
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES
from agent.requests import DevnetRequest, SimulatedVenueRequest


@click.group("devnet", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Keep a world running for other programs."""


@agent_command(
    "up", schema="devnet", examples=("mev-agent devnet up", "mev-agent devnet up --case block.json.gz --port 8545")
)
@world_options(with_live=False)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the node; a free one if left out.")
@click.option(
    "--relay-port", type=click.IntRange(0, 65_535), default=0, help="Port of the relay; a free one if left out."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the slice's traffic and of the keys.")
@click.option(
    "--pace",
    type=click.Choice(["real", "manual"]),
    default="real",
    help="A block every 12 seconds, or only by the method evm_mine.",
)
def up(
    output: Output,
    case: Path | None,
    is_slice: bool,
    fork_url: str | None,
    fork_block: int | None,
    port: int,
    relay_port: int,
    seed: int,
    pace: Literal["real", "manual"],
) -> int:
    """Start a world and keep it until Ctrl-C; print its URLs, keys and addresses."""
    world = world_of(case=case, is_slice=is_slice, fork_url=fork_url, fork_block=fork_block)
    start = work("agent.session.devnet", "up")
    # It answers once it is ready and then runs until it is stopped.
    request = DevnetRequest(world=world, port=port, relay_port=relay_port, seed=seed, pace=pace)
    return int(start(request, output.say, output.show))


@agent_command(
    "purpleflea",
    schema="devnet-purpleflea",
    examples=("mev-agent devnet purpleflea", "mev-agent devnet purpleflea --port 8600 --seed 7 --faults faults.toml"),
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the venue; a free one if left out.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the order flow, the keys and the faults.")
@click.option(
    "--faults", type=click.Path(dir_okay=False, path_type=Path), help="TOML or JSON file of faults to put in."
)
def purpleflea(output: Output, port: int, seed: int, faults: Path | None) -> int:
    """Start a simulated Purple Flea venue and keep it until Ctrl-C; print its URLs and keys."""
    start = work("agent.session.devnet", "purpleflea")
    request = SimulatedVenueRequest(port=port, seed=seed, faults=faults)
    return int(start(request, output.say, output.show))


command.add_command(up)
command.add_command(purpleflea)
