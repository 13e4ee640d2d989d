"""What every command has in common: `--json` and its fellows, the Output, examples and exit codes in its help.

A command is a function that takes an Output and its own options and returns an exit code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from agent.cli.output import Output
from agent.cli.root import HELP_NAMES
from agent.errors import SetupError

CODES = "Exit codes: 0 ok, 1 the answer is no, 2 usage, 3 configuration, 4 environment, 70 our defect."


class AgentCommand(click.Command):
    """A command with the common options; it makes the Output and hands back the exit code."""

    def __init__(self, *args: Any, schema: str = "", examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        context: dict[str, Any] = {"help_option_names": HELP_NAMES, "max_content_width": 100}
        kwargs["context_settings"] = context | kwargs.get("context_settings", {})
        super().__init__(*args, **kwargs)
        self.schema = schema or (self.name or "")
        self.examples = examples
        self.params.extend(common_options())

    def invoke(self, ctx: click.Context) -> Any:
        ctx.params["output"] = Output(
            self.schema,
            is_json=ctx.params.pop("as_json"),
            is_quiet=ctx.params.pop("quiet"),
            color=ctx.params.pop("color"),
        )
        ctx.params.pop("debug")
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        formatter.write_paragraph()
        formatter.write_text(f"{CODES} More: docs/reference/cli.md")


def common_options() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON document."),
        click.Option(["-q", "--quiet"], is_flag=True, help="No progress on stderr."),
        click.Option(
            ["--color"], type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour on the terminal."
        ),
        click.Option(["--debug"], is_flag=True, help="Show a traceback with an error."),
    ]


def agent_command(
    name: str, *, schema: str = "", examples: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], AgentCommand]:
    """Make a function a command of this name."""

    def make(function: Callable[..., Any]) -> AgentCommand:
        return click.command(name, cls=AgentCommand, schema=schema, examples=examples)(function)

    return make


def work(module: str, function: str) -> Callable[..., Any]:
    """The function that does a command's work, imported when the command runs.

    A package that this build does not have is an error for the user, not a defect; a module that is there and
    fails to import is a defect, and says so.
    """
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        found = None
    if found is None:
        raise SetupError(
            "this command is not available in this build",
            code="E_NOT_AVAILABLE",
            hint="update mev-agent; `mev-agent --version` says what this is",
            where=f"{module}.{function}",
        )
    return found  # type: ignore[no-any-return] # found by name, so its type is not known
