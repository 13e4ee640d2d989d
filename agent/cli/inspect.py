"""`mev-agent inspect`: what happened to one thing."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FILE
from agent.cli.output import Output
from agent.errors import UsageError
from agent.requests import InspectRequest


@agent_command(
    "inspect", examples=("mev-agent inspect 9f3c51a0b2d4 --run RUN", "mev-agent inspect 17666333 --case block.json.gz")
)
@click.argument("subject", metavar="OPPORTUNITY|TX|BUNDLE|BLOCK")
@click.option("--run", metavar="RUN", help="The run to look in; the last one if left out.")
@click.option("--case", type=FILE, help="Look in an archived block instead of a run.")
def command(output: Output, subject: str, run: str | None, case: Path | None) -> int:
    """Tell what happened to an opportunity, transaction, bundle or block.

    For an opportunity it also gives the command and the calldata that repeat it.
    """
    if run is not None and case is not None:
        raise UsageError("--run and --case exclude each other", hint="name one place to look in")
    inspect = work("agent.session.inspect", "inspect")
    return output.show(inspect(InspectRequest(subject=subject, run=run, case=case), output.say))
