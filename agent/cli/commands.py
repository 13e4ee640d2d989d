"""The command table: where each command lives, and the line that `--help` shows for it.

The lines stand here and not only in the commands so that `--help` imports none of them; a test holds both equal.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One command: `module:attribute`, its line of help, and the heading it stands under."""

    target: str
    help: str
    heading: str


COMMANDS: dict[str, Entry] = {
    "run": Entry("agent.cli.run:command", "Run the agent in a world: slice, case, fork or live chain.", "Every day"),
    "survey": Entry(
        "agent.cli.survey:command",
        "List and execute every opportunity of an archived block; send nothing.",
        "Every day",
    ),
    "spreads": Entry("agent.cli.spreads:command", "Show the price differences between pools.", "Every day"),
    "devnet": Entry("agent.cli.devnet:command", "Keep a world running for other programs.", "Every day"),
    "replay": Entry("agent.cli.replay:command", "Feed a run's journal through the core again.", "Every day"),
    "doctor": Entry("agent.cli.doctor:command", "Check this machine and the configuration.", "Every day"),
    "status": Entry("agent.cli.status:command", "Say what the agent and its guard are doing.", "Every day"),
    "halt": Entry("agent.cli.halt:command", "Stop everything, through the guard.", "Every day"),
    "tell": Entry("agent.cli.tell:command", "Tell a running agent to pause, resume, cancel or reset.", "Every day"),
    "signal": Entry(
        "agent.cli.send_signal:command",
        "Send a running agent a signal: a side, a quantity, a limit, an end.",
        "Every day",
    ),
    "inspect": Entry(
        "agent.cli.inspect:command",
        "Tell what happened to an opportunity, transaction, bundle or block.",
        "Look closer",
    ),
    "simulate": Entry(
        "agent.cli.simulate:command",
        "Throw seeded faults at the whole agent on virtual time, and judge it.",
        "Look closer",
    ),
    "quote": Entry("agent.cli.quote:command", "Quote one swap exactly, beside what execution gives.", "Look closer"),
    "latency": Entry(
        "agent.cli.latency:command",
        "Show what each stage took in a run, beside the venue's own claims.",
        "Look closer",
    ),
    "explain": Entry("agent.cli.explain:command", "Explain a code of an error, drop or refusal.", "Look closer"),
    "journal": Entry("agent.cli.journal:command", "Verify, follow, export or question a run's journal.", "Data"),
    "capture": Entry(
        "agent.cli.capture:command", "Write a block and its state from an archive node to a file.", "Data"
    ),
    "init": Entry("agent.cli.init:command", "Write a commented configuration file.", "Set up"),
    "config": Entry("agent.cli.config:command", "Show or check the configuration.", "Set up"),
    "deploy": Entry("agent.cli.deploy:command", "Deploy the executor contract; dry unless --broadcast.", "Set up"),
    "guard": Entry("agent.cli.guard:command", "Run or reset the kill switch.", "Set up"),
    "drill": Entry("agent.cli.drill:command", "Rehearse the kill switch on a devnet.", "Set up"),
    "completion": Entry("agent.cli.completion:command", "Print the completion script of a shell.", "Set up"),
}
