"""The root group: finds commands by name and imports only the one that is asked for.

`--help` and completion import Click and nothing else of weight.
"""

from __future__ import annotations

import importlib

import click

from agent import __version__
from agent.cli.commands import COMMANDS

HELP_NAMES = ["-h", "--help"]


class LazyGroup(click.Group):
    """A group whose commands are modules named in the command table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Click makes its suggestions from Group.commands, which is empty here.
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(name, possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
            with formatter.section(heading):
                formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items() if entry.heading == heading])


root = LazyGroup(
    name="mev-agent",
    help="An MEV-aware execution agent: finds arbitrage that is there to the wei, and lands it privately.\n\n"
    "Nothing is sent to a public chain unless the configuration, a flag and an armed guard all say live.",
    epilog="stdout carries the result and nothing else. Exit codes: 0 ok, 1 the answer is no, 2 usage, "
    "3 configuration, 4 environment, 5 refused by risk, 6 halted, 7 result unknown, 70 our defect.",
    context_settings={"help_option_names": HELP_NAMES, "max_content_width": 100},
    no_args_is_help=True,
)
click.version_option(__version__, prog_name="mev-agent", message="%(prog)s %(version)s")(root)
