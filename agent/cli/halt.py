"""`mev-agent halt`: stop everything, through the guard."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.guard import place_options
from agent.cli.output import Output


@agent_command("halt", examples=("mev-agent halt", 'mev-agent halt --reason "prices look wrong"'))
@place_options
@click.option("--reason", default="asked by a person", help="It is kept in the latch.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 600), default=10.0, help="Seconds to wait until it is verified."
)
def command(output: Output, config: Path | None, folder: Path | None, reason: str, wait_s: float) -> int:
    """Stop everything, through the guard."""
    return output.show(work("agent.session.guard", "halt")(folder, config, reason, wait_s, output.say))
