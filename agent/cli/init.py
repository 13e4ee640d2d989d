"""`mev-agent init`: a commented configuration file."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output


@agent_command("init", examples=("mev-agent init", "mev-agent init my-agent"))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("."))
def command(output: Output, folder: Path) -> int:
    """Write a commented configuration file.

    Every key stands in it with its default and its meaning. A file that is there already is left alone.
    """
    return output.show(work("agent.config.template", "write")(folder))
