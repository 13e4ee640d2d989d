"""Every command that does something, by its words."""

from __future__ import annotations

from collections.abc import Iterator

import click

from agent.cli.root import root


def leaves(group: click.Group = root, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name), command


LEAVES = dict(leaves())
