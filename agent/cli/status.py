"""`mev-agent status`: what the agent and its guard are doing."""

from __future__ import annotations

from pathlib import Path

from agent.cli.command import agent_command, work
from agent.cli.guard import place_options
from agent.cli.output import Output


@agent_command("status", examples=("mev-agent status", "mev-agent status --json"))
@place_options
def command(output: Output, config: Path | None, folder: Path | None) -> int:
    """Say what the agent and its guard are doing."""
    return output.show(work("agent.session.guard", "status")(folder, config))
