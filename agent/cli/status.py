"""`mev-agent status`: what the agent and its guard are doing."""

from __future__ import annotations

from agent.cli.command import agent_command, work
from agent.cli.output import Output


@agent_command("status", examples=("mev-agent status",))
def command(output: Output) -> int:
    """Say what the agent and its guard are doing."""
    return output.show(work("agent.guard.commands", "status")())
