"""`mev-agent drill`: rehearse what must work once."""

from __future__ import annotations

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES

FAULTS = ("killed", "stopped", "wedged", "guard-killed", "network-cut", "disk-full")


@click.group("drill", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Rehearse the kill switch on a devnet."""


@agent_command("kill", schema="drill-kill", examples=("mev-agent drill kill", "mev-agent drill kill --fault stopped"))
@click.option("--fault", "faults", type=click.Choice(FAULTS), multiple=True, help="Only this one; may be repeated.")
@click.option("--trials", type=click.IntRange(1, 1_000), default=1, help="How often each.")
def kill(output: Output, faults: tuple[str, ...], trials: int) -> int:
    """Break an agent in each way, and show how long it took to stop; exit 1 where a promise was broken."""
    return output.show(work("agent.session.drill", "kill")(faults, trials, output.say))


command.add_command(kill)
