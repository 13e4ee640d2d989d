"""`mev-agent latency`: what the stages of an order took."""

from __future__ import annotations

import click

from agent.cli.command import agent_command, work
from agent.cli.output import Output


@agent_command("latency", examples=("mev-agent latency", "mev-agent latency runs/RUN --json"))
@click.argument("run", metavar="[RUN]", required=False)
def command(output: Output, run: str | None) -> int:
    """Show what each stage took in a run, beside the venue's own claims.

    Percentiles of every order from its tick to the venue's answer; the last run if none is named.
    """
    return output.show(work("agent.session.latency", "latency")(run))
