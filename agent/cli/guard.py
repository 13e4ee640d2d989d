"""`mev-agent guard`: the kill switch, a process of its own."""

from __future__ import annotations

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES


@click.group("guard", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Run or reset the kill switch."""


@agent_command("run", schema="guard-run", examples=("mev-agent guard run",))
def run(output: Output) -> int:
    """Watch the agent until stopped, and stop it when it must be."""
    return output.show(work("agent.guard.commands", "run")())


@agent_command("reset", schema="guard-reset", examples=("mev-agent guard reset",))
def reset(output: Output) -> int:
    """Allow trading again after a halt; needs a person at a terminal."""
    return output.show(work("agent.guard.commands", "reset")())


for each in (run, reset):
    command.add_command(each)
