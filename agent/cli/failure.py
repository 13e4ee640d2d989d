"""How failures look: three lines for the user, one envelope with --json, a file for a defect of ours."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from agent.cli.commands import COMMANDS
from agent.cli.output import Output
from agent.errors import AgentError, UsageError

DEFECT = 70


def show_usage_error(error: click.ClickException, words: Sequence[str]) -> int:
    """Click's message in our shape."""
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context is not None else "mev-agent --help"
    if not error.format_message():
        # A group without a command: Click's message is the help itself.
        sys.stderr.write(context.get_help() + "\n" if context is not None else "")
        return UsageError.exit_code
    return output_for(words).fail(UsageError(error.format_message(), hint=hint))


def show_agent_error(error: AgentError, words: Sequence[str]) -> int:
    return output_for(words).fail(error)


def show_defect(error: Exception, words: Sequence[str], *, is_debug: bool) -> int:
    """Write the crash file, name it, and never show a traceback unasked."""
    if is_debug:
        traceback.print_exception(error, file=sys.stderr)
    path = write_crash_file(error, words)
    defect = AgentError(
        f"a defect of mev-agent: {type(error).__name__}",
        code="E_DEFECT",
        hint=f"please report it with the file {path}; it holds no key and no address of a node"
        if path
        else "run again with --debug",
    )
    return output_for(words).fail(defect)


def write_crash_file(error: Exception, words: Sequence[str]) -> str:
    """The path of a file with the traceback and versions; empty where nothing can be written.

    The error's own text is left out: it may quote an endpoint with its key. So are the values of options.
    """
    import json
    import platform
    import tempfile
    import time
    from pathlib import Path

    from agent import __version__

    frames = [
        {"file": frame.filename.rpartition("/agent/")[2], "line": frame.lineno, "function": frame.name}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    content = {
        "schema": "mev-agent/crash/1",
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": [word.partition("=")[0] for word in words if word in COMMANDS or word.startswith("-")],
        "error": type(error).__name__,
        "frames": frames,
    }
    name = f"crash-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    for folder in (Path("runs"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(content, indent=1) + "\n")
        except OSError:
            continue
        return str(folder / name)
    return ""


def output_for(words: Sequence[str]) -> Output:
    """An Output for a failure that came before, or in place of, the command's own."""
    named = [word for word in words if not word.startswith("-")][:1]
    name = named[0] if named and named[0] in COMMANDS else "error"
    return Output(name, is_json="--json" in words)
