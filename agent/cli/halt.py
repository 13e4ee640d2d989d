"""`mev-agent halt`: stop everything, through the guard."""

from __future__ import annotations

from agent.cli.command import agent_command, work
from agent.cli.output import Output


@agent_command("halt", examples=("mev-agent halt",))
def command(output: Output) -> int:
    """Stop everything, through the guard."""
    return output.show(work("agent.guard.commands", "halt")())
