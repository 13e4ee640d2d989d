"""`mev-agent config`: what the configuration says, and from where."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import config_options
from agent.cli.output import Output
from agent.cli.root import HELP_NAMES


@click.group("config", context_settings={"help_option_names": HELP_NAMES})
def command() -> None:
    """Show or check the configuration."""


@agent_command(
    "show", schema="config-show", examples=("mev-agent config show", "mev-agent config show --config live.toml")
)
@config_options
def show(output: Output, config_files: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Show every value and where it came from; secrets stay hidden."""
    return output.show(work("agent.config.show", "show")(config_files, overrides))


@agent_command("check", schema="config-check", examples=("mev-agent config check --config live.toml",))
@config_options
def check(output: Output, config_files: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Check the configuration; every mistake is listed with its line."""
    return output.show(work("agent.config.show", "check")(config_files, overrides))


@agent_command("schema", schema="config-schema", examples=("mev-agent config schema > mev-agent.schema.json",))
def schema(output: Output) -> int:
    """Print the JSON Schema of the file, for editors."""
    return output.show(work("agent.config.show", "schema")())


for each in (show, check, schema):
    command.add_command(each)
