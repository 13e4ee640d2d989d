"""`mev-agent completion`: the completion script of a shell."""

from __future__ import annotations

import click

from agent.cli.command import agent_command
from agent.cli.output import Output
from agent.requests import Answer


@agent_command("completion", examples=('eval "$(mev-agent completion bash)"',))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(output: Output, shell: str) -> int:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from agent.cli.root import root

    completion = get_completion_class(shell)
    assert completion is not None
    script = completion(root, {}, "mev-agent", "_MEV_AGENT_COMPLETE").source()
    return output.show(Answer(data={"shell": shell, "script": script}, text=script))
