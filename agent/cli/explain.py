"""`mev-agent explain`: what a code means."""

from __future__ import annotations

import difflib

import click

from agent.cli.codes import pages
from agent.cli.command import agent_command
from agent.cli.output import Output
from agent.errors import UsageError
from agent.requests import Answer


@agent_command("explain", examples=("mev-agent explain E_CONFIG",))
@click.argument("code")
def command(output: Output, code: str) -> int:
    """Explain a code of an error, drop or refusal."""
    known = pages()
    page = known.get(code.upper())
    if page is None:
        close = difflib.get_close_matches(code.upper(), known, n=3)
        raise UsageError(
            f"no code is called {code[:64]!r}",
            hint=f"did you mean {', '.join(close)}?" if close else "all codes: docs/reference/codes.md",
        )
    text = f"{code.upper()}: {page.meaning}\n  what to do: {page.remedy}"
    return output.show(Answer(data={"code": code.upper(), "meaning": page.meaning, "remedy": page.remedy}, text=text))
