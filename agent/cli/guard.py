"""`mev-agent guard`: the kill switch, a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FILE, FOLDER
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which guard is meant; without them, those of this folder's runs."""
    function = click.option("--folder", type=FOLDER, help="The guard's folder; runs/guard if left out.")(function)
    return click.option("--config", type=FILE, help="The guard's configuration.")(function)


@click.group("guard", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Run or reset the kill switch."""


@agent_command("run", schema="guard-run", examples=("mev-agent guard run --config guard.toml",))
@click.option("--config", type=FILE, help="The guard's configuration; guard.toml if left out.")
def run(output: Output, config: Path | None) -> int:
    """Watch the agent until stopped, and stop it when it must be."""
    done: int = work("agent.session.guard", "run")(config, output.say, output.show)
    return done


@agent_command(
    "reset",
    schema="guard-reset",
    examples=('mev-agent guard reset --reason "venue was down" --new-key file:/run/credentials/account',),
)
@place_options
@click.option("--reason", required=True, help="Why trading may begin again; it is kept.")
@click.option("--yes-i-am-a-person", "word", metavar="WORD", help="The word to type, where there is no terminal.")
@click.option("--new-key", metavar="env:NAME|file:PATH", help="The agent's key that replaces the revoked one.")
@click.option("--run", type=FOLDER, help="The folder with the account's journal; the guard's own, or the newest.")
@click.option(
    "--unverified", is_flag=True, help="Although that could not be seen: all stopped, key replaced, books agree."
)
def reset(
    output: Output,
    config: Path | None,
    folder: Path | None,
    reason: str,
    word: str | None,
    new_key: str | None,
    run: Path | None,
    unverified: bool,
) -> int:
    """Allow trading again after a halt; needs a person at a terminal.

    Everything must have been seen to stand still, the revoked key be dead and the new one work, and the journal's books
    come to the venue's.
    """

    def confirm(asked: str) -> str:
        if word is not None:
            return word
        if not sys.stdin.isatty():
            return ""
        typed: str = click.prompt(f"The next run may trade again. Type {asked} to say so", default="", err=True)
        return typed

    if len(reason.strip()) < 8:
        raise click.BadParameter("say in a few words why trading may begin again", param_hint="--reason")
    answer = work("agent.session.guard", "reset")(
        folder,
        config,
        reason=reason,
        confirm=confirm,
        is_unverified_allowed=unverified,
        new_key=new_key,
        run=run,
    )
    return output.show(answer)


for each in (run, reset):
    command.add_command(each)
