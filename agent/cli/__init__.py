"""The command `mev-agent`: from arguments to an exit code.

Exit codes: 0 ok · 1 the answer is no · 2 usage · 3 configuration · 4 environment · 5 refused by risk · 6 halted ·
7 result unknown · 70 our defect · 130 and 143 interrupted and terminated. Never a traceback without `--debug`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
READER_GONE = 128 + 13  # SIGPIPE, by number because not every platform has the name


class Terminated(BaseException):
    """SIGTERM arrived; a BaseException so that no handler of ordinary errors swallows it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_process = arguments is None
    try:
        try:
            with contextlib.suppress(ValueError):  # only the main thread may; elsewhere the embedding program decides
                signal.signal(signal.SIGTERM, _terminate)
            return _command(words)
        finally:
            if is_process:
                _stop_listening()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return INTERRUPTED
    except Terminated:
        sys.stderr.write("stopped\n")
        return TERMINATED


def _command(words: list[str]) -> int:
    """Everything but signals; imports inside, so that a signal during them is one like any other."""
    import click

    from agent.cli.output import ReaderGone
    from agent.cli.root import root
    from agent.errors import AgentError

    is_debug = "--debug" in words
    try:
        result = root.main(words, prog_name="mev-agent", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        from agent.cli.failure import show_usage_error

        return show_usage_error(error, words)
    except AgentError as error:
        if is_debug:
            sys.excepthook(type(error), error, error.__traceback__)
        from agent.cli.failure import show_agent_error

        return show_agent_error(error, words)
    except ReaderGone:
        # What is left in the buffer must not raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except click.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 - the outermost boundary: whatever arrives here is our defect
        from agent.cli.failure import show_defect

        return show_defect(error, words, is_debug=is_debug)


def _stop_listening() -> None:
    """The answer is given and the exit code decided: a signal while the interpreter ends must not change it.

    Python puts the default handlers back as it ends, and the default of SIGINT kills; it leaves an ignored one alone.
    """
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
