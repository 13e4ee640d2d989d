"""`mev-agent journal`: what a run wrote down."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FOLDER
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES
from agent.requests import JournalRequest


@click.group("journal", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Verify, follow, export or question a run's journal."""


@agent_command("verify", schema="journal-verify", examples=("mev-agent journal verify RUN",))
@click.argument("run")
def verify(output: Output, run: str) -> int:
    """Check every record's checksum and the chain of digests; exit 1 if one is broken."""
    return output.show(work("agent.session.journal", "verify")(JournalRequest(run=run), output.say))


@agent_command("tail", schema="journal-tail", examples=("mev-agent journal tail RUN --last 50",))
@click.argument("run")
@click.option("--last", type=click.IntRange(min=1, max=100_000), default=20, help="How many records.")
def tail(output: Output, run: str, last: int) -> int:
    """Show the last records."""
    return output.show(work("agent.session.journal", "tail")(JournalRequest(run=run, last=last), output.say))


@agent_command("export", schema="journal-export", examples=("mev-agent journal export RUN --out exported",))
@click.argument("run")
@click.option("--out", type=FOLDER, required=True, help="The folder to write.")
def export(output: Output, run: str, out: Path) -> int:
    """Write the records as a database for questions of your own."""
    return output.show(work("agent.session.journal", "export")(JournalRequest(run=run, out=out), output.say))


@agent_command(
    "why", schema="journal-why", examples=("mev-agent journal why RUN 9f3c51a0b2d4", "mev-agent journal why RUN 1204.0")
)
@click.argument("run")
@click.argument("subject", metavar="DECISION")
def why(output: Output, run: str, subject: str) -> int:
    """Tell which events led to a decision.

    DECISION is the id of an opportunity, a bundle or an order, or its beginning; or an event's sequence and the index
    of one of its effects.
    """
    return output.show(work("agent.session.journal", "why")(JournalRequest(run=run, subject=subject), output.say))


for each in (verify, tail, export, why):
    command.add_command(each)
