"""Bugs planted on purpose, each a few lines in the place of a few: the test of the test.

A world that finds none of them would find none of its own accord either. They are put in by replacing a function of the
running program inside `planted(name)`, in the simulation alone, and taken out again behind it. The set follows what
happened to others: what each stands for is said beside it, and docs/reference/planted-bugs.md shows how soon it is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from agent.devnet.virtual.planted.evidence import EVIDENCE
from agent.devnet.virtual.planted.limits import LIMITS
from agent.devnet.virtual.planted.persistence import PERSISTENCE
from agent.devnet.virtual.planted.requests import REQUESTS
from agent.devnet.virtual.planted.sessions import SESSIONS
from agent.devnet.virtual.planted.swap import Bug

BUGS: dict[str, Bug] = {bug.name: bug for bug in (*REQUESTS, *EVIDENCE, *SESSIONS, *LIMITS, *PERSISTENCE)}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """With the bug in the program. KeyError for a name that is none."""
    with ExitStack() as stack:
        for swap in BUGS[name].swaps:
            stack.enter_context(patch.object(swap.owner, swap.attribute, swap.replacement))
        yield
