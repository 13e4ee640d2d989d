"""`mev-agent doctor`: check this machine and the configuration."""

from __future__ import annotations

from pathlib import Path

from agent.cli.command import agent_command, work
from agent.cli.options import config_options
from agent.cli.output import Output


@agent_command("doctor", examples=("mev-agent doctor", "mev-agent doctor --json"))
@config_options
def command(output: Output, config_files: tuple[Path, ...], overrides: tuple[str, ...]) -> int:
    """Check this machine and the configuration.

    Each row is ok, warn or FAIL with how to mend it. The exit code is 1 if one failed.
    """
    return output.show(work("agent.doctor", "examine")(config_files, overrides))
