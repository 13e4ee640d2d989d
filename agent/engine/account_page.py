"""A page on the account beside its journal, for `mev-agent status`: what may be traded, why not, and what was adopted.

It is no truth but a copy, written anew when one of its lines changes, which is seldom: nothing that a tick moves stands
on it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec

from agent.core.step import Core

FILE_NAME = "account.json"
SCHEMA = "mev-agent/account/1"


class AccountPage:
    """Writes the page of one run."""

    def __init__(self, folder: Path, run: str) -> None:
        self._path = folder / FILE_NAME
        self._beside = folder / f".{FILE_NAME}"
        self._run = run
        self._written: dict[str, Any] = {}

    def look(self, core: Core) -> None:
        """Write it where it changed. A disk that refuses costs the page alone."""
        content = self._content(core)
        if content == self._written:
            return
        self._written = content
        with contextlib.suppress(OSError):
            self._beside.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
            os.replace(self._beside, self._path)

    def _content(self, core: Core) -> dict[str, Any]:
        desk = core.desk
        assert desk is not None
        state, standing, session = desk.state, core.standing, desk.session
        return {
            "schema": SCHEMA,
            "run": self._run,
            "pid": os.getpid(),
            "session": session.state.phase.value,
            "mode": state.breakers.mode().words,
            "halted": f"{standing.halted_by}: {standing.halt_reason}" if core.is_halted else "",
            "difference": session.state.difference,
            "adopted": [
                {
                    "name": one.name,
                    "amount": str(one.amount),
                    "price_ticks": one.price_ticks or None,
                    "wall_ns": one.wall_ns,
                }
                for one in state.accounts.adopted
            ],
        }
