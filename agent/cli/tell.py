"""`mev-agent tell`: a person's command to an agent that trades an account."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FOLDER
from agent.cli.output import Output

ACTIONS = (
    "pause",
    "resume",
    "cancel_all",
    "set_profile",
    "reset_breaker",
    "reset_halt",
    "allow_order",
    "adopt_position",
)


@agent_command(
    "tell",
    examples=(
        'mev-agent tell pause --reason "news at noon"',
        'mev-agent tell reset_breaker day_loss --reason "loss understood, limits kept"',
    ),
)
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("target", default="")
@click.option("--symbol", default="", help="reset_breaker: of a hold that one symbol has for itself.")
@click.option("--reason", required=True, help="It is kept in the journal.")
@click.option("--run", "folder", type=FOLDER, help="The folder with the run's journal; the newest if left out.")
def command(output: Output, action: str, target: str, symbol: str, reason: str, folder: Path | None) -> int:
    """Tell a running agent to pause, resume, cancel or reset.

    TARGET is a symbol (pause, resume, cancel_all, adopt_position; all of them if left out), a profile, a breaker, or an
    order's id. adopt_position makes what the venue says we hold ours, where no execution explains the difference.
    To stop everything for good there is `mev-agent halt`.
    """
    return output.show(work("agent.session.tell", "tell")(folder, action, target, symbol, reason, output.say))
